package part

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
)

// scope decides what is read.
type scope struct {
	a       *agreement.Agreement
	e       *agreement.Expanded
	parts   []agreement.PartInstance // whose content is read
	readers []string                 // everybody who reads the result
	reader  string                   // the party of a party's view

	renamed map[string]string // a customer that may not be named, by id
}

func newScope(a *agreement.Agreement, e *agreement.Expanded, parts []agreement.PartInstance) *scope {
	return &scope{a: a, e: e, parts: parts}
}

// restated lists what an accession repeats of the frame, so that a customer
// that does not read the frame knows the rules it joins.
func restated(key string) bool {
	switch key {
	case "application", "term", "legal_terms", "modules", "keys", "verification", "deposit_terms", "usage", "status_page",
		"use_terms", "funds", "fees", "release", "change_of_party", "authority", "rights", "export_control", "sla", "clauses":
		return true
	}
	return false
}

// holds reports whether a part contains a top-level key, or one entry of it.
func (s *scope) holds(p agreement.PartInstance, key, id string) bool {
	entry := key + "/" + id
	if slices.Contains(p.Holds, key) || id != "" && slices.Contains(p.Holds, entry) {
		return true
	}
	if p.Kind != "frame" {
		return false
	}
	for _, other := range s.e.Parts {
		if other.ID != p.ID && (slices.Contains(other.Holds, key) || id != "" && slices.Contains(other.Holds, entry)) {
			return false
		}
	}
	return true
}

// isCustomer reports whether the id is a beneficiary's.
func (s *scope) isCustomer(id string) bool {
	p := s.a.Party(id)
	return p != nil && p.Role == agreement.Role(escrow.Beneficiary)
}

// knows reports whether a reader may learn of a party. Customers are known
// only to those they share a part with; everybody else is known to all.
func (s *scope) knows(reader, id string) bool {
	if reader == id || !s.isCustomer(id) {
		return true
	}
	alone := true
	for _, p := range s.e.Parts {
		if p.Instance != "" && s.a.Self(p.Instance) == id || slices.Contains(readersOf(p), id) {
			alone = false
			if slices.Contains(readersOf(p), reader) {
				return true
			}
		}
	}
	if !alone {
		return false
	}
	// A customer that has no part of its own is a matter of the frame.
	return slices.ContainsFunc(s.e.Parts, func(p agreement.PartInstance) bool {
		return p.Kind == "frame" && slices.Contains(readersOf(p), reader)
	})
}

// named reports whether every reader may learn of the party.
func (s *scope) named(id string) bool {
	return !slices.ContainsFunc(s.readers, func(r string) bool { return !s.knows(r, id) })
}

// rename gives the placeholder of a customer that may not be named.
func (s *scope) rename(id string) string {
	if s.named(id) {
		return id
	}
	if s.renamed == nil {
		s.renamed = map[string]string{}
	}
	if s.renamed[id] == "" {
		s.renamed[id] = fmt.Sprintf("beneficiary-%d", len(s.renamed)+1)
	}
	return s.renamed[id]
}

// may reports whether an entry of a key is read. owners are the customers the
// entry concerns; none means that it concerns everybody.
func (s *scope) may(key, id string, owners ...string) bool {
	owners = slices.DeleteFunc(slices.Clone(owners), func(o string) bool { return !s.isCustomer(o) })
	for _, p := range s.parts {
		self := selfOf(s.a, p)
		accession := p.Kind == "accession" && restated(key) && !s.heldElsewhere(key, id)
		switch {
		case !s.holds(p, key, id) && !accession:
		case len(owners) == 0:
			return true
		case self != "":
			if slices.Contains(owners, self) {
				return true
			}
		case s.owned(owners) && p.Kind == "frame" && s.hasAccession(owners[0]):
			// What concerns one customer is in its accession, not in the frame,
			// unless everybody who reads the frame may know it.
		default:
			return true
		}
	}
	return false
}

// heldElsewhere reports whether another part than the frame holds the key: an
// accession does not repeat that.
func (s *scope) heldElsewhere(key, id string) bool {
	return !slices.ContainsFunc(s.e.Parts, func(p agreement.PartInstance) bool { return p.Kind == "frame" && s.holds(p, key, id) })
}

// owned reports whether some of the customers may not be named.
func (s *scope) owned(owners []string) bool {
	return slices.ContainsFunc(owners, func(o string) bool { return !s.named(o) })
}

func (s *scope) hasAccession(customer string) bool {
	return slices.ContainsFunc(s.e.Parts, func(p agreement.PartInstance) bool {
		return p.Kind == "accession" && selfOf(s.a, p) == customer
	})
}

// signsHere reports whether a party is one of the parties of a part that is
// read, or is the reader itself: its own register number and people are its
// business.
func (s *scope) signsHere(id string) bool {
	return id == s.reader || slices.ContainsFunc(s.parts, func(p agreement.PartInstance) bool { return slices.Contains(p.Parties, id) })
}

// renameAll puts placeholders wherever the narrowed agreement refers to a
// party, by the same tags that the language itself is read by.
func (s *scope) renameAll(v reflect.Value, refersToParty bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			s.renameAll(v.Elem(), refersToParty)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			tag := strings.Fields(f.Tag.Get("ref"))
			s.renameAll(v.Field(i), slices.Contains(tag, "party"))
		}
	case reflect.Slice:
		for i := range v.Len() {
			s.renameAll(v.Index(i), refersToParty)
		}
	case reflect.String:
		if refersToParty && s.isCustomer(v.String()) {
			v.SetString(s.rename(v.String()))
		}
	}
}
