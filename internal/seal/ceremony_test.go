package seal_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// person is one human with both keys.
type person struct {
	party, name string
	identity    *age.HybridIdentity
	signer      ssh.Signer
}

func newPerson(t testing.TB, party, name string) person {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return person{party, name, hybrid(t), signer}
}

func (p person) contact(t testing.TB) evidence.Contact {
	t.Helper()
	card, err := evidence.SignContact(evidence.Contact{Party: p.party, Person: p.name, Recipient: p.identity.Recipient().String(), Created: evidence.At(now())}, p.signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := evidence.ParseContact(card)
	if err != nil {
		t.Fatal(err)
	}
	return *c
}

func (p person) recipient() evidence.KeyRecipient {
	return evidence.KeyRecipient{Party: p.party, Person: p.name, Recipient: p.identity.Recipient().String()}
}

func (p person) holder() seal.Holder { return seal.Holder{Trustee: p.party, Person: p.name} }

func now() time.Time { return time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC) }

// scene is a ceremony with everybody who takes part.
type scene struct {
	c        seal.Ceremony
	dealer   person
	people   map[string][]person // by trustee
	operator person
	claimant person
	dealt    *seal.Dealt
}

// newScene prepares n trustees t1…tn with two people each, of whom the last
// `independent` form a class of which one is needed.
func newScene(t testing.TB, k, n, independent int) *scene {
	t.Helper()
	s := &scene{
		dealer: newPerson(t, "supplier", "dora"), operator: newPerson(t, "standby", "sam"), claimant: newPerson(t, "gem-a", "anna"),
		people: make(map[string][]person),
	}
	s.c = seal.Ceremony{
		Arrangement: "portal", Agreement: evidence.Digest([]byte("agreement")), Compartment: "materials", Epoch: 1, Threshold: k,
		Recipients: []evidence.KeyRecipient{s.operator.recipient(), s.claimant.recipient()},
		Party:      "supplier", Person: "dora", Created: now(),
	}
	class := seal.Class{Name: "independent", Threshold: 1}
	for i := 1; i <= n; i++ {
		party := fmt.Sprintf("t%d", i)
		o := seal.Organisation{Party: party}
		for _, name := range []string{"a", "b"} {
			p := newPerson(t, party, party+name)
			s.people[party] = append(s.people[party], p)
			o.People = append(o.People, p.contact(t))
		}
		s.c.Trustees = append(s.c.Trustees, o)
		if i > n-independent {
			class.Members = append(class.Members, party)
		}
	}
	if independent > 0 {
		s.c.Classes = []seal.Class{class}
	}
	return s
}

func (s *scene) deal(t testing.TB) *scene {
	t.Helper()
	var err error
	if s.dealt, err = seal.Deal(rand.Reader, s.c, s.dealer.signer); err != nil {
		t.Fatal(err)
	}
	return s
}

// share opens the package of a trustee's first person.
func (s *scene) share(t testing.TB, party string) *seal.Share {
	t.Helper()
	return s.shareOf(t, s.people[party][0])
}

func (s *scene) shareOf(t testing.TB, p person) *seal.Share {
	t.Helper()
	for _, pkg := range s.dealt.Packages {
		if pkg.Trustee == p.party && pkg.Person == p.name {
			share, err := seal.OpenShare(s.dealt.Manifest, p.holder(), pkg.Sealed, p.identity)
			if err != nil {
				t.Fatal(err)
			}
			return share
		}
	}
	t.Fatalf("no package for %s/%s", p.party, p.name)
	return nil
}

func (s *scene) offered(t testing.TB, parties ...string) []seal.Offered {
	t.Helper()
	var list []seal.Offered
	for _, p := range parties {
		list = append(list, seal.Offered{Name: p + ".txt", Text: s.share(t, p).Text})
	}
	return list
}

// wantCode fails unless err has the code and says every word.
func wantCode(t testing.TB, err error, code escrow.Code, words ...string) {
	t.Helper()
	if escrow.CodeOf(err) != code {
		t.Fatalf("code %q, want %q: %v", escrow.CodeOf(err), code, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("%q does not say %q", err, w)
		}
	}
}

func TestCeremonyIsWholeAndSigned(t *testing.T) {
	s := newScene(t, 3, 5, 2).deal(t)
	m, err := seal.OpenManifest(s.dealt.Document, s.dealt.Signature)
	if err != nil {
		t.Fatal(err)
	}
	if m.Required != 5 || len(s.dealt.Packages) != 10 || len(m.Parts) != 2 {
		t.Errorf("required %d, %d packages, %d parts", m.Required, len(s.dealt.Packages), len(m.Parts))
	}
	for party, people := range s.people {
		if a, b := s.shareOf(t, people[0]), s.shareOf(t, people[1]); !bytes.Equal(a.Text, b.Text) {
			t.Errorf("%s: two people hold different texts", party)
		}
		if s.share(t, party).Digest != m.Trustee(party).Share {
			t.Errorf("%s: digest differs from the manifest", party)
		}
	}
	forged := bytes.Replace(s.dealt.Document, []byte(`"required":5`), []byte(`"required":3`), 1)
	_, err = seal.OpenManifest(forged, s.dealt.Signature)
	wantCode(t, err, escrow.Invalid, "signature", "supplier/dora")
}

func TestCeremonyDoesNotShowItsSecret(t *testing.T) {
	s := newScene(t, 2, 3, 0).deal(t)
	c, err := seal.Combine(s.offered(t, "t1", "t2"), nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := c.Identity.String()
	public := string(s.dealt.Document) + string(s.dealt.Signature)
	for _, p := range s.dealt.Packages {
		public += string(p.Sealed)
	}
	for _, party := range []string{"t1", "t2", "t3"} {
		for _, p := range s.share(t, party).Parts {
			if strings.Contains(public, p.Share.String()) || strings.Contains(public, p.Blind.String()) {
				t.Errorf("the share of %s is readable", party)
			}
		}
	}
	if strings.Contains(public, secret) {
		t.Error("the release identity is readable")
	}
}

func TestBadCeremoniesAreRefused(t *testing.T) {
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*seal.Ceremony){
		"threshold 0":       func(c *seal.Ceremony) { c.Threshold = 0 },
		"threshold above n": func(c *seal.Ceremony) { c.Threshold = 6 },
		"no trustees":       func(c *seal.Ceremony) { c.Trustees = nil },
		"trustee twice":     func(c *seal.Ceremony) { c.Trustees[1] = c.Trustees[0] },
		"trustee without people": func(c *seal.Ceremony) {
			c.Trustees[2].People = nil
		},
		"card of another party": func(c *seal.Ceremony) {
			c.Trustees[0].People, c.Trustees[1].People = c.Trustees[1].People, c.Trustees[0].People
		},
		"person twice":             func(c *seal.Ceremony) { c.Trustees[0].People[1] = c.Trustees[0].People[0] },
		"one name, two people":     func(c *seal.Ceremony) { c.Trustees[1].People[0].Person = c.Trustees[0].People[0].Person },
		"one key, two names":       func(c *seal.Ceremony) { c.Trustees[1].People[0].Key = c.Trustees[0].People[0].Key },
		"one recipient, two names": func(c *seal.Ceremony) { c.Trustees[1].People[0].Recipient = c.Trustees[0].People[0].Recipient },
		"class of one":             func(c *seal.Ceremony) { c.Classes[0].Members = c.Classes[0].Members[:1] },
		"class member unknown":     func(c *seal.Ceremony) { c.Classes[0].Members[0] = "stranger" },
		"class member twice":       func(c *seal.Ceremony) { c.Classes[0].Members[0] = c.Classes[0].Members[1] },
		"class asks too much":      func(c *seal.Ceremony) { c.Classes[0].Threshold = 3 },
		"class named all":          func(c *seal.Ceremony) { c.Classes[0].Name = "all" },
		"class twice":              func(c *seal.Ceremony) { c.Classes = append(c.Classes, c.Classes[0]) },
		"required too few":         func(c *seal.Ceremony) { c.Required = 2 },
		"required too many":        func(c *seal.Ceremony) { c.Required = 6 },
		"no recipients":            func(c *seal.Ceremony) { c.Recipients = nil },
		"classic recipient":        func(c *seal.Ceremony) { c.Recipients[0].Recipient = classic.Recipient().String() },
		"recipient twice":          func(c *seal.Ceremony) { c.Recipients[1].Recipient = c.Recipients[0].Recipient },
		"bad compartment":          func(c *seal.Ceremony) { c.Compartment = "a b" },
		"bad agreement":            func(c *seal.Ceremony) { c.Agreement = "v1" },
		"epoch 0":                  func(c *seal.Ceremony) { c.Epoch = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, 3, 5, 2)
			edit(&s.c)
			_, err := seal.Deal(rand.Reader, s.c, s.dealer.signer)
			wantCode(t, err, escrow.Invalid)
		})
	}
	s := newScene(t, 3, 5, 2)
	if _, err := seal.Deal(strings.NewReader("too little randomness"), s.c, s.dealer.signer); err == nil {
		t.Error("dealt without randomness")
	}
}

func TestDirectCompartment(t *testing.T) {
	s := newScene(t, 1, 1, 0)
	second := newPerson(t, "gem-a", "bert")
	c := s.c
	c.Compartment, c.Threshold, c.Trustees = "data/gem-a", 0, nil
	c.Recipients = []evidence.KeyRecipient{second.recipient(), s.claimant.recipient()}
	d, err := seal.DealDirect(c, s.dealer.signer)
	if err != nil {
		t.Fatal(err)
	}
	m, err := seal.OpenManifest(d.Document, d.Signature)
	if err != nil {
		t.Fatal(err)
	}
	to := m.SealTo()
	if len(to) != 2 || to[0] != s.claimant.identity.Recipient().String() || m.Required != 0 || len(d.Packages) != 0 {
		t.Errorf("sealed to %d, required %d, %d packages", len(to), m.Required, len(d.Packages))
	}
	if !seal.Accepted(m, d.Document, nil).Reached {
		t.Error("a direct epoch waits for acceptances that nobody can give")
	}
	c.Recipients = append(c.Recipients, s.operator.recipient())
	_, err = seal.DealDirect(c, s.dealer.signer)
	wantCode(t, err, escrow.Invalid, "one party")
}

// TestAnyThresholdCombinesAndLessNever draws random ceremonies: any k of n
// that satisfy the classes give the published identity, and any choice that
// does not gives nothing.
func TestAnyThresholdCombinesAndLessNever(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], 20270102)
	rnd := mathrand.New(mathrand.NewChaCha8(seed))
	for range rounds {
		n := 2 + rnd.IntN(6)
		k := 1 + rnd.IntN(n)
		independent := 0
		if n > 2 && rnd.IntN(2) == 0 {
			independent = 2 + rnd.IntN(n-2)
		}
		s := newScene(t, k, n, independent).deal(t)
		for range 12 {
			order := rnd.Perm(n)[:rnd.IntN(n+1)]
			var parties []string
			classHave := 0
			for _, i := range order {
				parties = append(parties, fmt.Sprintf("t%d", i+1))
				if i >= n-independent {
					classHave++
				}
			}
			enough := len(parties) >= k && (independent == 0 || classHave >= 1)
			for _, manifest := range []*evidence.KeyManifest{nil, s.dealt.Manifest} {
				c, err := seal.Combine(s.offered(t, parties...), manifest)
				switch {
				case enough && err != nil:
					t.Fatalf("%d of %d (%d independent) with %v: %v", k, n, independent, parties, err)
				case enough && c.Identity.Recipient().String() != s.dealt.Manifest.Recipient:
					t.Fatalf("%v give another identity", parties)
				case !enough && (c.Identity != nil || escrow.CodeOf(err) != escrow.BelowQuorum):
					t.Fatalf("%d of %d (%d independent) with %v: identity %v, %v", k, n, independent, parties, c.Identity != nil, err)
				}
			}
		}
	}
}

// TestCombineNamesWhatIsWrong is failure #12.
func TestCombineNamesWhatIsWrong(t *testing.T) {
	s := newScene(t, 3, 5, 2).deal(t)
	other := newScene(t, 3, 5, 2).deal(t)
	m := s.dealt.Manifest

	t.Run("too few", func(t *testing.T) {
		c, err := seal.Combine(s.offered(t, "t1", "t5"), m)
		wantCode(t, err, escrow.BelowQuorum, "2 of 3 - 1 more needed")
		if c.Identity != nil {
			t.Error("an identity came out")
		}
	})
	t.Run("none", func(t *testing.T) {
		_, err := seal.Combine(nil, m)
		wantCode(t, err, escrow.BelowQuorum, "0 of 3 - 3 more needed", "no independent share")
		_, err = seal.Combine(nil, nil)
		wantCode(t, err, escrow.BelowQuorum)
	})
	t.Run("no independent", func(t *testing.T) {
		for _, manifest := range []*evidence.KeyManifest{nil, m} {
			c, err := seal.Combine(s.offered(t, "t1", "t2", "t3"), manifest)
			wantCode(t, err, escrow.BelowQuorum, "3 of 3", "no independent share")
			if c.Identity != nil {
				t.Error("an identity came out")
			}
		}
	})
	t.Run("duplicates do not count", func(t *testing.T) {
		list := s.offered(t, "t1", "t5", "t5", "t1")
		list[3].Text = bytes.ReplaceAll(list[3].Text, []byte("\n"), []byte("\r\n"))
		c, err := seal.Combine(list, m)
		wantCode(t, err, escrow.BelowQuorum, "2 of 3")
		if len(c.Ignored) != 2 || !strings.Contains(c.Ignored[1].Reason, "t1.txt") {
			t.Errorf("ignored: %+v", c.Ignored)
		}
	})
	t.Run("mixed sets", func(t *testing.T) {
		list := append(s.offered(t, "t1", "t2"), other.offered(t, "t5")...)
		for _, manifest := range []*evidence.KeyManifest{nil, m} {
			c, err := seal.Combine(list, manifest)
			wantCode(t, err, escrow.Conflict, "different sets", m.Set[:16], other.dealt.Manifest.Set[:16], "t5.txt")
			if c.Identity != nil {
				t.Error("an identity came out")
			}
		}
		_, err := seal.Combine(other.offered(t, "t1", "t2", "t5"), m)
		wantCode(t, err, escrow.Conflict, "different sets")
	})
	t.Run("a damaged share is named and the others go on", func(t *testing.T) {
		list := s.offered(t, "t1", "t2", "t3", "t5")
		list[1].Text = bytes.Replace(list[1].Text, []byte("threshold: 3"), []byte("threshold: 2"), 1)
		c, err := seal.Combine(list, m)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Ignored) != 1 || c.Ignored[0].Name != "t2.txt" || !strings.Contains(c.Ignored[0].Reason, "t2 (number 2)") {
			t.Errorf("ignored: %+v", c.Ignored)
		}
	})
	t.Run("a false share with a right checksum is named", func(t *testing.T) {
		share := s.share(t, "t2")
		forged := *share.ShareText
		forged.Parts = append([]evidence.SharePart{}, forged.Parts...)
		forged.Parts[0].Share = other.share(t, "t2").Parts[0].Share
		text, err := forged.Text()
		if err != nil {
			t.Fatal(err)
		}
		for _, manifest := range []*evidence.KeyManifest{nil, m} {
			list := append(s.offered(t, "t1", "t3", "t5"), seal.Offered{Name: "forged", Text: text})
			c, err := seal.Combine(list, manifest)
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Ignored) != 1 || c.Ignored[0].Trustee != "t2" || c.Ignored[0].Index != 2 {
				t.Errorf("ignored: %+v", c.Ignored)
			}
			_, err = seal.Combine([]seal.Offered{list[0], list[2], list[3]}, manifest)
			wantCode(t, err, escrow.BelowQuorum, "2 of 3")
		}
	})
	t.Run("a share that pins somebody else is refused", func(t *testing.T) {
		forged := *s.share(t, "t2").ShareText
		forged.Recipients = append([]evidence.ShareRecipient{}, forged.Recipients...)
		forged.Recipients[1].Fingerprint = evidence.Fingerprint("attacker")
		text, err := forged.Text()
		if err != nil {
			t.Fatal(err)
		}
		_, err = seal.CheckShare(m, text)
		wantCode(t, err, escrow.Damaged, "recipients")
		_, err = seal.Combine(append(s.offered(t, "t1", "t5"), seal.Offered{Name: "forged", Text: text}), nil)
		wantCode(t, err, escrow.Damaged, "disagree")
	})
}

// TestEveryAlteredCharacterOfAShareIsRefused changes every character of a
// share text to several others.
func TestEveryAlteredCharacterOfAShareIsRefused(t *testing.T) {
	s := newScene(t, 2, 3, 2).deal(t)
	text := s.share(t, "t3").Text
	for at := range text {
		for _, c := range []byte{text[at] ^ 1, text[at] ^ 0x20, 'A', '0', ' ', '\n'} {
			if c == text[at] {
				continue
			}
			bad := bytes.Clone(text)
			bad[at] = c
			if at == len(text)-1 && c == ' ' {
				continue // a final newline that became a blank is forgiven: the text is the same
			}
			_, err := seal.CheckShare(s.dealt.Manifest, bad)
			if escrow.CodeOf(err) != escrow.Damaged {
				t.Fatalf("byte %d to %q: %v", at, c, err)
			}
			if where := string(text[at]); !strings.Contains(err.Error(), "t3") && !strings.Contains(err.Error(), "number 3") {
				line := bytes.Count(text[:at], []byte("\n"))
				if line != 0 { // without its first line it is no share text at all
					t.Fatalf("byte %d (%q): %v does not name the holder", at, where, err)
				}
			}
		}
		short := append(bytes.Clone(text[:at]), text[at+1:]...)
		if _, err := seal.CheckShare(s.dealt.Manifest, short); at < len(text)-1 && escrow.CodeOf(err) != escrow.Damaged {
			t.Fatalf("byte %d left out: %v", at, err)
		}
	}
}

func TestDealerOfAWrongSecretIsFoundOut(t *testing.T) {
	s := newScene(t, 2, 3, 0).deal(t)
	// The dealer publishes another recipient, consistently everywhere.
	m := *s.dealt.Manifest
	m.Recipient = s.operator.identity.Recipient().String()
	set, err := m.SetID()
	if err != nil {
		t.Fatal(err)
	}
	var list []seal.Offered
	for _, party := range []string{"t1", "t2"} {
		text := *s.share(t, party).ShareText
		text.Set, text.Release = set, evidence.Fingerprint(m.Recipient)
		raw, err := text.Text()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, seal.Offered{Name: party, Text: raw})
	}
	c, err := seal.Combine(list, nil)
	wantCode(t, err, escrow.Damaged, "published")
	if c.Identity != nil {
		t.Error("an identity came out")
	}
}

func TestOpenShareRefusesSwappedKeys(t *testing.T) {
	s := newScene(t, 2, 3, 0).deal(t)
	m := s.dealt.Manifest
	p := s.people["t1"][0]
	sealed := s.dealt.Packages[0].Sealed
	_, err := seal.OpenShare(m, p.holder(), sealed, s.people["t2"][0].identity)
	wantCode(t, err, escrow.WrongKey, "t1/t1a")
	_, err = seal.OpenShare(m, seal.Holder{Trustee: "t1", Person: "stranger"}, sealed, p.identity)
	wantCode(t, err, escrow.Forbidden, "stranger")
	_, err = seal.OpenShare(m, seal.Holder{Trustee: "nobody", Person: "x"}, sealed, p.identity)
	wantCode(t, err, escrow.Forbidden, "nobody")
	_, err = seal.OpenShare(m, p.holder(), s.dealt.Packages[1].Sealed, p.identity)
	wantCode(t, err, escrow.Damaged, "package")
}

func TestCautions(t *testing.T) {
	s := newScene(t, 2, 3, 0)
	shared := s.people["t1"][0].contact(t)
	shared.Party = "t2"
	s.c.Trustees[1].People = []evidence.Contact{shared}
	s.deal(t)
	got := strings.Join(seal.Cautions(s.dealt.Manifest), "\n")
	for _, w := range []string{"losing 2 loses the key", "t2 has one person only", "acts for t1 and for t2"} {
		if !strings.Contains(got, w) {
			t.Errorf("cautions do not say %q:\n%s", w, got)
		}
	}
	if list := seal.Cautions(newScene(t, 3, 5, 2).deal(t).dealt.Manifest); len(list) != 0 {
		t.Errorf("cautions about a sound ceremony: %q", list)
	}
}

// stream is deterministic randomness for tests that compare outcomes.
type stream struct{ n uint64 }

func (s *stream) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += sha256.Size {
		var block [8]byte
		binary.BigEndian.PutUint64(block[:], s.n)
		s.n++
		sum := sha256.Sum256(block[:])
		copy(p[i:], sum[:])
	}
	return len(p), nil
}

func TestDealingDependsOnItsRandomnessOnly(t *testing.T) {
	s := newScene(t, 2, 3, 2)
	a, err := seal.Deal(new(stream), s.c, s.dealer.signer)
	if err != nil {
		t.Fatal(err)
	}
	b, err := seal.Deal(new(stream), s.c, s.dealer.signer)
	if err != nil {
		t.Fatal(err)
	}
	if a.Manifest.Set != b.Manifest.Set || a.Manifest.Trustees[0].Share != b.Manifest.Trustees[0].Share {
		t.Error("two dealings from the same randomness differ")
	}
}
