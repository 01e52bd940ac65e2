package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"filippo.io/age"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// shareCmd is the trustee's part before a release.
type shareCmd struct {
	Check  shareCheckCmd  `cmd:"" help:"Open your share, check it against the key manifest, and accept it."`
	Fetch  shareFetchCmd  `cmd:"" help:"Fetch your sealed share and the key manifest from a server."`
	Accept shareAcceptCmd `cmd:"" help:"Hand in an acceptance made with 'holdfast share check --accept'."`
}

// received is embedded by the verbs that read what a dealer or server gave.
type received struct {
	From     string `help:"Directory with manifest.json, its signature and your package: a ceremony's output or what was fetched." type:"existingdir"`
	Manifest string `help:"Key manifest; its signature is expected beside it (FILE.sig)." type:"existingfile"`
	Package  string `help:"Your sealed share." type:"existingfile"`
	As       string `help:"Organisation you act for, when you act for more than one."`
}

// manifest opens the key manifest.
func (r *received) manifest() (*evidence.KeyManifest, []byte, error) {
	path := r.Manifest
	if path == "" && r.From != "" {
		path = filepath.Join(r.From, manifestName)
	}
	if path == "" {
		return nil, nil, escrow.Errorf(escrow.Invalid, "no key manifest").WithHint("give --from DIR, or --manifest FILE")
	}
	return readManifest(path)
}

func readManifest(path string) (*evidence.KeyManifest, []byte, error) {
	document, err := readFile(path, 8<<20)
	if err != nil {
		return nil, nil, err
	}
	signature, err := readFile(path+sigExt, maxKeyFile)
	if err != nil {
		return nil, nil, err
	}
	m, err := seal.OpenManifest(document, signature)
	return m, document, err
}

// share opens the holder's package.
func (r *received) share(m *evidence.KeyManifest, id *age.HybridIdentity) (*seal.Share, seal.Holder, error) {
	h, err := holderOf(m, id, r.As)
	if err != nil {
		return nil, h, err
	}
	path := r.Package
	if path == "" && r.From != "" {
		path = filepath.Join(r.From, "package.age") // as fetched
		if _, err := readFile(path, 1); escrow.CodeOf(err) == escrow.Missing {
			path = filepath.Join(r.From, packageName(h.Trustee, h.Person))
		}
	}
	if path == "" {
		return nil, h, escrow.Errorf(escrow.Invalid, "no sealed share").WithHint("give --from DIR, or --package FILE")
	}
	sealed, err := readFile(path, 2<<20)
	if escrow.CodeOf(err) == escrow.Missing {
		hint := "give your sealed share with --package"
		if m.Previous != "" {
			hint = "this key was passed on: give the share that you made with 'holdfast ceremony reshare combine' as --package"
		}
		return nil, h, escrow.Errorf(escrow.Missing, "%s does not exist", path).WithHint("%s", hint)
	}
	if err != nil {
		return nil, h, err
	}
	s, err := seal.OpenShare(m, h, sealed, id)
	return s, h, err
}

// holderOf finds who in a manifest has this key.
func holderOf(m *evidence.KeyManifest, id *age.HybridIdentity, as string) (seal.Holder, error) {
	var found []seal.Holder
	for _, t := range m.Trustees {
		for _, p := range t.People {
			if p.Recipient == id.Recipient().String() && (as == "" || as == t.Party) {
				found = append(found, seal.Holder{Trustee: t.Party, Person: p.Person})
			}
		}
	}
	own := evidence.Fingerprint(id.Recipient().String())
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return seal.Holder{}, escrow.Errorf(escrow.WrongKey, "nobody in the key manifest of %s, epoch %d, has your key %s", m.Compartment, m.Epoch, own[:16]).
			WithHint("use the key whose card you gave the dealer; if you did, somebody replaced it: stop and call the dealer")
	}
	return seal.Holder{}, escrow.Errorf(escrow.Invalid, "you act for %s and for %s", found[0].Trustee, found[1].Trustee).WithHint("say for which with --as PARTY")
}

type shareCheckCmd struct {
	received
	ownKeys
	Contacts string `help:"Directory with contact cards you have from elsewhere: every key in the manifest is compared with them." type:"existingdir"`
	Accept   bool   `help:"Sign an acceptance when everything holds."`
	Out      string `help:"File for the acceptance; its signature goes beside it (default: acceptance.json beside the key manifest)." type:"path"`
}

func (shareCheckCmd) Help() string {
	return `Opens your share and checks: the dealer's signature, that your own keys are the ones the manifest
names, the share's published digest, that it fits the commitments, and that it permits the same
recipients as the manifest. What it cannot check is who stands behind the keys: compare the
digits with the people themselves, or give --contacts with cards you got from them directly.`
}

// checkedShare is what is printed.
type checkedShare struct {
	Holder   string        `json:"holder"`
	Share    string        `json:"share"` // digest
	Compared int           `json:"compared"`
	Manifest shownManifest `json:"manifest"`
	Accepted string        `json:"accepted,omitempty"` // file
}

func (c *shareCheckCmd) Run(_ context.Context, s *streams) error {
	id, err := c.identity()
	if err != nil {
		return err
	}
	m, document, err := c.manifest()
	if err != nil {
		return err
	}
	share, h, err := c.share(m, id)
	if err != nil {
		return err
	}
	out := checkedShare{Holder: h.String(), Share: share.Digest, Manifest: showManifest(m, document)}
	if c.Contacts != "" {
		cards, err := readContacts(c.Contacts)
		if err != nil {
			return err
		}
		if out.Compared, err = compareCards(m, cards); err != nil {
			return err
		}
	}
	if c.Accept {
		if out.Accepted, err = c.accept(m, document, share, h); err != nil {
			return err
		}
	}
	if s.json {
		return s.printJSON(out)
	}
	fmt.Fprintf(s.out, "checked   share of %s: %s, compartment %s, epoch %d\n", out.Holder, m.Arrangement, m.Compartment, m.Epoch)
	fmt.Fprintf(s.out, "  share     %s\n", out.Share)
	out.Manifest.print(s)
	if c.Contacts != "" {
		fmt.Fprintf(s.out, "  compared  %d keys with the cards in %s\n", out.Compared, c.Contacts)
	} else {
		fmt.Fprintf(s.out, "  to do     compare the digits with the people themselves\n")
	}
	if out.Accepted != "" {
		fmt.Fprintf(s.out, "  accepted  %s\n", out.Accepted)
	}
	return nil
}

func (c *shareCheckCmd) accept(m *evidence.KeyManifest, document []byte, share *seal.Share, h seal.Holder) (string, error) {
	signer, err := c.signer()
	if err != nil {
		return "", err
	}
	acceptance, signature, err := seal.Accept(m, document, share, h, signer, time.Now())
	if err != nil {
		return "", err
	}
	path := c.Out
	if path == "" {
		path = filepath.Join(c.From, "acceptance.json")
		if c.Manifest != "" {
			path = filepath.Join(filepath.Dir(c.Manifest), "acceptance.json")
		}
	}
	return path, newFiles([]newFile{{path, acceptance, 0o644}, {path + sigExt, signature, 0o644}})
}

// compareCards compares every key of a manifest with the cards and returns
// how many were known. A key that differs from its card is refused.
func compareCards(m *evidence.KeyManifest, cards []evidence.Contact) (int, error) {
	compared := 0
	check := func(party, person, recipient, key string) error {
		for _, card := range cards {
			if card.Party != party || card.Person != person {
				continue
			}
			if recipient != "" && recipient != card.Recipient || key != "" && key != card.Key {
				return escrow.Errorf(escrow.Conflict, "the key manifest has another key for %s/%s than the card", party, person).
					WithHint("do not accept: somebody replaced a key, or the card is old; ask %s over a channel that is not this server", person)
			}
			compared++
		}
		return nil
	}
	if err := check(m.Dealer.Party, m.Dealer.Person, "", m.Dealer.Key); err != nil {
		return 0, err
	}
	for _, t := range m.Trustees {
		for _, p := range t.People {
			if err := check(t.Party, p.Person, p.Recipient, p.Key); err != nil {
				return 0, err
			}
		}
	}
	for _, r := range m.Recipients {
		if err := check(r.Party, r.Person, r.Recipient, ""); err != nil {
			return 0, err
		}
	}
	return compared, nil
}
