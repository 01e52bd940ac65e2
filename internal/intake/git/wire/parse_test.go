package wire_test

import (
	"io"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/object"
)

func emptyPack() []byte { return gittest.EmptyPack(object.SHA1) }

// Names that break the rules are listed and go no further, and never turn
// into another name.
func TestRefusedNames(t *testing.T) {
	for name, data := range map[string][]byte{
		"v2": v2(one+" refs/heads/main\n", one+" refs/heads/../../config\n", one+" refs/heads/a b\n", one+" config\n", one+" refs/heads/x.lock\n",
			one+" refs/heads/d/e\n", one+" refs/heads/d\n", one+" refs/heads/d-\n", one+" refs/heads/d/f/g\n", one+" refs/heads/\x1b[31m\n", "0000"),
		"v0": v0(one+" refs/heads/main\n", one+" refs/heads/../../config\n", one+" refs/heads/a b\n", one+" config\n", one+" refs/heads/x.lock\n", two+" refs/heads/x.lock^{}\n",
			one+" refs/heads/d/e\n", one+" refs/heads/d\n", one+" refs/heads/d-\n", one+" refs/heads/d/f/g\n", one+" refs/heads/\x1b[31m\n", "0000"),
	} {
		l, err := talk(t, data).List()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var refs, refused []string
		for _, r := range l.Refs {
			refs = append(refs, r.Name)
		}
		for _, r := range l.Refused {
			refused = append(refused, r.Name)
			if r.Reason == "" {
				t.Errorf("%s: %q is refused without a reason", name, r.Name)
			}
		}
		if got, want := strings.Join(refs, " "), "refs/heads/d refs/heads/d- refs/heads/main"; got != want {
			t.Errorf("%s: refs %q, want %q", name, got, want)
		}
		if got, want := strings.Join(refused, "|"), "refs/heads/../../config|refs/heads/a b|config|refs/heads/x.lock|refs/heads/\x1b[31m|refs/heads/d/e|refs/heads/d/f/g"; got != want {
			t.Errorf("%s: refused %q, want %q", name, got, want)
		}
	}
}

func TestMalformedListings(t *testing.T) {
	for name, data := range map[string][]byte{
		"twice":            v2(one+" refs/heads/main\n", two+" refs/heads/main\n", "0000"),
		"short id":         v2(one[1:]+" refs/heads/main\n", "0000"),
		"upper case id":    v2(strings.Repeat("A", 40)+" refs/heads/main\n", "0000"),
		"zero id":          v2(strings.Repeat("0", 40)+" refs/heads/main\n", "0000"),
		"sha256 id":        v2(one+one[:24]+" refs/heads/main\n", "0000"),
		"bad peeled":       v2(one+" refs/tags/a peeled:x\n", "0000"),
		"no name":          v2(one+"\n", "0000"),
		"delimiter":        v2(one+" refs/heads/main\n", "0001"),
		"no ls-refs":       packets("version 2\n", "fetch\n", "0000"),
		"unknown format":   packets("version 2\n", "fetch\n", "ls-refs\n", "object-format=md5\n", "0000"),
		"no caps":          packets(one+" refs/heads/main\n", "0000"),
		"v0 delimiter":     v0("0001"),
		"version 3":        packets("version 3\n", "0000"),
		"flush in caps v1": packets("version 1\n", "0001"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := talk(t, data).List()
			check(t, err, escrow.Invalid, "source git://127.0.0.1/x")
		})
	}
	for name, data := range map[string][]byte{"v2": v2(one + " refs/heads/main\n"), "v0": v0(), "caps": packets("version 2\n"), "nothing": nil} {
		t.Run("cut "+name, func(t *testing.T) {
			_, err := talk(t, data).List()
			check(t, err, escrow.Unavailable, "EOF")
		})
	}
	big := make([]string, 0, 1002)
	for i := range 1001 {
		big = append(big, one+" refs/heads/"+strings.Repeat("a", i+1)+"\n")
	}
	_, err := talk(t, v2(append(big, "0000")...)).List()
	check(t, err, escrow.Invalid, "more than 1000 refs")
}

func TestMalformedAnswers(t *testing.T) {
	refs := []string{one + " refs/heads/main\n", "0000"}
	with := func(lines ...string) []string { return append(append([]string{}, refs...), lines...) }
	pack := string(emptyPack())
	for name, data := range map[string][]byte{
		"foreign ack":     v2(with("acknowledgments\n", "ACK "+one+"\n", "ready\n", "0001", "packfile\n", "\x01"+pack, "0000")...),
		"foreign ack v0":  v0(with("ACK "+one+" common\n", "NAK\n", "\x01"+pack, "0000")...),
		"unknown section": v2(with("wanted-refs\n", "0001", "packfile\n")...),
		"third round":     v2(with("acknowledgments\n", "NAK\n", "0000", "acknowledgments\n", "NAK\n", "0000")...),
		"endless acks":    v2(with("acknowledgments\n", "NAK\n", "NAK\n", "NAK\n", "NAK\n", "NAK\n", "0000")...),
		"odd ack":         v0(with("ACK " + two + " perhaps\n")...),
		"band 4":          v0(with("NAK\n", "\x04"+pack, "0000")...),
		"no band":         v0(with("NAK\n", "")...),
		"delimiter":       v0(with("NAK\n", "\x01"+pack, "0001")...),
	} {
		c := talk(t, data)
		l, err := c.List()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, err := c.Fetch(oids(l.Refs), []object.OID{parse(t, object.SHA1, two)})
		if err == nil {
			_, err = io.Copy(io.Discard, p)
		}
		if err == nil {
			t.Errorf("%s: passes", name)
			continue
		}
		check(t, err, escrow.Invalid)
	}
	for name, data := range answers() {
		c := talk(t, data)
		l, err := c.List()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		p, err := c.Fetch(oids(l.Refs), []object.OID{parse(t, object.SHA1, two)})
		if err == nil {
			_, err = io.Copy(io.Discard, p)
		}
		if (err != nil) != (name == "band 3") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
