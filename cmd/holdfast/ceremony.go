package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/seal"
)

// ceremonyCmd deals release identities. Dealing and resharing talk to no
// server.
type ceremonyCmd struct {
	Deal    ceremonyDealCmd    `cmd:"" help:"Make the release key of a compartment, share it among trustees and seal each share."`
	Reshare reshareCmd         `cmd:"" help:"Pass a release key to other trustees without putting it together."`
	Publish ceremonyPublishCmd `cmd:"" help:"Hand a ceremony's output to a server."`
}

// The files a ceremony leaves; the server's verbs read the same names.
const (
	manifestName = "manifest.json"
	sigExt       = ".sig"
)

// packageName is where a person's sealed share lies in a ceremony's output.
func packageName(trustee, person string) string {
	return filepath.Join("packages", trustee, person+".age")
}

// sharing is embedded by the verbs that describe a sharing: either an
// agreement and a directory of contact cards say it, or flags do.
type sharing struct {
	Agreement string `help:"Agreement; quorum, trustees and recipients are read from it." type:"existingfile"`
	Contacts  string `help:"Directory with the contact cards (NAME.contact) of everybody concerned." type:"existingdir"`

	Arrangement string   `help:"Arrangement id, without --agreement."`
	Digest      string   `name:"agreement-digest" help:"Digest of the agreement in force, without --agreement."`
	Threshold   int      `help:"Organisations needed, without --agreement."`
	Trustee     []string `help:"Trustee and the card of one of its people, in the order of their numbers: PARTY=FILE." placeholder:"PARTY=FILE" sep:"none"`
	Class       []string `help:"Class rule in the key itself: NAME=NEEDED:PARTY,PARTY,…" placeholder:"NAME=N:PARTY,…" sep:"none"`
	Recipient   []string `help:"Card of a person for whom a release may open." placeholder:"FILE" sep:"none" type:"existingfile"`
	Direct      bool     `help:"Seal to the recipients themselves: no trustees, no quorum."`

	Compartment string `help:"Compartment id." required:""`
	Required    int    `help:"Acceptances needed before the epoch becomes active (default: all trustees)."`
	Sign        string `help:"Your signing key (NAME.sign); NAME.contact is expected beside it." required:"" type:"existingfile"`
	Dealer      string `help:"Your contact card, when it is not beside the signing key." type:"existingfile"`
	Passphrase  string `name:"passphrase-file" help:"File with the passphrase of the signing key." type:"existingfile"`
}

// ceremony reads what is to be dealt.
func (c *sharing) ceremony(epoch int) (seal.Ceremony, ssh.Signer, error) {
	signer, dealer, err := c.dealer()
	if err != nil {
		return seal.Ceremony{}, nil, err
	}
	out := seal.Ceremony{Compartment: c.Compartment, Epoch: epoch, Required: c.Required, Party: dealer.Party, Person: dealer.Person, Created: time.Now()}
	if c.Agreement != "" {
		err = c.fromAgreement(&out)
	} else {
		err = c.fromFlags(&out)
	}
	return out, signer, err
}

func (c *sharing) dealer() (ssh.Signer, *evidence.Contact, error) {
	signer, err := readSigner(c.Sign, c.Passphrase)
	if err != nil {
		return nil, nil, err
	}
	path := c.Dealer
	if path == "" {
		path = strings.TrimSuffix(c.Sign, signerExt) + contactExt
	}
	card, err := readContact(path)
	if err != nil {
		return nil, nil, err
	}
	if card.Key != evidence.FormatPublicKey(signer.PublicKey()) {
		return nil, nil, escrow.Errorf(escrow.WrongKey, "%s is not the signing key on the card %s", c.Sign, path).WithHint("give the card that belongs to the key with --dealer")
	}
	return signer, card, nil
}

// fromAgreement reads the sharing from the agreement's text and the cards.
func (c *sharing) fromAgreement(out *seal.Ceremony) error {
	if c.Arrangement != "" || c.Digest != "" || c.Threshold != 0 || len(c.Trustee) > 0 || len(c.Class) > 0 || len(c.Recipient) > 0 || c.Direct {
		return escrow.Errorf(escrow.Invalid, "with --agreement the text says who and how many; leave the other flags out")
	}
	if c.Contacts == "" {
		return escrow.Errorf(escrow.Invalid, "--agreement needs --contacts DIR with everybody's card")
	}
	data, err := readFile(c.Agreement, 4<<20)
	if err != nil {
		return err
	}
	a, problems := agreement.Parse(c.Agreement, data)
	if err := agreement.Refusal(problems); err != nil {
		return err
	}
	if out.Agreement, err = a.Digest(); err != nil {
		return err
	}
	out.Arrangement = a.ID
	terms := a.Expand().Compartment(c.Compartment)
	if terms == nil {
		return escrow.Errorf(escrow.NotFound, "the agreement has no compartment %q", c.Compartment)
	}
	cards, err := readContacts(c.Contacts)
	if err != nil {
		return err
	}
	of := func(party string, atLeast int) ([]evidence.Contact, error) {
		var list []evidence.Contact
		for _, card := range cards {
			if card.Party == party {
				list = append(list, card)
			}
		}
		if len(list) < atLeast {
			return nil, escrow.Errorf(escrow.Missing, "%s holds %d cards of %s, the agreement asks for %d people", c.Contacts, len(list), party, atLeast).
				WithHint("let them run 'holdfast key new' and send their card")
		}
		return list, nil
	}
	for _, party := range terms.Recipients {
		list, err := of(party, 1)
		if err != nil {
			return err
		}
		for _, card := range list {
			out.Recipients = append(out.Recipients, evidence.KeyRecipient{Party: card.Party, Person: card.Person, Recipient: card.Recipient})
		}
	}
	if terms.OnDemand {
		c.Direct = true
		return nil
	}
	out.Threshold = terms.Quorum.Of
	for _, party := range terms.Quorum.From {
		people, err := of(party, terms.Quorum.PeopleEach)
		if err != nil {
			return err
		}
		out.Trustees = append(out.Trustees, seal.Organisation{Party: party, People: people})
	}
	for name, n := range terms.Quorum.AtLeast {
		out.Classes = append(out.Classes, seal.Class{Name: name, Threshold: n, Members: terms.Quorum.Classes[name]})
	}
	return nil
}

// fromFlags reads the sharing from the command line.
func (c *sharing) fromFlags(out *seal.Ceremony) error {
	if c.Arrangement == "" || c.Digest == "" {
		return escrow.Errorf(escrow.Invalid, "without --agreement, --arrangement and --agreement-digest are needed")
	}
	out.Arrangement, out.Agreement, out.Threshold = c.Arrangement, c.Digest, c.Threshold
	for _, arg := range c.Trustee {
		party, path, ok := strings.Cut(arg, "=")
		if !ok {
			return escrow.Errorf(escrow.Invalid, "--trustee %q is not PARTY=FILE", arg)
		}
		card, err := readContact(path)
		if err != nil {
			return err
		}
		if card.Party != party {
			return escrow.Errorf(escrow.Invalid, "the card %s is of %s/%s, not of %s", path, card.Party, card.Person, party)
		}
		i := slices.IndexFunc(out.Trustees, func(o seal.Organisation) bool { return o.Party == party })
		if i < 0 {
			out.Trustees = append(out.Trustees, seal.Organisation{Party: party})
			i = len(out.Trustees) - 1
		}
		out.Trustees[i].People = append(out.Trustees[i].People, *card)
	}
	for _, arg := range c.Class {
		name, rule, ok1 := strings.Cut(arg, "=")
		needed, members, ok2 := strings.Cut(rule, ":")
		n, err := strconv.Atoi(needed)
		if !ok1 || !ok2 || err != nil {
			return escrow.Errorf(escrow.Invalid, "--class %q is not NAME=NEEDED:PARTY,PARTY", arg)
		}
		out.Classes = append(out.Classes, seal.Class{Name: name, Threshold: n, Members: strings.Split(members, ",")})
	}
	for _, path := range c.Recipient {
		card, err := readContact(path)
		if err != nil {
			return err
		}
		out.Recipients = append(out.Recipients, evidence.KeyRecipient{Party: card.Party, Person: card.Person, Recipient: card.Recipient})
	}
	return nil
}

type ceremonyDealCmd struct {
	sharing
	Epoch int    `help:"Number of the epoch." default:"1"`
	Out   string `help:"Directory to make, with the key manifest and the sealed shares." required:"" type:"path"`
}

func (ceremonyDealCmd) Help() string {
	return `Run this on a machine you trust: the release key exists in its memory for a moment, and is
written nowhere. What comes out is public or sealed to one person each. It is not in force
before the trustees have checked and accepted their shares ('holdfast share check --accept').`
}

func (c *ceremonyDealCmd) Run(_ context.Context, s *streams) error {
	ceremony, signer, err := c.ceremony(c.Epoch)
	if err != nil {
		return err
	}
	var dealt *seal.Dealt
	if c.Direct {
		dealt, err = seal.DealDirect(ceremony, signer)
	} else {
		dealt, err = seal.Deal(rand.Reader, ceremony, signer)
	}
	if err != nil {
		return err
	}
	files := []newFile{{manifestName, dealt.Document, 0o644}, {manifestName + sigExt, dealt.Signature, 0o644}}
	for _, p := range dealt.Packages {
		files = append(files, newFile{packageName(p.Trustee, p.Person), p.Sealed, 0o644})
	}
	if err := newDir(c.Out, files); err != nil {
		return err
	}
	return printManifest(s, "dealt", dealt.Manifest, dealt.Document, c.Out)
}

// newDir makes a directory with files, whole or not at all.
func newDir(dir string, files []newFile) error {
	if _, err := os.Lstat(dir); err == nil {
		return escrow.Errorf(escrow.Conflict, "%s exists already and is not overwritten", dir).WithHint("name a directory that does not exist yet")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".holdfast-*")
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	defer os.RemoveAll(work)
	for i := range files {
		files[i].path = filepath.Join(work, files[i].path)
	}
	if err := newFiles(files); err != nil {
		return err
	}
	if err := os.Rename(work, dir); err != nil {
		return escrow.Errorf(escrow.Conflict, "%w", err)
	}
	return nil
}

// shownManifest is what is printed about a key manifest.
type shownManifest struct {
	Arrangement string         `json:"arrangement"`
	Compartment string         `json:"compartment"`
	Epoch       int            `json:"epoch"`
	Kind        string         `json:"kind"`
	Set         string         `json:"set"`
	Manifest    string         `json:"manifest"` // digest
	Release     string         `json:"release,omitempty"`
	Digits      string         `json:"digits,omitempty"`
	Quorum      string         `json:"quorum"`
	Required    int            `json:"required"`
	Dealer      string         `json:"dealer"`
	DealerKey   string         `json:"dealer_key"`
	Trustees    []shownTrustee `json:"trustees,omitempty"`
	OpensFor    []shownPinned  `json:"opens_for"`
	Cautions    []string       `json:"cautions,omitempty"`
	Written     string         `json:"written,omitempty"`
}

type shownTrustee struct {
	Number  int           `json:"number"`
	Party   string        `json:"party"`
	Classes []string      `json:"classes,omitempty"`
	People  []shownPinned `json:"people"`
}

type shownPinned struct {
	Party       string `json:"party,omitempty"`
	Person      string `json:"person"`
	Fingerprint string `json:"fingerprint"`
	Digits      string `json:"digits"`
}

func showManifest(m *evidence.KeyManifest, document []byte) shownManifest {
	out := shownManifest{Arrangement: m.Arrangement, Compartment: m.Compartment, Epoch: m.Epoch, Kind: m.Kind, Set: m.Set,
		Manifest: evidence.Digest(document), Quorum: quorumText(m), Required: m.Required,
		Dealer: m.Dealer.Party + "/" + m.Dealer.Person, Cautions: seal.Cautions(m)}
	if key, err := evidence.ParsePublicKey(m.Dealer.Key); err == nil {
		out.DealerKey = ssh.FingerprintSHA256(key)
	}
	if m.Recipient != "" {
		out.Release = evidence.Fingerprint(m.Recipient)
		out.Digits = evidence.Digits(out.Release)
	}
	pinned := func(party, person, recipient string) shownPinned {
		print := evidence.Fingerprint(recipient)
		return shownPinned{party, person, print, evidence.Digits(print)}
	}
	for i, t := range m.Trustees {
		st := shownTrustee{Number: i + 1, Party: t.Party}
		for _, p := range t.Indexes {
			if p.Part != evidence.AllPart {
				st.Classes = append(st.Classes, p.Part)
			}
		}
		for _, p := range t.People {
			st.People = append(st.People, pinned("", p.Person, p.Recipient))
		}
		out.Trustees = append(out.Trustees, st)
	}
	for _, r := range m.Recipients {
		out.OpensFor = append(out.OpensFor, pinned(r.Party, r.Person, r.Recipient))
	}
	return out
}

func quorumText(m *evidence.KeyManifest) string {
	if m.Kind == evidence.DirectKind {
		return "none: sealed to " + m.Recipients[0].Party + " itself"
	}
	var words []string
	for _, p := range m.Parts {
		w := fmt.Sprintf("%d of %d", p.Threshold, p.Holders)
		if p.Name != evidence.AllPart {
			w += " " + p.Name
		}
		words = append(words, w)
	}
	return strings.Join(words, ", and ")
}

func printManifest(s *streams, verb string, m *evidence.KeyManifest, document []byte, written string) error {
	v := showManifest(m, document)
	v.Written = written
	if s.json {
		return s.printJSON(v)
	}
	fmt.Fprintf(s.out, "%-10s%s, compartment %s, epoch %d\n", verb, v.Arrangement, v.Compartment, v.Epoch)
	v.print(s)
	if written != "" {
		fmt.Fprintf(s.out, "  written   %s\n", written)
	}
	return nil
}

// print writes everything of a manifest that people compare.
func (v shownManifest) print(s *streams) {
	fmt.Fprintf(s.out, "  set       %s\n  quorum    %s\n", v.Set, v.Quorum)
	if v.Release != "" {
		fmt.Fprintf(s.out, "  release   %s\n", v.Digits)
	}
	fmt.Fprintf(s.out, "  dealer    %s, signs as %s\n", v.Dealer, v.DealerKey)
	for _, t := range v.Trustees {
		classes := ""
		if len(t.Classes) > 0 {
			classes = "  " + strings.Join(t.Classes, ", ")
		}
		fmt.Fprintf(s.out, "  trustee %d %s%s\n", t.Number, t.Party, classes)
		for _, p := range t.People {
			fmt.Fprintf(s.out, "            %-22s %s\n", p.Person, p.Digits)
		}
	}
	for _, p := range v.OpensFor {
		fmt.Fprintf(s.out, "  opens for %-22s %s\n", p.Party+"/"+p.Person, p.Digits)
	}
	for _, c := range v.Cautions {
		fmt.Fprintf(s.out, "  caution   %s\n", c)
	}
}
