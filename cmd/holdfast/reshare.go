package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/seal"
)

// reshareCmd passes a release key on to other trustees. The old shares stay
// valid in the old set; the new set counts when its trustees have accepted.
type reshareCmd struct {
	Plan     resharePlanCmd     `cmd:"" help:"Coordinator: write the plan that old trustees agree to by dealing."`
	Deal     reshareDealCmd     `cmd:"" help:"Old trustee: share your own share anew among the new trustees."`
	Manifest reshareManifestCmd `cmd:"" help:"Coordinator: derive and sign the new key manifest. Anyone can derive it."`
	Combine  reshareCombineCmd  `cmd:"" help:"New trustee: check what the old ones dealt and make your share of it."`
}

// oldSet is embedded by every step: the key manifest that is passed on.
type oldSet struct {
	Old string `help:"Key manifest of the old set; its signature is expected beside it." required:"" type:"existingfile"`
}

func (o oldSet) read() (seal.Old, error) {
	m, document, err := readManifest(o.Old)
	return seal.Old{Manifest: m, Document: document}, err
}

type resharePlanCmd struct {
	oldSet
	sharing
	Epoch       int      `help:"Number of the new epoch (default: the next)."`
	Contributor []string `help:"Old trustee that deals; enough for every threshold." required:"" placeholder:"PARTY" sep:"none"`
	Out         string   `help:"File for the plan." required:"" type:"path"`
}

func (c *resharePlanCmd) Run(_ context.Context, s *streams) error {
	old, err := c.read()
	if err != nil {
		return err
	}
	epoch := c.Epoch
	if epoch == 0 {
		epoch = old.Manifest.Epoch + 1
	}
	ceremony, signer, err := c.ceremony(epoch)
	if err != nil {
		return err
	}
	plan, err := seal.PlanReshare(old, ceremony, c.Contributor, signer)
	if err != nil {
		return err
	}
	if err := newFiles([]newFile{{c.Out, plan, 0o644}}); err != nil {
		return err
	}
	return printPlan(s, "planned", plan, c.Out)
}

// printPlan shows a plan to the people who agree to it.
func printPlan(s *streams, verb string, raw []byte, written string) error {
	plan, err := evidence.ParseResharePlan(raw)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(map[string]any{"plan": evidence.Digest(raw), "epoch": plan.Epoch, "contributors": plan.Contributors, "written": written})
	}
	fmt.Fprintf(s.out, "%-10s%s, compartment %s, epoch %d\n", verb, plan.Arrangement, plan.Compartment, plan.Epoch)
	fmt.Fprintf(s.out, "  plan      %s\n  old set   %s\n", evidence.Digest(raw), plan.Previous)
	for _, p := range plan.Parts {
		class := ""
		if p.Name != evidence.AllPart {
			class = " " + p.Name
		}
		fmt.Fprintf(s.out, "  quorum    %d of %d%s\n", p.Threshold, p.Holders, class)
	}
	fmt.Fprintf(s.out, "  deal      %s\n", strings.Join(plan.Contributors, ", "))
	for i, t := range plan.Trustees {
		fmt.Fprintf(s.out, "  trustee %d %s\n", i+1, t.Party)
		for _, p := range t.People {
			fmt.Fprintf(s.out, "            %-22s %s\n", p.Person, evidence.Digits(evidence.Fingerprint(p.Recipient)))
		}
	}
	for _, r := range plan.Recipients {
		fmt.Fprintf(s.out, "  opens for %-22s %s\n", r.Party+"/"+r.Person, evidence.Digits(evidence.Fingerprint(r.Recipient)))
	}
	_, err = fmt.Fprintf(s.out, "  written   %s\n", written)
	return err
}

type reshareDealCmd struct {
	oldSet
	ownKeys
	Package string `help:"Your sealed share of the old set." required:"" type:"existingfile"`
	As      string `help:"Organisation you act for, when you act for more than one."`
	Plan    string `help:"The plan." required:"" type:"existingfile"`
	Out     string `help:"File for the dealing; its signature goes beside it." required:"" type:"path"`
}

func (reshareDealCmd) Help() string {
	return `By dealing you agree to the plan: compare the digits of its trustees and recipients first. Your
old share stays valid, and nobody learns it.`
}

func (c *reshareDealCmd) Run(_ context.Context, s *streams) error {
	old, err := c.read()
	if err != nil {
		return err
	}
	plan, err := readFile(c.Plan, 8<<20)
	if err != nil {
		return err
	}
	id, err := c.identity()
	if err != nil {
		return err
	}
	in := received{Package: c.Package, As: c.As}
	share, h, err := in.share(old.Manifest, id)
	if err != nil {
		return err
	}
	signer, err := c.signer()
	if err != nil {
		return err
	}
	dealing, signature, err := seal.DealReshare(rand.Reader, old, plan, share, h, signer, time.Now())
	if err != nil {
		return err
	}
	if err := newFiles([]newFile{{c.Out, dealing, 0o644}, {c.Out + sigExt, signature, 0o644}}); err != nil {
		return err
	}
	return printPlan(s, "dealt", plan, c.Out)
}

// reshared is embedded by the steps that read the dealings.
type reshared struct {
	oldSet
	Plan    string   `help:"The plan." required:"" type:"existingfile"`
	Dealing []string `help:"Dealing of a contributor; its signature is expected beside it." required:"" placeholder:"FILE" sep:"none" type:"existingfile"`
}

func (r *reshared) read() (seal.Old, []byte, []seal.Signed, error) {
	old, err := r.oldSet.read()
	if err != nil {
		return old, nil, nil, err
	}
	plan, err := readFile(r.Plan, 8<<20)
	if err != nil {
		return old, nil, nil, err
	}
	var dealings []seal.Signed
	for _, path := range r.Dealing {
		var d seal.Signed
		if d.Document, err = readFile(path, 16<<20); err != nil {
			return old, nil, nil, err
		}
		if d.Signature, err = readFile(path+sigExt, maxKeyFile); err != nil {
			return old, nil, nil, err
		}
		dealings = append(dealings, d)
	}
	return old, plan, dealings, nil
}

type reshareManifestCmd struct {
	reshared
	Sign       string `help:"The coordinator's signing key; without it an existing manifest in --out is only compared." type:"existingfile"`
	Passphrase string `name:"passphrase-file" help:"File with the passphrase of the signing key." type:"existingfile"`
	Out        string `help:"Directory to make with the new key manifest, or with the one to compare." required:"" type:"path"`
}

func (c *reshareManifestCmd) Run(_ context.Context, s *streams) error {
	old, plan, dealings, err := c.read()
	if err != nil {
		return err
	}
	m, document, err := seal.ReshareManifest(old, plan, dealings)
	if err != nil {
		return err
	}
	if c.Sign == "" {
		_, published, err := readManifest(filepath.Join(c.Out, manifestName))
		if err != nil {
			return err
		}
		if _, err := seal.CheckReshared(old, plan, dealings, published); err != nil {
			return err
		}
		return printManifest(s, "checked", m, document, "")
	}
	signer, err := readSigner(c.Sign, c.Passphrase)
	if err != nil {
		return err
	}
	signature, err := seal.SignManifest(m, document, signer)
	if err != nil {
		return err
	}
	if err := newDir(c.Out, []newFile{{manifestName, document, 0o644}, {manifestName + sigExt, signature, 0o644}}); err != nil {
		return err
	}
	return printManifest(s, "reshared", m, document, c.Out)
}

type reshareCombineCmd struct {
	reshared
	ownKeys
	Manifest string `help:"The new key manifest; its signature is expected beside it." required:"" type:"existingfile"`
	As       string `help:"Organisation you act for, when you act for more than one."`
	Out      string `help:"Directory to make with your organisation's new sealed shares." required:"" type:"path"`
}

func (reshareCombineCmd) Help() string {
	return `Derives the new key manifest again from the plan and the dealings, checks every sub-share you got
and names the old trustee whose sub-share does not fit. The new share is sealed to each person of
your organisation; go on with 'holdfast share check --accept'.`
}

func (c *reshareCombineCmd) Run(_ context.Context, s *streams) error {
	old, plan, dealings, err := c.read()
	if err != nil {
		return err
	}
	m, document, err := readManifest(c.Manifest)
	if err != nil {
		return err
	}
	id, err := c.identity()
	if err != nil {
		return err
	}
	h, err := holderOf(m, id, c.As)
	if err != nil {
		return err
	}
	share, err := seal.CombineReshare(old, plan, dealings, document, h, id)
	if err != nil {
		return err
	}
	packages, err := seal.SealShare(m, share)
	if err != nil {
		return err
	}
	signature, err := readFile(c.Manifest+sigExt, maxKeyFile)
	if err != nil {
		return err
	}
	files := []newFile{{manifestName, document, 0o644}, {manifestName + sigExt, signature, 0o644}}
	for _, p := range packages {
		files = append(files, newFile{packageName(p.Trustee, p.Person), p.Sealed, 0o644})
	}
	if err := newDir(c.Out, files); err != nil {
		return err
	}
	if s.json {
		return s.printJSON(map[string]any{"holder": h.String(), "set": m.Set, "share": share.Digest, "written": c.Out})
	}
	if _, err := fmt.Fprintf(s.out, "reshared  share of %s: %s, compartment %s, epoch %d\n  set       %s\n  share     %s\n  written   %s\n",
		h, m.Arrangement, m.Compartment, m.Epoch, m.Set, share.Digest, c.Out); err != nil {
		return err
	}
	return nil
}
