package seal_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloudflare/circl/group"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/seal"
)

var update = flag.Bool("update", false, "write the published vectors anew")

const vectorDir = "../../evidence/testdata/keys"

// vectors is the form of vectors.json, see the README beside it.
type vectors struct {
	H          evidence.Bytes32 `json:"h"`
	Identities []identityVector `json:"identities"`
	Ceremonies []ceremonyVector `json:"ceremonies"`
	Keys       []publishedKey   `json:"keys"`
	Combine    []combineVector  `json:"combine"`
	Digits     []digitsVector   `json:"digits"`
}

type identityVector struct {
	Scalar        evidence.Bytes32 `json:"scalar"`
	Arrangement   string           `json:"arrangement"`
	Compartment   string           `json:"compartment"`
	IdentityEpoch int              `json:"identity_epoch"`
	Identity      string           `json:"identity"`
	Release       string           `json:"release"`
}

type ceremonyVector struct {
	Name     string             `json:"name"`
	Parts    []polynomialVector `json:"parts"`
	Manifest string             `json:"manifest"` // file; the signature is beside it
	Set      string             `json:"set"`
	Identity string             `json:"identity"`
	Shares   []shareVector      `json:"shares"`
	Packages []packageVector    `json:"packages"`

	Acceptances []string `json:"acceptances"` // files; the signatures are beside them
	Statement   string   `json:"statement"`   // file
	Approvals   []string `json:"approvals"`   // files; the signatures are beside them
}

type polynomialVector struct {
	Name        string             `json:"name"`
	Values      []evidence.Bytes32 `json:"values"`
	Blinds      []evidence.Bytes32 `json:"blinds"`
	Commitments []evidence.Bytes32 `json:"commitments"`
}

type shareVector struct {
	Trustee string `json:"trustee"`
	File    string `json:"file"`
	Digest  string `json:"digest"`
}

type packageVector struct {
	Trustee string `json:"trustee"`
	Person  string `json:"person"`
	File    string `json:"file"`
}

// publishedKey is a person of the vectors, both secrets in the open.
type publishedKey struct {
	Party    string `json:"party"`
	Person   string `json:"person"`
	Identity string `json:"identity"`
	SSHSeed  string `json:"ssh_seed"` // hex, Ed25519 private key seed
	Contact  string `json:"contact"`  // file
}

type combineVector struct {
	Shares []string `json:"shares"` // files
	Result string   `json:"result"` // identity, or ""
	Says   string   `json:"says,omitempty"`
}

type digitsVector struct {
	Digest string `json:"digest"`
	Digits string `json:"digits"`
}

// vectorScalar is a fixed scalar with nothing up its sleeve.
func vectorScalar(name string) evidence.Bytes32 {
	raw, err := group.Ristretto255.HashToScalar([]byte(name), []byte("holdfast test vector")).MarshalBinary()
	if err != nil {
		panic(err)
	}
	return evidence.Bytes32(raw)
}

// vectorPerson is a person with fixed keys.
func vectorPerson(t testing.TB, party, name string) person {
	t.Helper()
	var seed [32]byte
	copy(seed[:], party+"/"+name)
	id, err := seal.SeedIdentity(seed)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return person{party, name, id, signer}
}

type vectorCeremony struct {
	name, compartment string
	epoch, threshold  int
	trustees          []string
	independent       []string
}

func vectorCeremonies() []vectorCeremony {
	return []vectorCeremony{
		{"quorum", "materials", 1, 3, []string{"notaris", "accountant", "agent", "stichting", "deskundige"}, []string{"notaris", "accountant", "deskundige"}},
		{"small", "access", 7, 2, []string{"stichting", "beheer", "notaris"}, nil},
	}
}

// TestVectors checks the published vectors; with -update it writes them.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	raw, err := os.ReadFile(filepath.Join(vectorDir, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if v.H != seal.GeneratorH() || v.H.String() != evidence.PedersenH {
		t.Errorf("h is %s, derived %s, published %s", v.H, seal.GeneratorH(), evidence.PedersenH)
	}
	for _, i := range v.Identities {
		id, err := seal.IdentityOf(i.Scalar, i.Arrangement, i.Compartment, i.IdentityEpoch)
		if err != nil {
			t.Fatal(err)
		}
		if id.String() != i.Identity || evidence.Fingerprint(id.Recipient().String()) != i.Release {
			t.Errorf("scalar %s gives another identity", i.Scalar)
		}
	}
	for _, d := range v.Digits {
		if got := evidence.Digits(d.Digest); got != d.Digits {
			t.Errorf("digits of %s are %q, want %q", d.Digest, got, d.Digits)
		}
	}
	keys := make(map[string]person)
	for _, k := range v.Keys {
		p := vectorPerson(t, k.Party, k.Person)
		if p.identity.String() != k.Identity {
			t.Errorf("%s/%s: another identity", k.Party, k.Person)
		}
		c, err := evidence.ParseContact(readVector(t, k.Contact))
		if err != nil {
			t.Fatal(err)
		}
		if c.Recipient != p.identity.Recipient().String() || c.Key != evidence.FormatPublicKey(p.signer.PublicKey()) {
			t.Errorf("%s: the card has other keys", k.Contact)
		}
		keys[k.Party+"/"+k.Person] = p
	}
	for _, c := range v.Ceremonies {
		t.Run(c.Name, func(t *testing.T) { checkCeremonyVector(t, c, keys) })
	}
	for _, c := range v.Combine {
		var offered []seal.Offered
		for _, f := range c.Shares {
			offered = append(offered, seal.Offered{Name: f, Text: readVector(t, f)})
		}
		got, err := seal.Combine(offered, nil)
		switch {
		case c.Result == "" && (err == nil || !strings.Contains(err.Error(), c.Says) || got.Identity != nil):
			t.Errorf("%v: %v, want %q", c.Shares, err, c.Says)
		case c.Result != "" && (err != nil || got.Identity.String() != c.Result):
			t.Errorf("%v: %v", c.Shares, err)
		}
	}
}

func readVector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func checkCeremonyVector(t *testing.T, c ceremonyVector, keys map[string]person) {
	document := readVector(t, c.Manifest)
	m, err := seal.OpenManifest(document, readVector(t, c.Manifest+".sig"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Set != c.Set {
		t.Errorf("set %s, want %s", m.Set, c.Set)
	}
	var values, blinds [][]evidence.Bytes32
	for i, p := range c.Parts {
		values, blinds = append(values, p.Values), append(blinds, p.Blinds)
		if diff := cmp.Diff(p.Commitments, m.Parts[i].Commitments); diff != "" {
			t.Errorf("commitments of %s (-vector +manifest):\n%s", p.Name, diff)
		}
	}
	// The share texts follow from the polynomials byte for byte.
	again := *m
	again.Parts = nil
	for _, p := range m.Parts {
		again.Parts = append(again.Parts, evidence.Part{Name: p.Name, Threshold: p.Threshold, Holders: p.Holders})
	}
	texts, err := seal.ShareFixed(&again, values, blinds)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range c.Shares {
		file := readVector(t, s.File)
		if diff := cmp.Diff(string(file), string(texts[i])); diff != "" {
			t.Errorf("%s (-file +made):\n%s", s.File, diff)
		}
		share, err := seal.CheckShare(m, file)
		if err != nil {
			t.Fatal(err)
		}
		if share.Digest != s.Digest || m.Trustees[i].Share != s.Digest || share.Trustee != s.Trustee {
			t.Errorf("%s: digest or trustee differs", s.File)
		}
	}
	for _, p := range c.Packages {
		who := keys[p.Trustee+"/"+p.Person]
		share, err := seal.OpenShare(m, who.holder(), readVector(t, p.File), who.identity)
		if err != nil {
			t.Errorf("%s: %v", p.File, err)
			continue
		}
		if !bytes.Equal(share.Text, readVector(t, "share-"+c.Name+"-"+p.Trustee+".txt")) {
			t.Errorf("%s holds another text", p.File)
		}
	}
	checkDocuments(t, c, m, document, keys)
}

// checkDocuments checks the acceptances and a release to standby/sam.
func checkDocuments(t *testing.T, c ceremonyVector, m *evidence.KeyManifest, document []byte, keys map[string]person) {
	signed := func(files []string) (list []seal.Signed) {
		for _, f := range files {
			list = append(list, seal.Signed{Document: readVector(t, f), Signature: readVector(t, f+".sig"), ReceivedAt: now()})
		}
		return list
	}
	if st := seal.Accepted(m, document, signed(c.Acceptances)); !st.Reached {
		t.Errorf("acceptances: %s %+v", st, st.Rejected)
	}
	statement, err := evidence.ParseStatement(readVector(t, c.Statement))
	if err != nil {
		t.Fatal(err)
	}
	approvals := signed(c.Approvals)
	status, err := seal.Quorum(m, statement, approvals)
	if err != nil || !status.Reached {
		t.Errorf("approvals: %s %+v, %v", status, status.Rejected, err)
	}
	var offered []seal.Offered
	for _, a := range approvals {
		doc, err := evidence.ParseApproval(a.Document)
		if err != nil {
			t.Fatal(err)
		}
		text, err := seal.OpenApproval(doc, nil, keys["standby/sam"].identity)
		if err != nil {
			t.Fatal(err)
		}
		offered = append(offered, seal.Offered{Name: doc.Trustee, Text: text})
	}
	if got, err := seal.Combine(offered, m); err != nil || got.Identity.String() != c.Identity {
		t.Errorf("release: %v", err)
	}
}

func writeVectors(t *testing.T) {
	if err := os.MkdirAll(vectorDir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(vectorDir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v := vectors{H: seal.GeneratorH()}
	for _, i := range []identityVector{
		{Scalar: evidence.Bytes32{}, Arrangement: "a", Compartment: "b", IdentityEpoch: 1},
		{Scalar: evidence.Bytes32{1}, Arrangement: "belastingportaal", Compartment: "data/gem-a", IdentityEpoch: 12},
		{Scalar: vectorScalar("identity"), Arrangement: "belastingportaal", Compartment: "materials", IdentityEpoch: 1},
	} {
		id, err := seal.IdentityOf(i.Scalar, i.Arrangement, i.Compartment, i.IdentityEpoch)
		if err != nil {
			t.Fatal(err)
		}
		i.Identity, i.Release = id.String(), evidence.Fingerprint(id.Recipient().String())
		v.Identities = append(v.Identities, i)
	}
	for _, d := range []string{strings.Repeat("0", 64), strings.Repeat("f", 64), evidence.Digest([]byte("holdfast"))} {
		v.Digits = append(v.Digits, digitsVector{d, evidence.Digits(d)})
	}
	keys := make(map[string]person)
	contact := func(party, name string) evidence.Contact {
		who := party + "/" + name
		p, ok := keys[who]
		if !ok {
			p = vectorPerson(t, party, name)
			keys[who] = p
			card, err := evidence.SignContact(evidence.Contact{Party: party, Person: name, Recipient: p.identity.Recipient().String(), Created: evidence.At(now())}, p.signer)
			if err != nil {
				t.Fatal(err)
			}
			file := "contact-" + party + "-" + name + ".json"
			write(file, card)
			var seed [32]byte
			copy(seed[:], who)
			v.Keys = append(v.Keys, publishedKey{party, name, p.identity.String(), fmt.Sprintf("%x", seed), file})
		}
		return p.contact(t)
	}
	contact("leverancier", "dora")
	contact("standby", "sam")
	contact("gem-a", "anna")
	for _, c := range vectorCeremonies() {
		v.Ceremonies = append(v.Ceremonies, writeCeremony(t, c, keys, contact, write))
	}
	q, small := v.Ceremonies[0], v.Ceremonies[1]
	file := func(c ceremonyVector, trustees ...string) []string {
		var list []string
		for _, name := range trustees {
			list = append(list, "share-"+c.Name+"-"+name+".txt")
		}
		return list
	}
	v.Combine = []combineVector{
		{Shares: file(q, "notaris", "agent", "stichting"), Result: q.Identity},
		{Shares: file(q, "deskundige", "accountant", "notaris", "agent", "stichting"), Result: q.Identity},
		{Shares: file(q, "stichting", "agent", "deskundige", "agent"), Result: q.Identity},
		{Shares: file(q, "agent", "deskundige"), Says: "2 of 3 - 1 more needed"},
		{Shares: file(q, "agent", "deskundige", "agent"), Says: "2 of 3 - 1 more needed"},
		{Shares: file(small, "beheer", "notaris"), Result: small.Identity},
		{Shares: file(small, "beheer"), Says: "1 of 2 - 1 more needed"},
		{Shares: append(file(small, "beheer"), file(q, "agent", "notaris", "deskundige")...), Says: "set"},
	}
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	write("vectors.json", append(raw, '\n'))
}

func writeCeremony(t *testing.T, c vectorCeremony, keys map[string]person, contact func(string, string) evidence.Contact, write func(string, []byte)) ceremonyVector {
	dealer := keys["leverancier/dora"]
	ceremony := seal.Ceremony{
		Arrangement: "belastingportaal", Agreement: evidence.Digest([]byte("agreement")), Compartment: c.compartment, Epoch: c.epoch, Threshold: c.threshold,
	}
	if c.independent != nil {
		ceremony.Classes = []seal.Class{{Name: "independent", Threshold: 1, Members: c.independent}}
	}
	for i, party := range c.trustees {
		o := seal.Organisation{Party: party, People: []evidence.Contact{contact(party, party+"-1")}}
		if i == 0 {
			o.People = append(o.People, contact(party, party+"-2"))
		}
		ceremony.Trustees = append(ceremony.Trustees, o)
	}
	m := &evidence.KeyManifest{
		Format: evidence.KeysFormat, Kind: evidence.QuorumKind, Arrangement: ceremony.Arrangement, Agreement: ceremony.Agreement,
		Compartment: c.compartment, Epoch: c.epoch, IdentityEpoch: c.epoch, H: evidence.PedersenH,
		Recipients: []evidence.KeyRecipient{keys["gem-a/anna"].recipient(), keys["standby/sam"].recipient()}, Required: len(c.trustees),
		Dealer:  evidence.Signatory{Party: dealer.party, Person: dealer.name, Key: evidence.FormatPublicKey(dealer.signer.PublicKey())},
		Created: evidence.At(now()),
	}
	var err error
	if m.Parts, m.Trustees, err = ceremony.Layout(); err != nil {
		t.Fatal(err)
	}
	out := ceremonyVector{Name: c.name, Manifest: "manifest-" + c.name + ".json"}
	var values, blinds [][]evidence.Bytes32
	for _, p := range m.Parts {
		var poly polynomialVector
		for i := range p.Threshold {
			poly.Values = append(poly.Values, vectorScalar(fmt.Sprintf("%s %s value %d", c.name, p.Name, i)))
			poly.Blinds = append(poly.Blinds, vectorScalar(fmt.Sprintf("%s %s blind %d", c.name, p.Name, i)))
		}
		poly.Name = p.Name
		values, blinds = append(values, poly.Values), append(blinds, poly.Blinds)
		out.Parts = append(out.Parts, poly)
	}
	texts, err := seal.ShareFixed(m, values, blinds)
	if err != nil {
		t.Fatal(err)
	}
	var offered []seal.Offered
	for i := range m.Trustees {
		party := m.Trustees[i].Party
		m.Trustees[i].Share = evidence.Digest(texts[i])
		file := "share-" + c.name + "-" + party + ".txt"
		write(file, texts[i])
		offered = append(offered, seal.Offered{Name: file, Text: texts[i]})
		out.Shares = append(out.Shares, shareVector{party, file, m.Trustees[i].Share})
		for j := range m.Trustees[i].People {
			h := &m.Trustees[i].People[j]
			sealed := armored(t, texts[i], keys[party+"/"+h.Person])
			h.Package = evidence.Digest([]byte(sealed))
			name := "package-" + c.name + "-" + party + "-" + h.Person + ".age"
			write(name, []byte(sealed))
			out.Packages = append(out.Packages, packageVector{party, h.Person, name})
		}
	}
	for i := range out.Parts {
		out.Parts[i].Commitments = m.Parts[i].Commitments
	}
	document, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := evidence.Sign(dealer.signer, evidence.NamespaceKeys, document)
	if err != nil {
		t.Fatal(err)
	}
	write(out.Manifest, document)
	write(out.Manifest+".sig", sig)
	combined, err := seal.Combine(offered, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Set, out.Identity = m.Set, combined.Identity.String()
	writeDocuments(t, &out, m, document, texts, keys, write)
	return out
}

// writeDocuments writes the acceptances of all trustees, a statement for
// standby/sam and the approvals of all trustees.
func writeDocuments(t *testing.T, out *ceremonyVector, m *evidence.KeyManifest, document []byte, texts [][]byte, keys map[string]person, write func(string, []byte)) {
	statement, err := evidence.ApprovalStatement{
		Arrangement: m.Arrangement, Agreement: m.Agreement, Compartment: m.Compartment, Epoch: m.Epoch, Set: m.Set, Case: "2027-01", Stage: "materials",
		Recipients: []evidence.StatementRecipient{{Party: "standby", Person: "sam", Fingerprint: evidence.Fingerprint(keys["standby/sam"].identity.Recipient().String())}},
		Deposits:   []evidence.DepositRange{{Module: "code", From: 1, To: 42}},
		Purpose:    "Voortzetting van de dienst door Standby B.V.", Expires: evidence.At(now().AddDate(0, 0, 5)), Nonce: evidence.Digest([]byte("nonce")),
	}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	out.Statement = "statement-" + out.Name + ".json"
	write(out.Statement, statement)
	for i, trustee := range m.Trustees {
		p := keys[trustee.Party+"/"+trustee.Party+"-1"]
		share, err := seal.CheckShare(m, texts[i])
		if err != nil {
			t.Fatal(err)
		}
		acceptance, sig, err := seal.Accept(m, document, share, p.holder(), p.signer, now())
		if err != nil {
			t.Fatal(err)
		}
		name := "acceptance-" + out.Name + "-" + trustee.Party + ".json"
		write(name, acceptance)
		write(name+".sig", sig)
		out.Acceptances = append(out.Acceptances, name)
		approval, sig, err := seal.Approve(seal.ApproveRequest{Manifest: m, Statement: statement, Share: share, Holder: p.holder(), Signer: p.signer, Now: now()})
		if err != nil {
			t.Fatal(err)
		}
		name = "approval-" + out.Name + "-" + trustee.Party + ".json"
		write(name, approval)
		write(name+".sig", sig)
		out.Approvals = append(out.Approvals, name)
	}
}

// TestFormatsPageNamesWhatTheCodeUses keeps docs/formats.md from drifting.
func TestFormatsPageNamesWhatTheCodeUses(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{
		evidence.PedersenH, evidence.ContactFormat, evidence.KeysFormat, evidence.ShareFormat, evidence.AcceptanceFormat,
		evidence.StatementFormat, evidence.ApprovalFormat, evidence.PlanFormat, evidence.DealingFormat, evidence.SubShareFormat,
		evidence.NamespaceKeys, evidence.NamespaceAcceptance, evidence.NamespaceApproval, evidence.NamespaceDeposit, evidence.NamespaceContact, evidence.NamespaceReshare,
		"holdfast/v1/release-identity", "holdfast/v1/pedersen-h", "mlkem768x25519",
	} {
		if !bytes.Contains(page, []byte(word)) {
			t.Errorf("docs/formats.md does not say %s", word)
		}
	}
}
