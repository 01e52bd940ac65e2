package server_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/seal"
)

// mark is what must be found by each of must and by nobody outside may.
type mark struct {
	what, text string
	must, may  []string
}

// stage is one example on a running server.
type stage struct {
	*installation
	sights
	agreement *agreement.Agreement
	expanded  *agreement.Expanded
	marks     []mark
	clients   map[string]*client.Client
	tokens    map[string]string
	cases     []string
	copies    map[string]string // digest → part
	roles     map[string]escrow.Role
	rendered  map[string]map[string]string // documents that several read, by name and channel
}

// TestWhoSeesWhat puts each example into force over a real server, with
// something of everybody in every place, and lets everybody fetch everything:
// a few of them, or all where HOLDFAST_TEST_CAMPAIGN is 1.
func TestWhoSeesWhat(t *testing.T) {
	for _, s := range table() {
		t.Run(strings.TrimSuffix(s.file, ".yaml"), func(t *testing.T) {
			st := enact(t, s)
			found := map[string]map[string]bool{} // mark → party
			channels := map[string]bool{}
			fetch := s.some
			if os.Getenv("HOLDFAST_TEST_CAMPAIGN") == "1" {
				fetch = slices.Sorted(maps.Keys(st.clients))
			}
			for _, party := range fetch {
				st.fetchAll(party, func(channel, where, content string) {
					content = strings.ReplaceAll(content, "\u00a0", " ")
					for _, m := range st.marks {
						if !strings.Contains(content, m.text) {
							continue
						}
						channels[channel] = true
						if found[m.what] == nil {
							found[m.what] = map[string]bool{}
						}
						found[m.what][party] = true
						if !slices.Contains(m.may, party) {
							at := strings.Index(content, m.text)
							t.Errorf("%s: %s reads the %s in %s: ...%.200q", channel, party, m.what, where, content[max(0, at-100):])
						}
					}
				})
			}
			for _, m := range st.marks {
				for _, party := range m.must {
					if slices.Contains(fetch, party) && !found[m.what][party] {
						t.Errorf("%s finds the %s nowhere", party, m.what)
					}
				}
			}
			for _, channel := range []string{"page", "document", "api", "ledger", "notice", "export"} {
				if !channels[channel] {
					t.Errorf("nothing was found by way of the channel %s: it is not looked at", channel)
				}
			}
		})
	}
}

// enact brings an example into force with markers in it.
func enact(t *testing.T, s sights) *stage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../examples/agreements", s.file))
	if err != nil {
		t.Fatal(err)
	}
	y := string(data)
	st := &stage{installation: bare(t), sights: s, clients: map[string]*client.Client{}, tokens: map[string]string{}, copies: map[string]string{}, roles: map[string]escrow.Role{}, rendered: map[string]map[string]string{}}
	for _, w := range s.words {
		if !strings.Contains(y, w.old) {
			t.Fatalf("%s no longer has %q", s.file, w.old)
		}
		y = strings.ReplaceAll(y, w.old, w.new)
		st.marks = append(st.marks, mark{w.what, w.mark, w.may, w.may})
	}
	parsed, problems := agreement.Parse(s.file, []byte(y))
	if parsed == nil {
		t.Fatal(agreement.Refusal(problems))
	}
	st.agreement, st.expanded = parsed, parsed.Expand()
	var ids []string
	for _, p := range st.expanded.Parts {
		ids = append(ids, p.ID)
	}
	if want := slices.Sorted(maps.Keys(s.parts)); !slices.Equal(slices.Sorted(slices.Values(ids)), want) {
		t.Fatalf("%s has the parts %v, the table has %v", s.file, ids, want)
	}
	st.populateParties()
	ctx := t.Context()
	if _, err := st.admin.DraftAgreement(ctx, parsed.ID, []byte(y)); err != nil {
		t.Fatal(err)
	}
	st.join()
	st.speak()
	v, err := st.admin.OfferAgreement(ctx, parsed.ID, 1, time.Now().AddDate(0, 0, 30).UTC().Format(time.RFC3339))
	if err != nil {
		t.Fatal(err)
	}
	st.digest = v.Digest
	st.signAll(1)
	if a, err := st.admin.Arrangement(ctx, parsed.ID); err != nil || a.Digest != v.Digest {
		t.Fatalf("%s is signed by everybody and not in force: %v", s.file, err)
	}
	st.deal()
	st.act(y)
	return st
}

func bare(t testing.TB) *installation {
	t.Helper()
	c := config.Default()
	c.Data = filepath.Join(t.TempDir(), "data")
	c.Listen = "127.0.0.1:0"
	in := &installation{t: t, dir: c.Data, config: c, log: &lockedBuffer{}, people: map[string]*person{}}
	in.start()
	return in
}

// customers of the agreement.
func (st *stage) customer(party string) bool { return st.roles[party] == escrow.Beneficiary }

// populateParties gives every party a person with keys.
func (st *stage) populateParties() {
	for _, p := range st.expanded.Parties {
		name := "p-" + p.ID
		if people := st.agreement.Party(p.ID).People; len(people) > 0 {
			name = people[0].ID
		}
		st.people[p.ID] = newPerson(st.t, p.ID, name)
		st.roles[p.ID] = p.Role
	}
}

// join gives every party a token, and puts its card and its authority on
// record.
func (st *stage) join() {
	ctx, t := st.t.Context(), st.t
	for _, p := range st.expanded.Parties {
		person := st.people[p.ID]
		issued, err := st.admin.IssueToken(ctx, st.agreement.ID, client.NewToken{Party: p.ID, Person: person.name})
		if err != nil {
			t.Fatal(err)
		}
		st.tokens[p.ID], st.clients[p.ID] = issued.Token, st.client(issued.Token)
		if _, err := st.clients[p.ID].AddContact(ctx, st.agreement.ID, person.card); err != nil {
			t.Fatal(err)
		}
		// The card is known where the party signs, and to those who have to do
		// with the same keys and may learn of it.
		card := person.contact(t)
		may := st.mates(p.ID)
		for _, k := range st.keys {
			involved := slices.Concat(k.from, k.to)
			if !slices.Contains(involved, p.ID) {
				continue
			}
			for id, role := range st.roles {
				near := slices.Contains(involved, id) || role == escrow.Supplier || role == escrow.Agent
				knows := !st.customer(p.ID) || slices.Contains(st.mates(p.ID), id)
				if near && (knows || slices.Contains(k.from, id)) {
					may = append(may, id)
				}
			}
		}
		may = append(append(may, st.alsoNear(p.ID)...), st.whole()...)
		st.marks = append(st.marks, mark{"key of " + p.ID, strings.TrimSpace(card.Key), st.mates(p.ID), may})
		proof := "zx:proof:" + p.ID + ":"
		m := client.NewMandate{Party: p.ID, Person: person.name, May: []string{"sign", "claim"}, Until: time.Now().AddDate(1, 0, 0).UTC().Format(time.RFC3339), Proof: proof}
		if _, err := st.admin.RecordMandate(ctx, st.agreement.ID, m); err != nil {
			t.Fatal(err)
		}
		may = st.mates(p.ID)
		for id, role := range st.roles {
			if (role == escrow.Agent || role == escrow.Foundation) && (!st.customer(p.ID) || slices.Contains(st.mates(p.ID), id)) {
				may = append(may, id)
			}
		}
		st.marks = append(st.marks, mark{"proof of authority of " + p.ID, proof, []string{p.ID}, may})
	}
}

// alsoNear lists who has to do with keys that are not dealt here: the quorums
// of the examples by the text itself.
func (st *stage) alsoNear(party string) []string {
	var out []string
	for _, c := range st.expanded.Compartments {
		if _, dealt := st.keys[c.ID]; dealt {
			continue
		}
		involved := slices.Concat(c.Quorum.From, c.Recipients)
		if !slices.Contains(involved, party) {
			continue
		}
		for id, role := range st.roles {
			near := slices.Contains(involved, id) || role == escrow.Supplier || role == escrow.Agent
			if near && (!st.customer(party) || slices.Contains(st.mates(party), id)) {
				out = append(out, id)
			}
		}
	}
	return out
}

// speak leaves a remark and a sign-off on every part.
func (st *stage) speak() {
	ctx, t := st.t.Context(), st.t
	for i, id := range slices.Sorted(maps.Keys(st.parts)) {
		r := st.parts[id]
		by := r.sign[len(r.sign)-1]
		comment, note := fmt.Sprintf("zxremark-%d-", i), fmt.Sprintf("zxnote-%d-", i)
		if _, err := st.clients[by].CommentPart(ctx, st.agreement.ID, 1, client.NewPartComment{Part: id, Text: comment}); err != nil {
			t.Fatal(err)
		}
		v, err := st.clients[by].AgreementVersion(ctx, st.agreement.ID, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range v.Parts {
			if p.ID == id {
				g := st.statement(by, v, p, func(s *evidence.PartStatement) {
					s.States, s.Verdict, s.Note = evidence.PartReviewed, evidence.PartApproved, note
				})
				if _, err := st.clients[by].ReviewPart(ctx, st.agreement.ID, 1, g); err != nil {
					t.Fatal(err)
				}
			}
		}
		st.marks = append(st.marks, mark{"remark on " + id, comment, r.readers(), r.readers()}, mark{"sign-off of " + id, note, r.readers(), r.readers()})
	}
}

// statement is what a party's person signs about a part.
func (st *stage) statement(party string, v client.AgreementVersion, p client.Part, fill func(*evidence.PartStatement)) client.GivenStatement {
	st.t.Helper()
	person := st.people[party]
	s := evidence.PartStatement{Arrangement: st.agreement.ID, Agreement: v.Digest, Version: v.Version, Part: p.ID, Digest: p.Digest, Party: party, Person: person.name, At: evidence.At(time.Now())}
	if v.OfferedAt != nil {
		at := evidence.At(*v.OfferedAt)
		s.Offered = &at
	}
	for _, r := range p.RestsOn {
		s.RestsOn = append(s.RestsOn, evidence.NamedPart{Part: r.Part, Digest: r.Digest})
	}
	fill(&s)
	document, err := s.Bytes()
	if err != nil {
		st.t.Fatal(err)
	}
	signature, err := evidence.Sign(person.signer, evidence.NamespaceAgreement, document)
	if err != nil {
		st.t.Fatal(err)
	}
	return client.GivenStatement{Document: string(document), Signature: string(signature)}
}

// signAll lets everybody sign what waits for it, on paper where the part asks
// for that, with two people who attest each copy.
func (st *stage) signAll(version int) {
	ctx, t := st.t.Context(), st.t
	for _, party := range slices.Sorted(maps.Keys(st.clients)) {
		v, err := st.clients[party].AgreementVersion(ctx, st.agreement.ID, version)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range v.Parts {
			if !slices.Contains(st.parts[p.ID].sign, party) {
				continue
			}
			var scan []byte
			if len(p.With) > 0 && !slices.Contains(p.With, "ssh") {
				scan = []byte("\xff\xd8\xff zxcopy of " + p.ID + " by " + party)
				st.copies[evidence.Digest(scan)] = p.ID
			}
			g := st.statement(party, v, p, func(s *evidence.PartStatement) {
				s.States = evidence.PartSigned
				if scan != nil {
					s.Copy = evidence.Digest(scan)
				}
			})
			g.Copy = scan
			if _, err := st.clients[party].SignParts(ctx, st.agreement.ID, version, []client.GivenStatement{g}); err != nil {
				t.Fatalf("%s signs %s: %v", party, p.ID, err)
			}
			for _, witness := range st.parts[p.ID].sign[:3*min(1, len(scan))] {
				if witness == party {
					continue
				}
				w := st.statement(witness, v, p, func(s *evidence.PartStatement) {
					s.States, s.SignerParty, s.Signer, s.Copy = evidence.PartCopyAttests, party, st.people[party].name, evidence.Digest(scan)
				})
				if _, err := st.clients[witness].AttestPart(ctx, st.agreement.ID, version, w); err != nil {
					t.Fatalf("%s attests the copy of %s: %v", witness, party, err)
				}
			}
		}
	}
}

// deal makes the keys of the compartments.
func (st *stage) deal() {
	ctx, t := st.t.Context(), st.t
	supplier := ""
	for id, role := range st.roles {
		if role == escrow.Supplier {
			supplier = id
		}
	}
	seconds := map[string]*person{}
	for _, id := range slices.Sorted(maps.Keys(st.keys)) {
		c := st.expanded.Compartment(id)
		k := st.keys[id]
		if !slices.Equal(c.Quorum.From, k.from) || !slices.Equal(c.Recipients, k.to) {
			t.Fatalf("compartment %s is held by %v for %v, the table has %v", id, c.Quorum.From, c.Recipients, k)
		}
		terms := seal.Ceremony{Arrangement: st.agreement.ID, Agreement: st.digest, Compartment: id, Epoch: 1, Threshold: c.Quorum.Of,
			Party: supplier, Person: st.people[supplier].name, Created: time.Now()}
		for _, party := range c.Recipients {
			terms.Recipients = append(terms.Recipients, evidence.KeyRecipient{Party: party, Person: st.people[party].name, Recipient: st.people[party].identity.Recipient().String()})
		}
		if c.OnDemand {
			continue // sealed to its holder: nothing is shared
		}
		for _, party := range c.Quorum.From {
			o := seal.Organisation{Party: party, People: []evidence.Contact{st.people[party].contact(t)}}
			for i := 1; i < c.Quorum.PeopleEach; i++ {
				name := fmt.Sprintf("second-%s-%d", party, i)
				if seconds[name] == nil {
					seconds[name] = newPerson(t, party, name)
					if _, err := st.clients[party].AddContact(ctx, st.agreement.ID, seconds[name].card); err != nil {
						t.Fatal(err)
					}
				}
				o.People = append(o.People, seconds[name].contact(t))
			}
			terms.Trustees = append(terms.Trustees, o)
		}
		dealt, err := seal.Deal(rand.Reader, terms, st.people[supplier].signer)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if _, err := st.clients[supplier].PublishEpoch(ctx, st.agreement.ID, newEpoch(dealt)); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		m, err := evidence.ParseKeyManifest(dealt.Document)
		if err != nil {
			t.Fatal(err)
		}
		for _, party := range c.Quorum.From {
			p := st.people[party]
			pkg, err := st.clients[party].FetchPackage(ctx, st.agreement.ID, id, 1)
			if err != nil {
				t.Fatal(err)
			}
			share, err := seal.OpenShare(m, seal.Holder{Trustee: party, Person: p.name}, []byte(pkg.Sealed), p.identity)
			if err != nil {
				t.Fatal(err)
			}
			document, signature, err := seal.Accept(m, dealt.Document, share, seal.Holder{Trustee: party, Person: p.name}, p.signer, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.clients[party].AcceptShare(ctx, st.agreement.ID, client.Signed{Document: string(document), Signature: string(signature)}); err != nil {
				t.Fatal(err)
			}
		}
		st.deposit(supplier, id)
	}
}

// deposit puts something into a compartment.
func (st *stage) deposit(supplier, compartment string) {
	ctx, t, id := st.t.Context(), st.t, st.agreement.ID
	i := slices.IndexFunc(st.expanded.Modules, func(m escrow.Module) bool { return m.Compartment == compartment })
	module := st.expanded.Modules[i].ID
	cl := st.clients[supplier]
	if _, err := cl.ConfigureModule(ctx, id, module, client.ModuleSource{Mode: "push"}); err != nil {
		t.Fatalf("%s: %v", module, err)
	}
	base, err := cl.DepositBase(ctx, id, module)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.ParseHybridRecipient(base.Epoch.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(w, "what "+module+" holds")
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	name := evidence.Digest(sealed.Bytes())
	if err := cl.PutObject(ctx, id, module, name, bytes.NewReader(sealed.Bytes()), int64(sealed.Len())); err != nil {
		t.Fatal(err)
	}
	m := evidence.DepositManifest{Format: evidence.DepositFormat, Arrangement: id, Agreement: base.Agreement, Module: module, Number: 1, Kind: "FULL", Chain: 1,
		Compartment: compartment, Epoch: 1, Set: base.Epoch.Set, Completeness: "complete", Objects: []evidence.ObjectEntry{{Name: name, Size: int64(sealed.Len()), Role: "git", Plain: 20}},
		Checked: evidence.Check{By: "depositor", How: "test"}, Made: time.Now().UTC().Format(time.RFC3339), By: supplier + "/" + st.people[supplier].name}
	document, err := evidence.Canonical(m)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := evidence.Sign(st.people[supplier].signer, evidence.NamespaceDeposit, document)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cl.MakeDeposit(ctx, id, module, client.NewDeposit{Manifest: client.Signed{Document: string(document), Signature: string(signature)}}); err != nil {
		t.Fatalf("%s: %v", module, err)
	}
}

// act lets customers claim, hold, refuse and be told something.
func (st *stage) act(source string) {
	ctx, t, id := st.t.Context(), st.t, st.agreement.ID
	for _, party := range slices.Sorted(maps.Keys(st.claims)) {
		c := st.claims[party]
		reason := "zx:claim:" + party + ":"
		opened, err := st.clients[party].OpenCase(ctx, id, client.OpenCase{Event: c.event, Stage: c.stage, Compartment: c.compartment, Reason: reason})
		if err != nil {
			t.Fatalf("%s claims: %v", party, err)
		}
		st.cases = append(st.cases, opened.ID)
		may := []string{party}
		for other := range st.roles {
			if slices.Contains(st.mates(party), other) {
				may = append(may, other)
			}
		}
		st.marks = append(st.marks, mark{"claim of " + party, reason, []string{party}, may})
	}
	for party := range st.roles {
		if !st.customer(party) {
			continue
		}
		ground := "zx:ground:" + party + ":"
		module := ""
		for _, m := range st.expanded.Modules {
			if m.Instance != "" && st.agreement.Self(m.Instance) == party && m.Compartment != "" {
				module = m.ID
			}
		}
		if module == "" {
			continue
		}
		if _, err := st.clients[party].PlaceHold(ctx, id, client.NewHold{Module: module, Ground: ground}); err != nil {
			t.Fatalf("%s holds %s: %v", party, module, err)
		}
		st.marks = append(st.marks, mark{"hold of " + party, ground, []string{party}, st.mates(party)})
	}
	for party := range st.roles {
		subject := "zx:notice:" + party + ":"
		if err := st.server.PutNotice(ctx, escrow.Notice{Arrangement: id, ID: "n" + party, Audience: party, Kind: "duty.reminder", Subject: subject, MadeAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		may := []string{party}
		for other, role := range st.roles { // the agent looks after what others are told
			if role == escrow.Agent && (!st.customer(party) || slices.Contains(st.mates(party), other)) {
				may = append(may, other)
			}
		}
		st.marks = append(st.marks, mark{"notice to " + party, subject, may, may})
	}
	// A next version that a customer refuses, with its reasons.
	next := strings.Replace(source, "version: 1\n", "version: 2\nreplaces: "+st.digest+"\n", 1)
	refuser := slices.Sorted(maps.Keys(st.claims))[0]
	name := st.agreement.Party(refuser).Name
	next = strings.Replace(next, "name: "+name, "name: "+name+" nieuw", 1)
	if _, err := st.admin.DraftAgreement(ctx, id, []byte(next)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.admin.OfferAgreement(ctx, id, 2, time.Now().AddDate(0, 0, 3).UTC().Format(time.RFC3339)); err != nil {
		t.Fatal(err)
	}
	reason := "zx:refusal:" + refuser + ":"
	if _, err := st.clients[refuser].RefuseAgreement(ctx, id, 2, reason); err != nil {
		t.Fatal(err)
	}
	st.marks = append(st.marks, mark{"refusal of " + refuser, reason, []string{refuser}, st.mates(refuser)})
}
