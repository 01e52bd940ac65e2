package term_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/term"
)

func load(t *testing.T, edit func(string) string) *agreement.Agreement {
	t.Helper()
	data, err := os.ReadFile("../../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if edit != nil {
		text = edit(text)
	}
	a, problems := agreement.Parse("municipalities.yaml", []byte(text))
	if a == nil {
		t.Fatal(problems)
	}
	return a
}

func at(s string) time.Time {
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		panic(err)
	}
	day, err := time.ParseInLocation("2006-01-02", s, zone)
	if err != nil {
		panic(err)
	}
	return day
}

func find(t *testing.T, list []term.Item, id string) term.Item {
	t.Helper()
	for _, i := range list {
		if i.ID == id {
			return i
		}
	}
	var ids []string
	for _, i := range list {
		ids = append(ids, i.ID)
	}
	t.Fatalf("no %s in %s", id, strings.Join(ids, ", "))
	return term.Item{}
}

// frame is the id of the example's frame part.
const frame = "part/mantel"

// TestTermGoesOn: the example runs four years from 2027, goes on by a year,
// and notice is to be given half a year before.
func TestTermGoesOn(t *testing.T) {
	notice := func(day string) []escrow.TermFact {
		return []escrow.TermFact{{Kind: escrow.NoticeGiven, About: frame, Party: "leverancier", Digest: "d", RecordedAt: at(day)}}
	}
	for _, c := range []struct {
		now, given  string
		state       term.State
		date, until string // first moment after the last day; notice before
	}{
		{"2026-12-31", "", term.NotBegun, "2031-01-01", "2030-07-01"},
		{"2028-06-01", "", term.Running, "2031-01-01", "2030-07-01"},
		{"2030-05-10", "", term.Closing, "2031-01-01", "2030-07-01"},
		{"2030-07-02", "", term.Running, "2031-01-01", "2030-07-01"},
		{"2031-01-01", "", term.Running, "2032-01-01", "2031-07-01"},
		{"2040-03-01", "", term.Running, "2041-01-01", "2040-07-01"},
		{"2030-06-01", "2030-05-20", term.Ending, "2031-01-01", ""},
		{"2031-01-01", "2030-05-20", term.Ended, "2031-01-01", ""},
		{"2030-08-01", "2030-07-02", term.Ending, "2032-01-01", ""}, // too late: it goes on once more
		{"2032-01-01", "2030-07-02", term.Ended, "2032-01-01", ""},
		{"2030-07-01", "2030-07-01", term.Ending, "2031-01-01", ""},
	} {
		var facts []escrow.TermFact
		if c.given != "" {
			facts = notice(c.given)
		}
		i := find(t, term.Of(load(t, nil), facts, at(c.now)), frame)
		until := ""
		if !i.Notice.IsZero() {
			until = i.Notice.Format(time.DateOnly)
		}
		if i.State != c.state || !i.Date.Equal(at(c.date)) || until != c.until {
			t.Errorf("on %s, notice %q: %s until %s, notice before %q; want %s %s %q", c.now, c.given, i.State, i.Date.Format(time.DateOnly), until, c.state, c.date, c.until)
		}
	}
}

// TestRenewedByHand: what was agreed on paper moves the end.
func TestRenewedByHand(t *testing.T) {
	a := load(t, func(s string) string { return strings.Replace(s, "renews: 1y, ", "", 1) })
	if i := find(t, term.Of(a, nil, at("2031-01-01")), frame); i.State != term.Ended {
		t.Errorf("without renewal: %s", i.State)
	}
	facts := []escrow.TermFact{{Kind: escrow.TermRenewed, About: frame, Until: "2031-12-31", Digest: "d"}}
	if i := find(t, term.Of(a, facts, at("2031-01-01")), frame); i.State != term.Running || !i.Date.Equal(at("2032-01-01")) || i.Digest != "d" {
		t.Errorf("renewed: %+v", i)
	}
	facts[0].Until = "2030-01-01" // a renewal never makes it shorter
	if i := find(t, term.Of(a, facts, at("2031-01-01")), frame); i.State != term.Ended {
		t.Errorf("renewed to an earlier day: %s", i.State)
	}
}

// TestArrears: arrears stand until somebody paid, and who paid is told apart.
func TestArrears(t *testing.T) {
	a := load(t, nil)
	list := term.Of(a, nil, at("2027-03-01"))
	at0 := slices.IndexFunc(list, func(i term.Item) bool { return i.Kind == "fee" })
	if at0 < 0 {
		t.Fatal("the example has no fee")
	}
	id := list[at0].ID
	facts := []escrow.TermFact{}
	step := func(k escrow.TermFactKind, until, on string, want term.State) {
		t.Helper()
		facts = append(facts, escrow.TermFact{Kind: k, About: id, Until: until, RecordedAt: at(on)})
		if i := find(t, term.Of(a, facts, at(on)), id); i.State != want {
			t.Errorf("after %s on %s: %s, want %s", k, on, i.State, want)
		}
	}
	step(escrow.FeePaid, "2027-12-31", "2027-03-01", term.OK)
	step(escrow.FeeArrears, "", "2028-01-15", term.Arrears)
	step(escrow.FeeCured, "2028-12-31", "2028-02-01", term.Cured)
	if i := find(t, term.Of(a, facts, at("2029-01-01")), id); i.State != term.Overdue {
		t.Errorf("when the cure has run out: %s", i.State)
	}
	step(escrow.FeePaid, "2029-12-31", "2029-01-02", term.OK)
	if i := list[at0]; !i.MayCure || i.MaySuspend {
		t.Errorf("the example lets a beneficiary cure and never suspends: %+v", i)
	}
}

// TestEachOnlyItsOwn: no party sees a promise that names another customer, and
// a customer sees its own.
func TestEachOnlyItsOwn(t *testing.T) {
	a := load(t, nil)
	customers := a.WithRole(escrow.Beneficiary)
	list := term.Of(a, nil, at("2028-06-01"), append([]string{"nobody"}, customers...)...)
	for _, party := range customers {
		own := 0
		for _, i := range term.For(list, party) {
			for _, other := range customers {
				if other != party && (strings.HasSuffix(i.ID, "/"+other) || strings.Contains(i.ID, "/"+other+"/")) {
					t.Errorf("%s sees %s", party, i.ID)
				}
			}
			if strings.HasSuffix(i.ID, "/"+party) {
				own++
			}
		}
		if own == 0 {
			t.Errorf("%s sees nothing of its own", party)
		}
	}
	if len(term.For(list, "nobody")) != 0 {
		t.Error("a stranger sees something")
	}
	for _, m := range term.Reminders(list, at("2028-06-01")) {
		for _, p := range m.To {
			if !slices.Contains(m.Item.Seen, p) {
				t.Errorf("%s is told of %s and may not see it", p, m.Item.ID)
			}
		}
	}
}

// TestRemindersAreFew: however often it is looked, over a year near the end
// each date gives one reminder for each lead time.
func TestRemindersAreFew(t *testing.T) {
	a := load(t, func(s string) string { return strings.Replace(s, "renews: 1y, notice: 6mo", "notice: 6mo", 1) })
	keys := map[string]int{}
	for now := at("2030-09-01"); now.Before(at("2031-03-01")); now = now.Add(31 * time.Hour) {
		for _, m := range term.Reminders(term.Of(a, nil, now), now) {
			if m.Item.ID == frame {
				keys[m.Key]++
			}
		}
	}
	want := []string{"term.ended/" + frame + "/2030-12-31", "term.ending/" + frame + "/2030-12-31/14", "term.ending/" + frame + "/2030-12-31/60"}
	var got []string
	for k := range keys {
		got = append(got, k)
	}
	slices.Sort(got)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("reminders\n got %q\nwant %q", got, want)
	}
}

// TestSubjectsAreOneLine: in both languages, for every kind.
func TestSubjectsAreOneLine(t *testing.T) {
	zone := at("2030-01-01").Location()
	for _, lang := range []string{"nl", "en"} {
		seen := map[string]bool{}
		for _, kind := range []string{"term.due", "term.closing", "term.ending", "term.ended", "term.overdue", "term.arrears"} {
			s := term.Subject(term.Reminder{Item: term.Item{ID: "part/mantel", Part: "mantel", Kind: "part", MayCure: true}, Kind: kind, Date: at("2031-01-01")}, zone, lang)
			if err := escrow.OneLine("subject", s, 300); err != nil || seen[s] || !strings.Contains(s, "20") {
				t.Errorf("%s %s: %q %v", lang, kind, s, err)
			}
			seen[s] = true
		}
	}
}
