package accession_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/accession"
	"holdfast/internal/escrow/signing"
)

func text(t testing.TB, changes ...string) []byte {
	t.Helper()
	data, err := os.ReadFile("../../../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		changed := bytes.Replace(data, []byte(changes[i]), []byte(changes[i+1]), 1)
		if bytes.Equal(changed, data) {
			t.Fatalf("no %q in the text", changes[i])
		}
		data = changed
	}
	return data
}

func parse(t testing.TB, data []byte) *agreement.Agreement {
	t.Helper()
	a, problems := agreement.Parse("text", data)
	if a == nil {
		t.Fatalf("%v\n%s", agreement.Refusal(problems), data)
	}
	return a
}

func joiner() accession.Joiner {
	return accession.Joiner{ID: "gem-f", Name: `Gemeente "F"`, Register: map[string]string{"nl_kvk": "01012345"},
		People:    []agreement.Person{{ID: "f-fox", Name: "F. Fox", Email: "fox@f.example"}},
		Authority: []agreement.Authority{{Person: "f-fox", May: []string{"claim", "sign"}, Until: "2030-01-01", Proof: "besluit: 12 #3"}}}
}

// Joining and leaving again says what was said before, but for the version;
// every line that is not about the joiner stays, comments and all.
func TestJoinAndLeave(t *testing.T) {
	before := text(t)
	joined, err := accession.Join(before, joiner())
	if err != nil {
		t.Fatal(err)
	}
	a, former := parse(t, joined), parse(t, before)
	digest, err := former.Digest()
	if err != nil {
		t.Fatal(err)
	}
	p := a.Party("gem-f")
	if p == nil || p.Name != `Gemeente "F"` || p.Register["nl_kvk"] != "01012345" || len(p.People) != 1 || a.Version != 2 || a.Replaces != digest {
		t.Fatalf("version %d replaces %q, party %+v", a.Version, a.Replaces, p)
	}
	kept := map[string]int{}
	for _, l := range strings.Split(string(joined), "\n") {
		kept[l]++
	}
	for _, l := range strings.Split(string(before), "\n") {
		if l != "version: 1" && kept[l] == 0 {
			t.Errorf("the line %q is gone", l)
		}
	}
	left, err := accession.Leave(joined, "gem-f")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(string(before), "\n")
	got := strings.Split(string(left), "\n")
	if len(got) != len(want)+1 { // replaces
		t.Errorf("%d lines became %d:\n%s", len(want), len(got), cmp.Diff(want, got))
	}
	b := parse(t, left)
	if diff := cmp.Diff(former.Narrowed(func(a *agreement.Agreement) { a.Version, a.Replaces = 0, "" }).Tree(), b.Narrowed(func(a *agreement.Agreement) { a.Version, a.Replaces = 0, "" }).Tree()); diff != "" {
		t.Errorf("what is said changed (-before +after):\n%s", diff)
	}
}

// Nobody but the joiner and those whom its own parts name signs anything, and
// for a leave nobody does.
func TestNobodyElseSigns(t *testing.T) {
	former := parse(t, text(t))
	joined, err := accession.Join(text(t), joiner())
	if err != nil {
		t.Fatal(err)
	}
	left, err := accession.Leave(text(t), "gem-c")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text []byte
		due  int
	}{"join": {joined, 3}, "leave": {left, 0}} {
		parts, err := signing.Parts(former, parse(t, c.text))
		if err != nil {
			t.Fatal(err)
		}
		due := 0
		for _, p := range parts {
			if !p.Due {
				continue
			}
			due++
			if !strings.HasSuffix(p.ID, "/gem-f") {
				t.Errorf("%s: part %s has to be signed again", name, p.ID)
			}
			for _, s := range p.Sign {
				if s != "gem-f" && strings.HasPrefix(s, "gem-") || s == "sv-e" {
					t.Errorf("%s: %s is asked to sign %s", name, s, p.ID)
				}
			}
		}
		if due != c.due {
			t.Errorf("%s: %d parts are due, want %d", name, due, c.due)
		}
	}
}

// A text that its authors wrote in another way is written anew, and says the
// same.
func TestOtherStyles(t *testing.T) {
	a := parse(t, text(t))
	canonical, err := a.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	crlf := bytes.ReplaceAll(text(t), []byte("\n"), []byte("\r\n"))
	for name, data := range map[string][]byte{"canonical": canonical, "line ends of Windows": crlf,
		"no authority": text(t, text3(t), "")} {
		joined, err := accession.Join(data, joiner())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p := parse(t, joined).Party("gem-f"); p == nil {
			t.Errorf("%s: nobody joined", name)
		}
		if left, err := accession.Leave(joined, "gem-f"); err != nil || parse(t, left).Party("gem-f") != nil {
			t.Errorf("%s: leave: %v", name, err)
		}
	}
}

// text3 is the authority section of the example.
func text3(t testing.TB) string {
	s := string(text(t))
	return s[strings.Index(s, "authority:\n"):strings.Index(s, "parts:\n")]
}

func TestJoinRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*accession.Joiner)
		want   string
		code   escrow.Code
	}{
		"twice":              {func(j *accession.Joiner) { j.ID = "gem-b" }, "gem-b is a party already", escrow.Conflict},
		"id of the supplier": {func(j *accession.Joiner) { j.ID = "leverancier" }, "is a party already, as supplier", escrow.Conflict},
		"id of a person":     {func(j *accession.Joiner) { j.ID = "j-jansen" }, "names something else", escrow.Conflict},
		"id of a part":       {func(j *accession.Joiner) { j.ID = "mantel" }, "names something else", escrow.Conflict},
		"controlled":         {func(j *accession.Joiner) { j.Controlled = "leverancier" }, "it is controlled by leverancier", escrow.Conflict},
		"controlled further": {func(j *accession.Joiner) { j.Controlled = "ip" }, "it is controlled by ip", escrow.Conflict},
		"the supplier's own": {func(j *accession.Joiner) { j.Register = map[string]string{"nl_kvk": "99098123"} }, "nl_kvk 99098123 is leverancier", escrow.Conflict},
		"a word":             {func(j *accession.Joiner) { j.ID = "beneficiaries" }, "", escrow.Invalid},
		"hostile id":         {func(j *accession.Joiner) { j.ID = "x, role: supplier" }, "", escrow.Invalid},
		"hostile name":       {func(j *accession.Joiner) { j.Name = "a\u202eb" }, "", escrow.Invalid},
		"no name":            {func(j *accession.Joiner) { j.Name = "" }, "", escrow.Invalid},
		"person twice":       {func(j *accession.Joiner) { j.People[0].ID = "j-jansen"; j.Authority[0].Person = "j-jansen" }, "", escrow.Invalid},
		"no such number":     {func(j *accession.Joiner) { j.Register["nl_kvk"] = "1" }, "", escrow.Invalid},
		"no such power":      {func(j *accession.Joiner) { j.Authority[0].May = []string{"rule"} }, "", escrow.Invalid},
	} {
		j := joiner()
		c.change(&j)
		_, err := accession.Join(text(t), j)
		if err == nil || escrow.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s with %q", name, err, c.code, c.want)
		}
	}
}

func TestLeaveRefused(t *testing.T) {
	one := text(t, "  - {id: gem-b, role: beneficiary, name: Gemeente B}\n", "", "  - {id: gem-c, role: beneficiary, name: Gemeente C}\n", "",
		"  - {id: gem-d, role: beneficiary, name: Gemeente D}\n", "", "  - {id: sv-e, role: beneficiary, name: Samenwerkingsverband E}\n", "", "votes: 3", "votes: 1")
	for name, c := range map[string]struct {
		text  []byte
		party string
		want  string
	}{
		"nobody":              {text(t), "gem-x", "no beneficiary"},
		"the supplier":        {text(t), "leverancier", "no beneficiary"},
		"holds a share":       {text(t), "gem-a", "gem-a holds a share of the key of materials"},
		"attends":             {text(t, "attend: [gem-a]", "attend: [gem-c]"), "gem-c", "verification[0].attend[0]"},
		"the votes need five": {text(t, "votes: 3", "votes: 5"), "gem-b", "release.claims"},
		"the last":            {one, "gem-a", "last beneficiary"},
	} {
		_, err := accession.Leave(c.text, c.party)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Who holds a licence of its own leaves with it, and with what concerns that
// licence alone; a right that the frame gives it by name has to go first.
func TestLeaveWithLicence(t *testing.T) {
	data, err := os.ReadFile("../../../../examples/agreements/licences.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := accession.Leave(data, "acme"); err == nil || !strings.Contains(err.Error(), "rights[0].holder[0]") {
		t.Errorf("a right names acme: %v", err)
	}
	left, err := accession.Leave(bytes.Replace(data, []byte("holder: [acme, zorg]"), []byte("holder: [zorg]"), 1), "acme")
	if err != nil {
		t.Fatal(err)
	}
	if a := parse(t, left); len(a.Licences) != 1 || len(a.Environments) != 1 || len(a.UseTerms) != 1 || bytes.Contains(left, []byte("acme")) {
		t.Errorf("something of acme stayed:\n%s", left)
	}
}

func TestEarliest(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, zone) }
	const term = "term: {start: 2027-01-01, lasts: 4y, renews: 1y, notice: 6mo, first_deposit_before: 2027-02-01}"
	own := func(s string) []string {
		return []string{"rests_on: [mantel]}", "rests_on: [mantel], term: " + s + "}"}
	}
	for name, c := range map[string]struct {
		changes []string
		now     time.Time
		want    time.Time
	}{
		"the first term":       {nil, day(2028, 3, 1), day(2031, 1, 1)},
		"too late for it":      {nil, day(2030, 7, 2), day(2032, 1, 1)},
		"just in time":         {nil, day(2030, 7, 1), day(2031, 1, 1)},
		"long after":           {nil, day(2040, 7, 2), day(2042, 1, 1)},
		"its own notice":       {own("{notice: 3mo}"), day(2027, 11, 30), day(2028, 2, 29)},
		"no notice":            {own("{notice: 0d}"), day(2027, 11, 30), day(2027, 11, 30)},
		"its own end":          {own("{end: 2028-06-30, notice: 1mo}"), day(2027, 11, 30), day(2028, 7, 1)},
		"its own end is past":  {own("{end: 2028-06-30, notice: 1mo}"), day(2029, 1, 1), day(2029, 2, 1)},
		"no term at all":       {[]string{term, ""}, day(2027, 1, 1), day(2027, 1, 1)},
		"renews by the minute": {own("{end: 2027-01-01, renews: 1m, notice: 1d}"), day(2029, 1, 1), day(2029, 1, 2)},
	} {
		a := parse(t, text(t, c.changes...))
		if got := accession.Earliest(a, c.now); !got.Equal(c.want) {
			t.Errorf("%s: notice on %s frees on %s, want %s", name, c.now.Format(time.DateOnly), got.Format(time.DateOnly), c.want.Format(time.DateOnly))
		}
	}
}

// FuzzJoin holds that whatever a joiner calls itself, the text says exactly
// one party more and nothing else, or there is no text.
func FuzzJoin(f *testing.F) {
	source := text(f)
	former := parse(f, source)
	f.Add("gem-f", "Gemeente F", "f-fox", "F. Fox", "besluit 12")
	f.Add("gem-f", "\"}\n  - {id: x, role: agent", "f", "{}", "# no")
	f.Add("gem-f", "a\\nb", "f-fox", "'", "\\\"")
	f.Fuzz(func(t *testing.T, id, name, person, full, proof string) {
		joined, err := accession.Join(source, accession.Joiner{ID: id, Name: name, People: []agreement.Person{{ID: person, Name: full}},
			Authority: []agreement.Authority{{Person: person, May: []string{"sign"}, Proof: proof}}})
		if err != nil {
			return
		}
		a, _ := agreement.Parse("text", joined)
		if a == nil {
			t.Fatalf("the text does not parse:\n%s", joined)
		}
		if len(a.Parties) != len(former.Parties)+1 || len(a.Authority) != len(former.Authority)+1 {
			t.Fatalf("%d parties and %d authorities", len(a.Parties), len(a.Authority))
		}
		left, err := accession.Leave(joined, id)
		if err != nil {
			t.Fatalf("%q joined and cannot leave: %v", id, err)
		}
		b, _ := agreement.Parse("text", left)
		if b == nil || len(b.Parties) != len(former.Parties) || len(b.Authority) != len(former.Authority) {
			t.Fatalf("after leaving:\n%s", left)
		}
	})
}
