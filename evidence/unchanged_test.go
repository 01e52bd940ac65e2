package evidence_test

import (
	"strings"
	"testing"

	"holdfast/evidence"
)

func testUnchanged() evidence.Unchanged {
	digest := func(s string) string { return evidence.Digest([]byte(s)) }
	return evidence.Unchanged{Arrangement: "demo", Agreement: digest("text"), Module: "code", Number: 4, Deposit: digest("manifest"), State: digest("state"), At: testTime(), By: "supplier/bob"}
}

func TestUnchangedRules(t *testing.T) {
	for name, change := range map[string]func(*evidence.Unchanged){
		"arrangement": func(u *evidence.Unchanged) { u.Arrangement = "A" },
		"agreement":   func(u *evidence.Unchanged) { u.Agreement = "" },
		"module":      func(u *evidence.Unchanged) { u.Module = "../x" },
		"number":      func(u *evidence.Unchanged) { u.Number = 0 },
		"deposit":     func(u *evidence.Unchanged) { u.Deposit = strings.ToUpper(u.Deposit) },
		"state":       func(u *evidence.Unchanged) { u.State = "" },
		"time":        func(u *evidence.Unchanged) { u.At = evidence.Time{} },
		"by":          func(u *evidence.Unchanged) { u.By = "Bob Jones" },
	} {
		u := testUnchanged()
		change(&u)
		if _, err := u.Bytes(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestContentOfAManifest: what a manifest says about agreed content is names,
// each once.
func TestContentOfAManifest(t *testing.T) {
	m := &evidence.DepositManifest{Format: evidence.DepositFormat, Arrangement: "demo", Agreement: evidence.Digest(nil), Module: "code", Number: 1, Kind: "FULL", Chain: 1,
		Compartment: "materials", Epoch: 1, Set: evidence.Digest(nil), Objects: []evidence.ObjectEntry{{Name: evidence.Digest([]byte("o")), Size: 1, Role: "files"}},
		Completeness: "complete", Checked: evidence.Check{By: evidence.CheckedByDepositor}, Made: "2027-01-02T03:04:05Z", By: "supplier/bob"}
	for _, tt := range []struct {
		name string
		c    *evidence.ContentCheck
		ok   bool
	}{
		{"none", nil, true},
		{"both", &evidence.ContentCheck{Held: []string{"build.sh"}, Missing: []string{"docs/*"}}, true},
		{"empty", &evidence.ContentCheck{}, false},
		{"in both", &evidence.ContentCheck{Held: []string{"x"}, Missing: []string{"x"}}, false},
		{"words", &evidence.ContentCheck{Held: []string{"the build script"}}, false},
		{"steers a terminal", &evidence.ContentCheck{Missing: []string{"\x1b[2J"}}, false},
	} {
		m.Content = tt.c
		document, err := evidence.Canonical(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.ParseDepositManifest(document); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
