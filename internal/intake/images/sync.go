package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Source gives images by name and bytes by digest. An error with code Missing
// says that the source itself has not got them.
type Source interface {
	// Name is what the source is called in the set.
	Name() string
	// Images resolves what is asked for to digests.
	Images(ctx context.Context) ([]Image, error)
	// Manifest returns the bytes of a manifest or index.
	Manifest(ctx context.Context, digest string) ([]byte, error)
	// Blob opens the bytes of anything else.
	Blob(ctx context.Context, digest string) (io.ReadCloser, error)
}

// Envelope is a sealed object that is being made.
type Envelope interface {
	io.Writer
	Finish() error
	Commit(ctx context.Context) (evidence.ObjectEntry, error)
	Abort()
}

// Vault begins sealed objects; role is what the object is to the deposit.
type Vault interface {
	Create(ctx context.Context, role string) (Envelope, error)
}

// Options say what to deposit.
type Options struct {
	Source   Source
	Vault    Vault
	Previous *State // of the last deposit; nil for none
	Full     bool   // stand alone, whatever was deposited before
	// Exclude leaves out tags by pattern, and platforms as "platform:PATTERN",
	// such as platform:linux/arm64.
	Exclude  []string
	MaxBlob  int64 // bytes of one blob
	MaxBytes int64 // bytes of one deposit
	Progress func(bytes int64)
}

// Result is a deposit that was sealed.
type Result struct {
	Unchanged bool
	Kind      escrow.DepositKind
	Objects   []evidence.ObjectEntry
	Summary   evidence.ImagesSummary
	Missing   []string
	State     State
}

// HowChecked is what manifests say of images.
const HowChecked = "every blob hashed and compared with its digest, every manifest followed"

// Sync seals what the source has and the chain has not. Nothing is taken that
// does not hash to the digest by which it was named.
func Sync(ctx context.Context, o Options) (*Result, error) {
	list, err := o.Source.Images(ctx)
	if err != nil {
		return nil, err
	}
	for _, pattern := range o.Exclude {
		if _, err := path.Match(strings.TrimPrefix(pattern, platformPattern), ""); err != nil {
			return nil, escrow.Errorf(escrow.Invalid, "exclude pattern %.80q is none", pattern)
		}
	}
	list = slices.DeleteFunc(list, func(m Image) bool { return m.Name != "" && matches(o.Exclude, m.Name) })
	switch {
	case len(list) == 0:
		return nil, escrow.Errorf(escrow.NotFound, "%s has no image that is to be deposited", o.Source.Name()).WithHint("check the address and what is left out")
	case len(list) > maxImages:
		return nil, escrow.Errorf(escrow.Invalid, "%s has %d images; one module takes %d", o.Source.Name(), len(list), maxImages).WithHint("name the tag in the address, or leave some out with --exclude")
	}
	sortImages(list)
	s := &syncing{o: o, held: map[string]bool{}, result: &Result{Kind: escrow.FullDeposit}}
	s.set = Set{Format: SetFormat, Source: o.Source.Name(), Images: list, Blobs: []Blob{}}
	before := map[string]string{}
	if p := o.Previous; p != nil {
		for _, m := range p.Images {
			before[m.Name] = m.Digest
		}
		if !o.Full {
			s.result.Kind = escrow.IncrementalDeposit
			for _, d := range p.Held {
				s.held["sha256:"+d] = true
			}
			if slices.Equal(p.Images, list) && slices.Equal(p.Exclude, o.Exclude) && p.Missing == 0 {
				return &Result{Unchanged: true}, nil
			}
		}
	}
	for _, m := range list {
		if err := s.manifest(ctx, m.Digest, m.Size, 0); err != nil {
			return nil, fmt.Errorf("image %s: %w", cmpName(m), err)
		}
	}
	return s.finish(ctx, before)
}

func cmpName(m Image) string {
	if m.Name != "" {
		return m.Name
	}
	return m.Digest
}

const platformPattern = "platform:"

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name)
		return ok
	})
}

type syncing struct {
	o       Options
	set     Set
	held    map[string]bool // digests that the chain holds, those of this deposit included
	walked  map[string]bool // manifests that were followed in this run
	bytes   int64
	inlined int64 // of bytes: in the set itself
	lost    []string
	result  *Result
}

// manifest takes a manifest or index and all that it names.
func (s *syncing) manifest(ctx context.Context, digest string, size int64, depth int) error {
	if s.walked[digest] {
		return nil
	}
	if s.walked == nil {
		s.walked = map[string]bool{}
	}
	s.walked[digest] = true
	if depth > maxDepth {
		return escrow.Errorf(escrow.Invalid, "indexes lie within indexes more than %d deep", maxDepth)
	}
	if size > maxManifest {
		return escrow.Errorf(escrow.Invalid, "manifest %s has %d bytes; %d are taken", digest, size, maxManifest)
	}
	data, err := s.o.Source.Manifest(ctx, digest)
	if escrow.CodeOf(err) == escrow.Missing && depth > 0 {
		return s.missing("manifest", digest)
	}
	if err != nil {
		return err
	}
	if got := digestOf(data); got != digest {
		return escrow.Errorf(escrow.Damaged, "the source gives bytes with digest %s as manifest %s", got, digest).WithHint("nothing was deposited; ask who runs the registry")
	}
	m, err := parseManifest(data)
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "manifest %s: %v", digest, err)
	}
	for _, d := range m.Manifests {
		if name := d.Platform.String(); name != "" && slices.ContainsFunc(s.o.Exclude, func(p string) bool {
			pattern, ok := strings.CutPrefix(p, platformPattern)
			hit, _ := path.Match(pattern, name)
			return ok && hit
		}) {
			s.result.Summary.LeftOut++
			continue
		}
		if isManifest(d.MediaType) {
			err = s.manifest(ctx, d.Digest, d.Size, depth+1)
		} else {
			err = s.blob(ctx, d, false)
		}
		if err != nil {
			return err
		}
	}
	if m.Config != nil {
		if err := s.blob(ctx, *m.Config, true); err != nil {
			return err
		}
	}
	for _, d := range append(slices.Clone(m.Layers), m.Blobs...) {
		if err := s.blob(ctx, d, false); err != nil {
			return err
		}
	}
	return s.inline(digest, data)
}

// inline puts small bytes into the set itself.
func (s *syncing) inline(digest string, data []byte) error {
	if s.held[digest] {
		return nil
	}
	if err := s.room(int64(len(data))); err != nil {
		return err
	}
	if s.inlined += int64(len(data)); s.inlined > 2*maxInlined {
		return escrow.Errorf(escrow.Full, "the manifests of the images have more than %d bytes", 2*maxInlined).WithHint("leave some tags out with --exclude")
	}
	s.held[digest] = true
	s.set.Blobs = append(s.set.Blobs, Blob{Digest: digest, Size: int64(len(data)), Data: data})
	return nil
}

func (s *syncing) room(n int64) error {
	if s.bytes += n; s.bytes > s.o.MaxBytes {
		return escrow.Errorf(escrow.Full, "the images are larger than the %d bytes that one deposit takes", s.o.MaxBytes)
	}
	if len(s.set.Blobs) >= maxBlobs {
		return escrow.Errorf(escrow.Full, "the images have more than %d parts", maxBlobs)
	}
	return nil
}

func (s *syncing) missing(what, digest string) error {
	if line := what + " " + digest; !slices.Contains(s.lost, line) {
		s.lost = append(s.lost, line)
	}
	return nil
}

// blob seals one blob unless the chain holds it. A configuration is small and
// goes into the set itself.
func (s *syncing) blob(ctx context.Context, d descriptor, config bool) error {
	if s.held[d.Digest] {
		return nil
	}
	if d.Size > s.o.MaxBlob {
		return escrow.Errorf(escrow.Full, "blob %s has %d bytes; %d are taken", d.Digest, d.Size, s.o.MaxBlob)
	}
	if err := s.room(d.Size); err != nil {
		return err
	}
	r, err := s.o.Source.Blob(ctx, d.Digest)
	if escrow.CodeOf(err) == escrow.Missing {
		what := "blob"
		if len(d.URLs) > 0 {
			what = "blob that its maker distributes elsewhere,"
		}
		return s.missing(what, d.Digest)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if config && d.Size <= maxInline && s.inlined+d.Size <= maxInlined {
		data, err := io.ReadAll(io.LimitReader(r, d.Size+1))
		if err != nil {
			return brokeOff(err, d)
		}
		if err := s.same(d, int64(len(data)), digestOf(data)); err != nil {
			return err
		}
		return s.inline(d.Digest, data)
	}
	return s.object(ctx, d, r)
}

func brokeOff(err error, d descriptor) error {
	return escrow.Errorf(escrow.Unavailable, "blob %s broke off: %w", d.Digest, err).WithHint("nothing was deposited; the next try starts from the same state")
}

func (s *syncing) same(d descriptor, size int64, digest string) error {
	if size != d.Size || digest != d.Digest {
		return escrow.Errorf(escrow.Damaged, "the source gives %d bytes with digest %s as blob %s of %d bytes", size, digest, d.Digest, d.Size).
			WithHint("nothing was deposited; ask who runs the registry")
	}
	return nil
}

// object seals a blob as an object of its own. It has no name before its
// digest was compared.
func (s *syncing) object(ctx context.Context, d descriptor, r io.Reader) error {
	w, err := s.o.Vault.Create(ctx, RoleLayer)
	if err != nil {
		return err
	}
	defer w.Abort()
	sum := sha256.New()
	source := &arriving{r: io.LimitReader(r, d.Size+1), told: s.o.Progress}
	n, err := io.Copy(io.MultiWriter(w, sum), source)
	if source.err != nil {
		return brokeOff(err, d)
	}
	if err != nil {
		return err
	}
	if err := s.same(d, n, "sha256:"+hex.EncodeToString(sum.Sum(nil))); err != nil {
		return err
	}
	if err := w.Finish(); err != nil {
		return err
	}
	entry, err := w.Commit(ctx)
	if err != nil {
		return err
	}
	s.held[d.Digest] = true
	s.result.Objects = append(s.result.Objects, entry)
	s.set.Blobs = append(s.set.Blobs, Blob{Digest: d.Digest, Size: d.Size, Object: entry.Name})
	return nil
}

// arriving remembers that it was the source that failed, and not the store.
type arriving struct {
	r    io.Reader
	n    int64
	told func(int64)
	err  error
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	a.n += int64(n)
	if a.told != nil {
		a.told(a.n)
	}
	if err != nil && err != io.EOF {
		a.err = err
	}
	return n, err
}

// finish seals the set and says what the deposit is.
func (s *syncing) finish(ctx context.Context, before map[string]string) (*Result, error) {
	r := s.result
	data, err := json.Marshal(s.set)
	if err != nil {
		return nil, err
	}
	w, err := s.o.Vault.Create(ctx, RoleSet)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return nil, err
	}
	if err := w.Finish(); err != nil {
		return nil, err
	}
	entry, err := w.Commit(ctx)
	if err != nil {
		return nil, err
	}
	r.Objects = append([]evidence.ObjectEntry{entry}, r.Objects...)
	r.Missing = s.lost
	r.Summary.Images, r.Summary.Blobs, r.Summary.Bytes = len(s.set.Images), len(s.set.Blobs), s.bytes
	now := map[string]string{}
	for _, m := range s.set.Images {
		now[m.Name] = m.Digest
		switch old := before[m.Name]; {
		case m.Name == "":
		case old == "":
			r.Summary.New++
		case old != m.Digest:
			r.Summary.Changes = append(r.Summary.Changes, evidence.RefChange{Ref: m.Name, Kind: evidence.RefTagMoved, Old: old, New: m.Digest})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if name != "" && now[name] == "" {
			r.Summary.Changes = append(r.Summary.Changes, evidence.RefChange{Ref: name, Kind: evidence.RefDeleted, Old: before[name]})
		}
	}
	r.State = State{Images: s.set.Images, Exclude: s.o.Exclude, Missing: len(s.lost)}
	for digest := range s.held {
		r.State.Held = append(r.State.Held, strings.TrimPrefix(digest, "sha256:"))
	}
	slices.Sort(r.State.Held)
	return r, nil
}
