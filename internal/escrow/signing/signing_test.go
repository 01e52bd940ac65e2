package signing_test

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/signing"
)

func now() time.Time { return time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC) }

func municipalities(t testing.TB, changes ...string) *agreement.Agreement {
	t.Helper()
	text, err := os.ReadFile("../../../examples/agreements/municipalities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		changed := bytes.Replace(text, []byte(changes[i]), []byte(changes[i+1]), 1)
		if bytes.Equal(changed, text) {
			t.Fatalf("no %q in the text", changes[i])
		}
		text = changed
	}
	a, problems := agreement.Parse("municipalities.yaml", text)
	if a == nil {
		t.Fatal(agreement.Refusal(problems))
	}
	return a
}

func due(t testing.TB, former, now *agreement.Agreement) []string {
	t.Helper()
	parts, err := signing.Parts(former, now)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range parts {
		if p.Due {
			out = append(out, p.ID)
		}
	}
	return out
}

// One beneficiary that joins signs its own parts with those who sign them too;
// no other beneficiary is asked for anything.
func TestOneJoins(t *testing.T) {
	former := municipalities(t)
	joined := municipalities(t, "  - {id: sv-e, role: beneficiary, name: Samenwerkingsverband E}\n",
		"  - {id: sv-e, role: beneficiary, name: Samenwerkingsverband E}\n  - {id: gem-f, role: beneficiary, name: Gemeente F}\n")
	want := []string{"toetreding/gem-f", "sla/gem-f", "dpa/gem-f"}
	if got := due(t, former, joined); !slices.Equal(got, want) {
		t.Errorf("one joins: due %v, want %v", got, want)
	}
	if got := due(t, joined, former); len(got) != 0 {
		t.Errorf("one leaves: due %v, want none", got)
	}
	if got := due(t, former, former); len(got) != 0 {
		t.Errorf("nothing changed: due %v", got)
	}
}

func version(t testing.TB) (escrow.AgreementVersion, []signing.Part) {
	t.Helper()
	parts, err := signing.Parts(nil, municipalities(t))
	if err != nil {
		t.Fatal(err)
	}
	return escrow.AgreementVersion{Arrangement: "belastingportaal", Digest: evidence.Digest([]byte("text")), Version: 1, State: escrow.VersionOffered,
		OfferedAt: now().Add(-time.Hour), ExpiresAt: now().Add(time.Hour)}, parts
}

func statement(v escrow.AgreementVersion, p signing.Part) evidence.PartStatement {
	offered := evidence.At(v.OfferedAt)
	return evidence.PartStatement{Arrangement: v.Arrangement, Agreement: v.Digest, Version: v.Version, Offered: &offered, Part: p.ID, Digest: p.Digest, RestsOn: p.RestsOn,
		States: evidence.PartSigned, Party: "gem-a", Person: "j-jansen", At: evidence.At(now())}
}

// A signature counts for the part, the version and the offer it was made for.
func TestCheck(t *testing.T) {
	v, parts := version(t)
	p := parts[slices.IndexFunc(parts, func(p signing.Part) bool { return p.ID == "sla/gem-a" })]
	tests := []struct {
		name   string
		change func(s *evidence.PartStatement)
		want   escrow.Code
	}{
		{"as offered", func(*evidence.PartStatement) {}, ""},
		{"another arrangement", func(s *evidence.PartStatement) { s.Arrangement = "other" }, escrow.Invalid},
		{"another version", func(s *evidence.PartStatement) { s.Version = 2 }, escrow.Conflict},
		{"another text", func(s *evidence.PartStatement) { s.Agreement = evidence.Digest(nil) }, escrow.Conflict},
		{"the same words for another part", func(s *evidence.PartStatement) { s.Part = "sla/gem-b" }, escrow.Conflict},
		{"no such part", func(s *evidence.PartStatement) { s.Part = "sla/gem-z" }, escrow.NotFound},
		{"another digest", func(s *evidence.PartStatement) { s.Digest = evidence.Digest(nil) }, escrow.Conflict},
		{"resting on nothing", func(s *evidence.PartStatement) { s.RestsOn = nil }, escrow.Conflict},
		{"an offer before", func(s *evidence.PartStatement) { o := evidence.At(v.OfferedAt.Add(-time.Second)); s.Offered = &o }, escrow.Conflict},
		{"dated before the offer", func(s *evidence.PartStatement) { s.At = evidence.At(v.OfferedAt.Add(-time.Hour)) }, escrow.Invalid},
		{"dated tomorrow", func(s *evidence.PartStatement) { s.At = evidence.At(now().Add(24 * time.Hour)) }, escrow.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := statement(v, p)
			tt.change(&s)
			if _, err := signing.Check(&s, v, parts, now()); escrow.CodeOf(err) != tt.want {
				t.Errorf("%v, want code %q", err, tt.want)
			}
		})
	}
}

func TestMayBeSigned(t *testing.T) {
	v, _ := version(t)
	for _, state := range []escrow.VersionState{escrow.VersionDraft, escrow.VersionActive, escrow.VersionRefused, escrow.VersionWithdrawn, escrow.VersionReplaced} {
		x := v
		x.State = state
		if err := signing.MayBeSigned(x, now()); escrow.CodeOf(err) != escrow.Conflict {
			t.Errorf("%s: %v", state, err)
		}
	}
	if err := signing.MayBeSigned(v, now()); err != nil {
		t.Error(err)
	}
	if err := signing.MayBeSigned(v, v.ExpiresAt); escrow.CodeOf(err) != escrow.Conflict {
		t.Errorf("the moment it expires: %v", err)
	}
}

func TestMaySign(t *testing.T) {
	list := escrow.Warrants{
		{Party: "a", Person: "jan", May: []escrow.Power{escrow.PowerSign}, Until: now().Add(time.Hour), Proof: "besluit"},
		{Party: "a", Person: "piet", May: []escrow.Power{escrow.PowerSign}, Proof: "deputy", DeputyFor: "jan"},
		{Party: "b", Person: "els", May: []escrow.Power{escrow.PowerSign}, Proof: "board", CallBack: true},
	}
	tests := []struct {
		name, party, person, deputy string
		at                          time.Duration
		s                           escrow.Situation
		want                        signing.Basis
		code                        escrow.Code
	}{
		{name: "named", party: "a", person: "jan", want: signing.Basis{Proof: "besluit"}},
		{name: "expired", party: "a", person: "jan", at: time.Hour, code: escrow.Forbidden},
		{name: "deputy while he can act", party: "a", person: "piet", deputy: "jan", code: escrow.Forbidden},
		{name: "deputy", party: "a", person: "piet", deputy: "jan", s: escrow.Situation{Away: []string{"jan"}}, want: signing.Basis{Proof: "deputy"}},
		{name: "deputy who does not say so", party: "a", person: "piet", s: escrow.Situation{Away: []string{"jan"}}, code: escrow.Forbidden},
		{name: "no deputy", party: "a", person: "jan", deputy: "piet", code: escrow.Forbidden},
		{name: "not named", party: "a", person: "kees", code: escrow.Forbidden},
		{name: "insolvent", party: "a", person: "jan", s: escrow.Situation{Insolvent: true}, code: escrow.Forbidden},
		{name: "call back", party: "b", person: "els", want: signing.Basis{Proof: "board", CallBack: true}},
		{name: "nobody is named", party: "c", person: "x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := signing.MaySign(list, tt.s, tt.party, tt.person, tt.deputy, now().Add(tt.at))
			if escrow.CodeOf(err) != tt.code || err == nil && got != tt.want {
				t.Errorf("%+v, %v; want %+v, code %q", got, err, tt.want, tt.code)
			}
		})
	}
}

// A copy counts with two people of different parties, whoever they are; a call
// back is another party's.
func TestMissing(t *testing.T) {
	copied := escrow.PartSignature{Part: "frame", Party: "a", Copy: "scan", OfferedAt: now()}
	called := escrow.PartSignature{Part: "frame", Party: "a", CallBack: true, OfferedAt: now()}
	word := func(of escrow.PartSignature, states, by string) escrow.PartWord {
		return escrow.PartWord{Part: of.Part, Party: of.Party, Copy: of.Copy, OfferedAt: of.OfferedAt, States: states, ByParty: by}
	}
	attests := func(by string) escrow.PartWord { return word(copied, evidence.PartCopyAttests, by) }
	other := attests("b")
	other.Copy = "another scan"
	earlier := attests("b")
	earlier.OfferedAt = now().Add(-time.Hour)
	tests := []struct {
		name   string
		s      escrow.PartSignature
		words  []escrow.PartWord
		counts bool
	}{
		{"by key", escrow.PartSignature{Part: "frame", Party: "a"}, nil, true},
		{"copy alone", copied, nil, false},
		{"one witness", copied, []escrow.PartWord{attests("a")}, false},
		{"two of one party", copied, []escrow.PartWord{attests("a"), attests("a")}, false},
		{"of another copy", copied, []escrow.PartWord{attests("a"), other}, false},
		{"of another offer", copied, []escrow.PartWord{attests("a"), earlier}, false},
		{"two", copied, []escrow.PartWord{attests("a"), attests("b")}, true},
		{"not called", called, nil, false},
		{"called by its own party", called, []escrow.PartWord{word(called, evidence.PartCalledBack, "a")}, false},
		{"called", called, []escrow.PartWord{word(called, evidence.PartCalledBack, "b")}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if missing := signing.Missing(tt.s, tt.words); (missing == "") != tt.counts {
				t.Errorf("missing %q, want counts=%v", missing, tt.counts)
			}
		})
	}
}

func TestForm(t *testing.T) {
	tests := []struct {
		form       string
		with       []string
		key, paper bool
	}{
		{"plain", nil, true, true},
		{"deed", nil, false, true},
		{"notarial", nil, false, true},
		{"plain", []string{"ssh"}, true, false},
		{"deed", []string{"qualified", "ink"}, false, true},
		{"plain", []string{"passkey"}, false, false},
	}
	for _, tt := range tests {
		p := signing.Part{ID: "frame", Form: tt.form, With: tt.with}
		if err := p.Allows(false); (err == nil) != tt.key {
			t.Errorf("%s %v by key: %v", tt.form, tt.with, err)
		}
		if err := p.Allows(true); (err == nil) != tt.paper {
			t.Errorf("%s %v on paper: %v", tt.form, tt.with, err)
		}
	}
}
