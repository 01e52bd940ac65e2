package escrow

import (
	"path"
	"strings"
	"time"
)

// Organisation: the server lists the repositories of an organisation or group
// at a forge, and fetches each into a module of its own.
const Organisation SourceMode = "organisation"

// ForgeState is how a repository of an organisation stands.
type ForgeState string

// The states. Only of present and archived ones anything is fetched; what was
// deposited of the others stays.
const (
	ForgePresent  ForgeState = "present"  // listed
	ForgeArchived ForgeState = "archived" // listed, and closed for writing
	ForgeLeftOut  ForgeState = "left_out" // listed, and the agreement does not include it
	ForgeGone     ForgeState = "gone"     // was listed once and is not any more
	ForgeMissing  ForgeState = "missing"  // agreed on and never listed
)

// ForgeRepository is one repository of an organisation. It is the same one as
// long as the forge gives it the same number, whatever it is called.
type ForgeRepository struct {
	Arrangement  string
	Organisation string // the module that names the organisation
	Origin       string // scheme and host of the forge, since others count for themselves
	Remote       string // its number there; "=NAME" for a missing one
	Module       string // where it is deposited; "" for one that never was
	Name         string // within the organisation
	URL          string // to clone from, without user information
	Private      bool
	State        ForgeState
	ChangedAt    time.Time // when the row last changed
}

// Fetched reports whether the server fetches the repository.
func (r ForgeRepository) Fetched() bool { return r.State == ForgePresent || r.State == ForgeArchived }

// AgreedRepositories is what an agreement says about the repositories of an
// organisation, as names or patterns in which * stands for any text.
type AgreedRepositories struct {
	Include   []string // what is held; empty for everything
	Mandatory []string // what must be there
	Optional  []string // what may be there
}

// Includes reports whether a repository of that name is held.
func (a AgreedRepositories) Includes(name string) bool {
	return len(a.Include) == 0 || matchesAny(a.Include, name)
}

// Named are the repositories that must be there: those that are mandatory or
// included by a name without a pattern.
func (a AgreedRepositories) Named() []string {
	var out []string
	for _, list := range [][]string{a.Mandatory, a.Include} {
		for _, name := range list {
			if !strings.Contains(name, "*") {
				out = append(out, name)
			}
		}
	}
	return out
}

// Lists reports whether a repository of that name is on the agreed list; where
// there is no list, every one is.
func (a AgreedRepositories) Lists(name string) bool {
	if len(a.Mandatory)+len(a.Optional) > 0 {
		return matchesAny(a.Mandatory, name) || matchesAny(a.Optional, name)
	}
	return a.Includes(name)
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if wild(strings.ToLower(p), strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// wild matches a pattern in which * stands for any text, also for none.
func wild(pattern, name string) bool {
	first, rest, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		part, more, found := strings.Cut(rest, "*")
		if !found {
			return strings.HasSuffix(name, rest)
		}
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name, rest = name[at+len(part):], more
	}
}

// OrganisationOf returns the id of the module that would name the organisation
// of a repository's module: code for code/app. "" if there is none.
func OrganisationOf(module string) string {
	dir := path.Dir(module)
	if dir == "." {
		return ""
	}
	return dir
}
