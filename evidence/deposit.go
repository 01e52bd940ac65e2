package evidence

import "fmt"

// DepositFormat names the format of a [DepositManifest].
const DepositFormat = "holdfast-deposit/v1"

// DepositManifest is the public, signed description of one deposit. It says
// what is held, under which keys and since when, and lists no content: names
// of files stay inside the sealed objects. The names of refs that changed are
// public, since a rewritten branch must be seen by people who cannot decrypt.
type DepositManifest struct {
	Format       string         `json:"format"`
	Arrangement  string         `json:"arrangement"`
	Agreement    string         `json:"agreement"` // digest of the agreement in force
	Module       string         `json:"module"`
	Number       int            `json:"number"`
	Kind         string         `json:"kind"`                  // FULL or INCREMENTAL
	Predecessor  string         `json:"predecessor,omitempty"` // digest of the manifest before
	Chain        int            `json:"chain"`                 // number of the FULL deposit this one builds on, itself when FULL
	Compartment  string         `json:"compartment"`
	Epoch        int            `json:"epoch"`
	Set          string         `json:"set"` // id of the share set of the epoch
	Objects      []ObjectEntry  `json:"objects"`
	State        string         `json:"state,omitempty"` // object with what the maker remembers for the next deposit, sealed to itself
	Git          *GitSummary    `json:"git,omitempty"`
	Restic       *ResticSummary `json:"restic,omitempty"`
	Images       *ImagesSummary `json:"images,omitempty"`
	Files        *FilesSummary  `json:"files,omitempty"`
	Content      *ContentCheck  `json:"content,omitempty"`
	Completeness string         `json:"completeness"` // complete or incomplete
	Missing      []string       `json:"missing,omitempty"`
	Checked      Check          `json:"checked"`
	Made         string         `json:"made"` // RFC 3339, UTC, by the clock of whoever signed
	By           string         `json:"by"`   // "server", or the depositing party and person
}

// ObjectEntry is one sealed object of a deposit.
type ObjectEntry struct {
	Name  string `json:"sha256"`
	Size  int64  `json:"size"`
	Role  string `json:"role"`            // "git", "lfs", "files", "files-list", "report", "image-set", "image-layer", [RoleResticPassword] or one of [ResticFilePlace]
	Plain int64  `json:"plain,omitempty"` // length after decryption
}

// GitSummary says in public what a repository deposit contains.
type GitSummary struct {
	ObjectFormat string      `json:"object_format"` // sha1 or sha256
	Head         string      `json:"head,omitempty"`
	Refs         int         `json:"refs"`    // refs at the source that are held
	Objects      int         `json:"objects"` // git objects in this deposit's pack
	PackBytes    int64       `json:"pack_bytes"`
	New          int         `json:"new,omitempty"`
	FastForward  int         `json:"fast_forward,omitempty"`
	Changes      []RefChange `json:"changes,omitempty"` // every change that is not plainly new or a fast-forward, with old and new id
	Refused      []string    `json:"refused,omitempty"` // ref names that break git's rules
	LFSHeld      int         `json:"lfs_held,omitempty"`
	LFSMissing   int         `json:"lfs_missing,omitempty"`
	Submodules   int         `json:"submodules,omitempty"`
}

// FilesSummary says in public what a deposit of directories contains, without
// a name. The names, modes, times and hashes are in the sealed list.
type FilesSummary struct {
	Files       int   `json:"files"` // of the whole tree, as for the next three
	Directories int   `json:"directories"`
	Links       int   `json:"links,omitempty"`
	Bytes       int64 `json:"bytes"`
	NewBytes    int64 `json:"new_bytes,omitempty"` // of the stream in this deposit's packs
	Added       int   `json:"added,omitempty"`
	Changed     int   `json:"changed,omitempty"`
	Removed     int   `json:"removed,omitempty"`
	LeftOut     int   `json:"left_out,omitempty"` // could not be read
}

// RefChange is one classified change of a ref.
type RefChange struct {
	Ref  string `json:"ref"`
	Kind string `json:"kind"` // see [RefNew] and the others
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// The kinds of change of a ref.
const (
	RefNew         = "new"          // it was not there before
	RefFastForward = "fast_forward" // the old tip is an ancestor of the new one
	RefRewound     = "rewound"      // the new tip is an ancestor of the old one: commits were taken off
	RefRewritten   = "rewritten"    // neither is an ancestor of the other
	RefDeleted     = "deleted"      // it is gone
	RefTagMoved    = "tag_moved"    // a tag, which should stand still, names something else
	RefHeadMoved   = "head_moved"   // HEAD names another ref, or another commit when detached
)

// TakesAway reports whether the change takes something away from what was
// there before, so that those who depend on the source should look at it.
func (c RefChange) TakesAway() bool {
	switch c.Kind {
	case RefRewound, RefRewritten, RefDeleted, RefTagMoved:
		return true
	}
	return false
}

// Check says who verified the deposit's content before it was sealed for
// good, and how.
type Check struct {
	By  string `json:"by"`  // [CheckedByServer] or [CheckedByDepositor]
	How string `json:"how"` // "every object hashed and connected" for git
}

// The two who can check a deposit's content.
const (
	CheckedByServer    = "server"
	CheckedByDepositor = "depositor"
)

// ParseDepositManifest reads a manifest strictly: canonical bytes only, known
// format, digests and counts that make sense together.
func ParseDepositManifest(data []byte) (*DepositManifest, error) {
	return parseDocument[DepositManifest]("deposit manifest", data, maxDepositManifest)
}

// maxDepositManifest leaves room for a hundred thousand objects.
const maxDepositManifest = 20 << 20

// MaxObjects bounds the objects of one deposit.
const MaxObjects = 100_000

func (m *DepositManifest) validate() error {
	switch {
	case m.Format != DepositFormat:
		return fmt.Errorf("format is %q, want %q", m.Format, DepositFormat)
	case !IsID(m.Arrangement):
		return fmt.Errorf("arrangement %q is not an identifier", m.Arrangement)
	case !IsID(m.Module):
		return fmt.Errorf("module %q is not an identifier", m.Module)
	case !IsID(m.Compartment):
		return fmt.Errorf("compartment %q is not an identifier", m.Compartment)
	case !IsDigest(m.Agreement):
		return fmt.Errorf("agreement %q is not a digest", m.Agreement)
	case m.Number < 1 || m.Epoch < 1:
		return fmt.Errorf("number %d and epoch %d count from 1", m.Number, m.Epoch)
	case m.Number == 1 && m.Predecessor != "", m.Number > 1 && !IsDigest(m.Predecessor):
		return fmt.Errorf("deposit %d names predecessor %q", m.Number, m.Predecessor)
	case m.Kind != "FULL" && m.Kind != "INCREMENTAL":
		return fmt.Errorf("kind %q is neither FULL nor INCREMENTAL", m.Kind)
	case m.Chain < 1 || m.Chain > m.Number, (m.Kind == "FULL") != (m.Chain == m.Number):
		return fmt.Errorf("%s deposit %d cannot build on chain %d", m.Kind, m.Number, m.Chain)
	case m.Completeness != "complete" && m.Completeness != "incomplete":
		return fmt.Errorf("completeness %q", m.Completeness)
	case !IsDigest(m.Set):
		return fmt.Errorf("set %.80q is not a set id", m.Set)
	case m.State != "" && !IsDigest(m.State):
		return fmt.Errorf("state %.80q is not the name of an object", m.State)
	case m.Checked.By != CheckedByServer && m.Checked.By != CheckedByDepositor:
		return fmt.Errorf("checked by %.80q, want %q or %q", m.Checked.By, CheckedByServer, CheckedByDepositor)
	case !IsID(m.By):
		return fmt.Errorf("by %.80q names nobody", m.By)
	case len(m.Objects) == 0 || len(m.Objects) > MaxObjects:
		return fmt.Errorf("%d objects, want 1 to %d", len(m.Objects), MaxObjects)
	}
	if err := new(Time).UnmarshalText([]byte(m.Made)); err != nil {
		return fmt.Errorf("made: %w", err)
	}
	if err := m.Restic.validate(m.Objects); err != nil {
		return err
	}
	if err := m.Content.validate(); err != nil {
		return err
	}
	seen := make(map[string]bool, len(m.Objects))
	for i, o := range m.Objects {
		if !IsDigest(o.Name) || o.Size <= 0 || o.Plain < 0 {
			return fmt.Errorf("objects[%d]: bad name or size", i)
		}
		if o.Name == m.State {
			return fmt.Errorf("objects[%d]: the maker's state is not part of the deposit", i)
		}
		if seen[o.Name] {
			return fmt.Errorf("objects[%d]: %s is listed twice", i, o.Name)
		}
		seen[o.Name] = true
	}
	return nil
}

// IsID reports whether s can name an arrangement, party, module, compartment
// or case: lower-case letters, digits, '-', '_' and, between non-empty parts,
// '/'. It can be a path element, a URL segment and a line of a text format
// without escaping.
func IsID(s string) bool {
	if len(s) == 0 || len(s) > maxID {
		return false
	}
	start := true // of a part
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			start = false
		case (c == '-' || c == '_') && !start:
		case c == '/' && !start:
			start = true
		default:
			return false
		}
	}
	return !start
}

const maxID = 128
