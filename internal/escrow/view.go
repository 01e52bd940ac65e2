package escrow

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"holdfast/evidence"
)

// View is how much of an arrangement somebody sees of what its role lets it
// read. It is the one place that decides it: lists, single things and acts
// alike ask it. What a party sees follows from the parts of the agreement that
// it signs or reads and from the keys it has to do with; customers of one
// supplier need not learn of one another.
type View struct {
	All  bool // nothing is hidden; the rest is not looked at
	Text bool // the agreement's text

	Self    string // the party
	Runs    bool   // it runs the arrangement: tokens, authority, attempts
	Parties map[string]bool
	People  map[string]bool // parties whose people and keys are seen
	Modules map[string]bool // by id; those of an organisation follow it
	// Keys has the compartments that are seen.
	Keys  map[string]KeyView
	Cases map[string]Case // all of the arrangement, by id
	Parts map[string]bool // parts of the agreement that are read
	// Hidden are words that tell of somebody who is not seen: nothing that has
	// one of them is shown.
	Hidden []string
}

// KeyView is what the viewer has to do with a compartment.
type KeyView struct {
	Holds    bool // a share
	Receives bool // it can be opened for the viewer
	Deals    bool // makes its keys, or runs the arrangement
}

// Party reports whether the party is seen.
func (v View) Party(id string) bool { return v.All || v.Parties[id] }

// Contact reports whether the people and keys of a party are seen.
func (v View) Contact(party string) bool { return v.All || v.Parties[party] && v.People[party] }

// Module reports whether the module and its deposits are seen.
func (v View) Module(id string) bool {
	if v.All || v.Modules[id] {
		return true
	}
	organisation := OrganisationOf(id)
	_, named := v.Modules[id]
	return !named && organisation != "" && v.Modules[organisation]
}

// Compartment reports whether the compartment and its epochs are seen.
func (v View) Compartment(id string) bool {
	_, seen := v.Keys[id]
	return v.All || seen
}

// Manifest reports whether the key manifest of a compartment is shown. It
// cannot be shown in part, for it is signed whole. Who holds a share or makes
// the keys needs it; who may receive what it opens needs it when that happens,
// and before only if it names nobody else.
func (v View) Manifest(compartment string, document []byte) bool {
	k := v.Keys[compartment]
	switch {
	case v.All || k.Holds || k.Deals || v.Runs && v.Compartment(compartment):
		return true
	case !k.Receives:
		return false
	case !v.names(string(document)):
		return true
	}
	for _, c := range v.Cases {
		open := c.State == CaseInForce || c.State == CaseEnding || c.State == CaseAssumed
		if open && c.Compartment == compartment && slices.Contains(c.Recipients, v.Self) {
			return true
		}
	}
	return false
}

// Case reports whether the case is seen: one that a party which is not seen
// claimed, or that opens only for such, is seen only by those who are asked to
// open it.
func (v View) Case(c Case) bool {
	switch {
	case v.All || v.Keys[c.Compartment].Holds:
		return true
	case c.Claimant != "" && !v.Parties[c.Claimant]:
		return false
	case v.Self != "" && slices.Contains(c.Recipients, v.Self):
		return true
	case !v.Compartment(c.Compartment):
		return false
	}
	return len(c.Recipients) == 0 || slices.ContainsFunc(c.Recipients, func(r string) bool { return v.Parties[r] })
}

// Shown is a case as the viewer sees it: a claimant it may not learn of, and
// the words of one, are left out.
func (v View) Shown(c Case) Case {
	if !v.All && c.Claimant != "" && !v.Parties[c.Claimant] {
		c.Claimant, c.Reason = "", ""
	}
	return c
}

// Says reports whether a text may be shown: it tells of nobody who is not
// seen.
func (v View) Says(text string) bool { return v.All || !v.names(text) }

// Act reports whether the content of a ledger entry about the arrangement is
// shown. What an act says cannot be shown in part, for it is hashed whole; so
// one that tells of somebody who is not seen stays closed, whatever its kind,
// and a kind that is not placed here is for those who run the arrangement.
func (v View) Act(a *evidence.Act) bool {
	return v.All || v.area(a) && !v.told(a)
}

// told reports whether any word of an act tells of somebody who is not seen.
func (v View) told(a *evidence.Act) bool {
	if v.names(a.Actor) || v.names(a.Subject) || v.names(string(a.Data)) {
		return true
	}
	return slices.ContainsFunc(a.Rows, func(r evidence.Row) bool { return v.names(r.Key) })
}

// area decides by what an act is about.
func (v View) area(a *evidence.Act) bool {
	area, _, _ := strings.Cut(a.Kind, ".")
	var data struct {
		Module string `json:"module"`
		Part   string `json:"part"`
		Party  string `json:"party"`
	}
	if json.Unmarshal(a.Data, &data) != nil {
		return false
	}
	about, _, _ := strings.Cut(a.Subject, "/")
	by, _, _ := strings.Cut(a.Actor, "/")
	switch area {
	case "deposit", "finding", "destruction", "hold", "running", "duty", "release":
		return v.Module(data.Module)
	case "sync", "module", "credential", "restic":
		return v.Module(a.Subject)
	case "epoch", "share":
		compartment, _, _ := strings.Cut(a.Subject, "#")
		return v.Compartment(compartment)
	case "case", "hand_over":
		c, known := v.Cases[a.Subject]
		return known && v.Case(c)
	case "agreement":
		if data.Part != "" {
			return v.Parts[data.Part]
		}
		return !slices.ContainsFunc(a.Rows, func(r evidence.Row) bool {
			_, module, _ := strings.Cut(r.Key, " ")
			return r.Table == "module" && !v.Module(module)
		})
	case "contact":
		return v.Contact(about)
	case "authority":
		return v.Runs || about == v.Self
	case "notice":
		return v.Runs || data.Party == v.Self
	}
	return v.Runs || by == v.Self
}

// names reports whether a text has one of the hidden words, whole.
func (v View) names(text string) bool {
	if len(v.Hidden) == 0 {
		return false
	}
	text = strings.ToLower(text)
	for _, word := range v.Hidden {
		word = strings.ToLower(word)
		for from := 0; word != ""; {
			at := strings.Index(text[from:], word)
			if at < 0 {
				break
			}
			at += from
			before, _ := utf8.DecodeLastRuneInString(text[:at])
			after, _ := utf8.DecodeRuneInString(text[at+len(word):])
			if (at == 0 || !wordRune(before)) && (at+len(word) == len(text) || !wordRune(after)) {
				return true
			}
			from = at + 1
		}
	}
	return false
}

func wordRune(r rune) bool { return r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
