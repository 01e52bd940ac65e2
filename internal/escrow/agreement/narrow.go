package agreement

import (
	"reflect"

	"holdfast/internal/escrow/agreement/bind"
)

// Narrowed returns a copy of the agreement that f has taken things out of or
// renamed things in: what somebody may read of it. The copy shares nothing
// with the agreement. It need not pass the checks of a whole agreement.
func (a *Agreement) Narrowed(f func(*Agreement)) *Agreement {
	out := clone(reflect.ValueOf(*a)).Interface().(Agreement)
	f(&out)
	out.index()
	return &out
}

// Tree renders the agreement, or a narrowed one, as nested maps and lists:
// what the canonical form is made of.
func (a *Agreement) Tree() any { return bind.Tree(a) }

// Instances returns the members a for_each runs over: beneficiaries or
// licences by id, in the order of the text.
func (a *Agreement) Instances(set Set) []string { return a.members(set) }

// Self is the party an instance stands for: the beneficiary itself, or the
// licensee of the licence.
func (a *Agreement) Self(instance string) string { return a.self(instance) }

// PartyIDs resolves the words self, operator and beneficiaries among names to
// ids of parties; claimant resolves to nobody.
func (a *Agreement) PartyIDs(names []string, instance string) []string {
	return a.partyIDs(names, instance)
}

// clone copies v and everything it points at. Unexported fields are left out.
func clone(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(clone(v.Elem()))
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(clone(v.Field(i)))
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(clone(v.Index(i)))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			out.SetMapIndex(it.Key(), clone(it.Value()))
		}
		return out
	}
	return v
}
