package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"filippo.io/age"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
)

// combineCmd puts a release identity together from what trustees handed over.
type combineCmd struct {
	Files      []string `arg:"" help:"Share texts, sealed shares (*.age) or approvals (*.json) of the trustees." type:"existingfile"`
	Manifest   string   `help:"Key manifest; with it a false share is known by its digest too. Its signature is expected beside it." type:"existingfile"`
	Key        string   `help:"Your key file, to open sealed shares and approvals." type:"existingfile"`
	Passphrase string   `name:"passphrase-file" help:"File with the passphrase of your key file." type:"existingfile"`
	Out        string   `help:"File for the release key." required:"" type:"path"`
}

func (combineCmd) Help() string {
	return `Checks every share, names the ones that are damaged, false or of another set, and writes the
release key only when every threshold is reached and the result is the published key. The file
works with stock age: age -d -i release.key OBJECT.

Exit codes: 6 shares of different sets, 7 below the quorum, 8 wrong key, 9 damaged.`
}

// combinedKey is what is printed.
type combinedKey struct {
	Arrangement string            `json:"arrangement"`
	Compartment string            `json:"compartment"`
	Epoch       int               `json:"epoch"`
	Set         string            `json:"set"`
	Parts       []seal.PartStatus `json:"parts"`
	Used        []string          `json:"used"`
	Ignored     []seal.Finding    `json:"ignored,omitempty"`
	Fingerprint string            `json:"fingerprint"`
	Written     string            `json:"written"`
}

func (c *combineCmd) Run(_ context.Context, s *streams) error {
	var manifest *evidence.KeyManifest
	if c.Manifest != "" {
		var err error
		if manifest, _, err = readManifest(c.Manifest); err != nil {
			return err
		}
	}
	var own *age.HybridIdentity
	if c.Key != "" {
		var err error
		if own, err = readIdentity(c.Key, c.Passphrase); err != nil {
			return err
		}
	}
	var offered []seal.Offered
	for _, path := range c.Files {
		text, err := readOffered(path, own)
		if err != nil {
			return err
		}
		offered = append(offered, seal.Offered{Name: path, Text: text})
	}
	combined, err := seal.Combine(offered, manifest)
	if err != nil {
		return err
	}
	if err := newFiles([]newFile{{c.Out, combined.KeyFile(), 0o600}}); err != nil {
		return err
	}
	out := combinedKey{combined.Arrangement, combined.Compartment, combined.Epoch, combined.Set, combined.Parts, combined.Used, combined.Ignored,
		evidence.Fingerprint(combined.Identity.Recipient().String()), c.Out}
	if s.json {
		return s.printJSON(out)
	}
	fmt.Fprintf(s.out, "combined  %s, compartment %s, epoch %d\n", out.Arrangement, out.Compartment, out.Epoch)
	fmt.Fprintf(s.out, "  set       %s\n", out.Set)
	for _, p := range out.Parts {
		fmt.Fprintf(s.out, "  shares    %s\n", p)
	}
	fmt.Fprintf(s.out, "  used      %s\n", strings.Join(out.Used, ", "))
	for _, f := range out.Ignored {
		fmt.Fprintf(s.out, "  ignored   %s: %s\n", f.Name, f.Reason)
	}
	fmt.Fprintf(s.out, "  release   %s, as published\n", evidence.Digits(out.Fingerprint))
	fmt.Fprintf(s.out, "  secret    %s\n", c.Out)
	return nil
}

// readOffered reads a share text in any form a trustee hands it over in.
func readOffered(path string, own *age.HybridIdentity) ([]byte, error) {
	data, err := readFile(path, 2<<20)
	if err != nil {
		return nil, err
	}
	approval := bytes.HasPrefix(data, []byte("{"))
	if !approval && !isSealed(data) {
		return data, nil
	}
	if own == nil {
		return nil, escrow.Errorf(escrow.Invalid, "%s is sealed", path).WithHint("give your key file with --key")
	}
	if !approval {
		return seal.OpenPackage(path, data, own)
	}
	a, err := evidence.ParseApproval(data)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%s: %w", path, err)
	}
	return seal.OpenApproval(a, nil, own)
}
