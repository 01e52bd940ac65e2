package agreement_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
)

// TestAuthorities: the last day of an authority counts to its end, in the
// agreement's zone, and a deputy acts only for somebody who cannot.
func TestAuthorities(t *testing.T) {
	list := parseExample(t, "municipalities.yaml").Authorities()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2028, 1, 1, 23, 59, 59, 0, zone)
	if err := list.Allow("gem-a", "j-jansen", escrow.PowerSign, last, escrow.Situation{}, false); err != nil {
		t.Errorf("on the last day: %v", err)
	}
	if err := list.Allow("gem-a", "j-jansen", escrow.PowerSign, last.Add(time.Second), escrow.Situation{}, false); err == nil || !strings.Contains(err.Error(), "ended on 2028-01-01") {
		t.Errorf("a second later: %v", err)
	}
	if err := list.Allow("gem-a", "m-de-boer", escrow.PowerClaim, last, escrow.Situation{}, false); err == nil {
		t.Error("the deputy acts although the other can")
	}
	if err := list.Allow("gem-a", "m-de-boer", escrow.PowerClaim, last, escrow.Situation{Away: []string{"j-jansen"}}, false); err != nil {
		t.Errorf("the deputy: %v", err)
	}
	if err := list.Allow("leverancier", "anybody", escrow.PowerContest, last, escrow.Situation{Insolvent: true}, false); err == nil {
		t.Error("somebody of an insolvent supplier acts")
	}
}

// TestPowersAreTheSame: the words of the language are the powers of the
// domain.
func TestPowersAreTheSame(t *testing.T) {
	f, ok := reflect.TypeOf(agreement.Authority{}).FieldByName("May")
	if !ok {
		t.Fatal("no May")
	}
	var want []string
	for _, p := range escrow.Powers() {
		want = append(want, string(p))
	}
	if got := f.Tag.Get("enum"); got != strings.Join(want, " ") {
		t.Errorf("the language has %q, the domain %q", got, want)
	}
}
