package evidence_test

import (
	"bytes"
	"errors"
	"testing"

	"holdfast/evidence"
)

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		name string
		in   any
		want string
	}{
		{"keys sort by UTF-16, so an astral key comes before U+FF00", map[string]any{"\uff00": 1, "\U0001F600": 2, "a": 3}, "{\"a\":3,\"\U0001F600\":2,\"\uff00\":1}"},
		{"no HTML escaping", "<a&b>", `"<a&b>"`},
		{"control characters in RFC 8785 form", "\b\f\n\r\t\x01\u2028", "\"\\b\\f\\n\\r\\t\\u0001\u2028\""},
		{"largest integer", int64(1<<53 - 1), "9007199254740991"},
	} {
		got, err := evidence.Canonical(c.in)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	for _, bad := range []any{1.5, int64(1 << 53), map[string]any{"x": 1e300}} {
		if got, err := evidence.Canonical(bad); !errors.Is(err, evidence.ErrNotCanonical) {
			t.Errorf("Canonical(%v) = %s, %v; want ErrNotCanonical", bad, got, err)
		}
	}
}

func TestIsID(t *testing.T) {
	for _, ok := range []string{"a", "gem-a", "data/gem-a", "us-365n", "a_b"} {
		if !evidence.IsID(ok) {
			t.Errorf("%q refused", ok)
		}
	}
	for _, bad := range []string{"", "-a", "A", "a/", "/a", "a//b", "a/-b", "..", "a/../b", "a b", "é", "a\n", string(bytes.Repeat([]byte("a"), 129))} {
		if evidence.IsID(bad) {
			t.Errorf("%q accepted", bad)
		}
	}
}

// FuzzDepositManifest: whatever parses renders to the same bytes again.
func FuzzDepositManifest(f *testing.F) {
	m := evidence.DepositManifest{
		Format: evidence.DepositFormat, Arrangement: "a", Agreement: evidence.Digest(nil), Module: "code", Number: 1,
		Kind: "FULL", Chain: 1, Compartment: "materials", Epoch: 1, Set: evidence.Digest([]byte("set")), Completeness: "complete",
		Checked: evidence.Check{By: "server", How: "test"}, Made: "2027-01-02T03:04:05Z", By: "server", State: evidence.Digest([]byte("state")),
		Objects: []evidence.ObjectEntry{{Name: evidence.Digest([]byte("x")), Size: 1, Role: "git"}},
		Git:     &evidence.GitSummary{ObjectFormat: "sha1", Refs: 1},
	}
	seed, err := evidence.Canonical(m)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := evidence.ParseDepositManifest(seed); err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"format":"holdfast-deposit/v1"}`))
	f.Add(bytes.Replace(seed, []byte(`"number":1`), []byte(`"number":1.0`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := evidence.ParseDepositManifest(data)
		if err != nil {
			return
		}
		again, err := evidence.Canonical(m)
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("parsed %q, rendered %q, %v", data, again, err)
		}
	})
}
