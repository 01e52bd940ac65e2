package agreement_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow/agreement"
)

// orchard is a whole agreement with something changed.
func orchard(t *testing.T, changes ...string) *agreement.Agreement {
	t.Helper()
	data, err := os.ReadFile("testdata/broken/accept-level-five.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(append([]string{", accept: {level: 5}", ""}, changes...)...).Replace(string(data))
	a, problems := agreement.Parse("orchard", []byte(text))
	if a == nil {
		t.Fatal(agreement.Refusal(problems))
	}
	return a
}

func TestRetention(t *testing.T) {
	at := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	a := orchard(t, "every: 1h,", "every: 1h, retention: {versions: 3, for: 1mo, level: 2},",
		"expect_every: 24h,", "expect_every: 24h, max_age: 400d, at_end: {rule: destroy, within: 10d},",
		"application:", "term: {start: 2026-01-01, lasts: 2y}\napplication:")
	p := a.Retention("code")
	if p.Versions != 3 || p.Level != 2 || p.MaxAge != nil || !p.EndsAt.IsZero() {
		t.Errorf("code: %+v", p)
	}
	if got := p.For(at); got.UTC().Format(time.DateOnly) != "2027-02-28" {
		t.Errorf("a month from %s is %s", at, got)
	}
	p = a.Retention("data/acme")
	if got := p.MaxAge(at); got.Sub(at) < 400*24*time.Hour-time.Hour || got.Sub(at) > 400*24*time.Hour+time.Hour {
		t.Errorf("400 days from %s is %s", at, got)
	}
	if got := p.EndsAt.In(time.UTC).Format(time.RFC3339); got != "2028-01-10T23:00:00Z" {
		t.Errorf("the data must be gone by %s", got)
	}
	for _, id := range []string{"data", "data/nobody", "attic"} {
		if p := a.Retention(id); !p.Keeps() || p.MaxAge != nil {
			t.Errorf("%s, which is not there: %+v", id, p)
		}
	}
	if owner := a.OwnerOf("acme"); owner != "acme" || a.OwnerOf("") != "" {
		t.Errorf("owner %q", owner)
	}
	renews := orchard(t, "expect_every: 24h,", "expect_every: 24h, at_end: {rule: destroy},", "application:", "term: {start: 2026-01-01, lasts: 2y, renews: 1y}\napplication:")
	if p := renews.Retention("data/acme"); !p.EndsAt.IsZero() {
		t.Errorf("a term that renews ends on %s", p.EndsAt)
	}
}
