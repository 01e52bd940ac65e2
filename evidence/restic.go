package evidence

import (
	"fmt"
	"strings"
)

// RoleResticPassword is the role of the object that holds the password of a
// restic repository. It is sealed like any other object.
const RoleResticPassword = "restic-password"

// resticFile begins the role of a file of a restic repository. Such an object
// is the file itself: ciphertext under the repository's own key, not sealed a
// second time.
const resticFile = "restic-file/"

// ResticRole is the role of a file of a restic repository that lies in the
// given directory, or of its config.
func ResticRole(place string) string { return resticFile + place }

// ResticFilePlace is the inverse of [ResticRole]: "config", "keys", "data",
// "index" or "snapshots". ok is false for any other role.
func ResticFilePlace(role string) (place string, ok bool) {
	place, ok = strings.CutPrefix(role, resticFile)
	switch place {
	case "config", "keys", "data", "index", "snapshots":
		return place, ok
	}
	return "", false
}

// ResticSummary says in public what a deposit of a restic repository contains.
// Names, sizes and times inside a snapshot are known to those alone who have
// the repository's password.
type ResticSummary struct {
	Snapshots []ResticSnapshot `json:"snapshots,omitempty"` // in the order in which they arrived
	Files     int              `json:"files"`               // of the repository, in this deposit
	Bytes     int64            `json:"bytes"`
	More      bool             `json:"more,omitempty"` // the snapshots that these files are for come with a later deposit
}

// ResticSnapshot is a snapshot that a deposit brought.
type ResticSnapshot struct {
	ID       string `json:"id"`       // as restic calls it, and the name of its object
	Received string `json:"received"` // RFC 3339, UTC, by the server's clock: the one inside is the depositor's word
}

func (r *ResticSummary) validate(objects []ObjectEntry) error {
	files, size := 0, int64(0)
	snapshots := map[string]bool{}
	for i, o := range objects {
		place, ok := ResticFilePlace(o.Role)
		switch {
		case !ok && strings.HasPrefix(o.Role, resticFile):
			return fmt.Errorf("objects[%d]: role %.80q", i, o.Role)
		case !ok:
			continue
		case o.Plain != 0:
			return fmt.Errorf("objects[%d]: nobody knows the plain length of a restic file", i)
		}
		files, size = files+1, size+o.Size
		snapshots[o.Name] = place == "snapshots"
	}
	if r == nil {
		if files > 0 {
			return fmt.Errorf("%d restic files without a summary", files)
		}
		return nil
	}
	if r.Files != files || r.Bytes != size {
		return fmt.Errorf("restic: %d files of %d bytes by the summary, %d of %d in the list", r.Files, r.Bytes, files, size)
	}
	for i, s := range r.Snapshots {
		if !snapshots[s.ID] {
			return fmt.Errorf("restic: snapshots[%d] is not among the objects", i)
		}
		if err := new(Time).UnmarshalText([]byte(s.Received)); err != nil {
			return fmt.Errorf("restic: snapshots[%d]: %w", i, err)
		}
		delete(snapshots, s.ID)
	}
	for name, left := range snapshots {
		if left {
			return fmt.Errorf("restic: snapshot %s is not in the summary", name)
		}
	}
	return nil
}
