package check

import (
	"strconv"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/bind"
	"holdfast/internal/escrow/agreement/problem"
)

// exceeded lists the keys in which an undertaking promises more than the
// framework it is given under.
func exceeded(f *agreement.Framework, h *agreement.HostUndertaking) []string {
	var out []string
	p := &f.Promises
	if roughly(h.Continues) > roughly(p.Continues) {
		out = append(out, "continues_for")
	}
	if roughly(h.WarnsBefore) > roughly(p.WarnsBefore) {
		out = append(out, "warns_before_suspension")
	}
	if h.ThirdParty && !p.ThirdParty {
		out = append(out, "accepts_third_party_payment")
	}
	if h.KeepsNoDataBack && !p.KeepsNoDataBack {
		out = append(out, "keeps_no_data_back")
	}
	if h.ArrearsFirst != nil && !*h.ArrearsFirst && p.ArrearsFirst != nil && *p.ArrearsFirst {
		out = append(out, "demands_arrears_first")
	}
	if h.LetsOperatorIn && !p.LetsOperatorIn {
		out = append(out, "lets_operator_in")
	}
	return out
}

// Follows checks that an agreement, read from file, is the version that
// follows on before.
func Follows(file string, a, before *agreement.Agreement, l agreement.Language) problem.List {
	texts := Load()
	var out problem.List
	say := func(code, path string, args ...string) {
		out = append(out, texts.problem(code, l, file, path, problem.Pos{}, args))
	}
	digest, err := before.Digest()
	switch {
	case err != nil:
		return nil // what was parsed has a digest
	case a.ID != before.ID:
		say("version-other-arrangement", "id", before.ID, a.ID)
		return out
	case a.Version != before.Version+1:
		say("version-skipped", "version", itoa(a.Version), itoa(before.Version), itoa(before.Version+1))
	}
	if a.Version > 1 && a.Replaces != digest {
		say("version-other-base", "replaces", short(a.Replaces), short(digest))
	}
	return out
}

// Text is an agreement and the file it was read from.
type Text struct {
	File      string
	Agreement *agreement.Agreement
}

// Together looks for texts that cannot both be signed: two of the same
// version of one arrangement.
func Together(list []Text, l agreement.Language) problem.List {
	texts := Load()
	var out problem.List
	for i, a := range list {
		for _, b := range list[:i] {
			if a.Agreement.ID != b.Agreement.ID || a.Agreement.Version != b.Agreement.Version {
				continue
			}
			one, err := a.Agreement.Digest()
			other, err2 := b.Agreement.Digest()
			if err == nil && err2 == nil && one != other {
				out = append(out, texts.problem("two-versions", l, a.File, "version", problem.Pos{}, []string{b.File, itoa(a.Agreement.Version), a.Agreement.ID}))
				break
			}
		}
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }

func short(digest string) string {
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}

// framework compares an undertaking with the framework it is given under.
func (c *checker) framework(at string, h *agreement.HostUndertaking) {
	if h.Framework == nil {
		return
	}
	path := bind.Join(at, "framework")
	if h.Framework.Digest == "" {
		c.find("framework-no-digest", path, h.By)
		return
	}
	if len(c.o.Frameworks) == 0 {
		return
	}
	f := c.o.Frameworks[h.Framework.Digest]
	if f == nil {
		c.find("framework-other-text", path, h.By, short(h.Framework.Digest))
		return
	}
	for _, key := range exceeded(f, h) {
		c.find("framework-exceeded", bind.Join(at, key), h.By, key)
	}
}
