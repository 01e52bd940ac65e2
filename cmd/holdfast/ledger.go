package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/mod/sumdb/note"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// ledgerCmd reads the ledger, erases in it, and witnesses it.
type ledgerCmd struct {
	List    ledgerListCmd    `cmd:"" help:"List the entries about an arrangement."`
	Erase   ledgerEraseCmd   `cmd:"" help:"Erase the content of an entry for good; every proof goes on to hold."`
	Witness ledgerWitnessCmd `cmd:"" help:"Check that the published ledger contains what was seen before, and cosign it."`
}

type ledgerListCmd struct {
	scoped
	From int64 `help:"First index."`
}

// listPage is how many entries are asked for at once.
const listPage = 1000

func (c *ledgerListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	if !s.json {
		fmt.Fprintln(w, "INDEX\tTIME\tKIND\tWHO\tABOUT")
	}
	acts := []*evidence.Act{}
	for next := c.From; ; {
		list, err := cl.LedgerEntries(ctx, c.Arrangement, next, listPage)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			next = e.Index + 1
			if e.Payload == "" {
				continue
			}
			a, err := evidence.ParseAct([]byte(e.Payload))
			if err != nil {
				return escrow.Errorf(escrow.Damaged, "ledger entry %d: %w", e.Index, err)
			}
			acts = append(acts, a)
			if !s.json {
				fmt.Fprintf(w, "%d\t%.19s\t%s\t%s\t%.40s\n", a.Index, a.At, a.Kind, a.Actor, a.Subject)
			}
		}
	}
	if s.json {
		return s.printJSON(acts)
	}
	return w.Flush()
}

type ledgerEraseCmd struct {
	scoped
	Index  int64  `arg:"" help:"Index of the entry, as 'holdfast ledger list' shows it."`
	Reason string `required:"" help:"Why. It stays for ever: do not repeat what is erased."`
}

func (c *ledgerEraseCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.EraseEntry(ctx, c.Arrangement, c.Index, c.Reason); err != nil {
		return err
	}
	return s.result(map[string]int64{"erased": c.Index}, "erased    entry %d; the commitment stays and the erasure is recorded\n", c.Index)
}

// ledgerWitnessCmd is a witness: it needs no token, for what it reads is
// public and its cosignature proves itself.
type ledgerWitnessCmd struct {
	Server string `help:"Server, such as https://escrow.example." env:"HOLDFAST_SERVER" required:""`
	Dir    string `help:"Directory with the witness's key and what it has seen; made when it is not there." required:"" type:"path"`
	Name   string `help:"Name of the witness, such as witness.example, for a new directory."`
	Submit bool   `help:"Hand the cosignature in." default:"true" negatable:""`
}

func (ledgerWitnessCmd) Help() string {
	return `Run it from time to time, on a machine the operator has no hand in, and tell the
operator your key to name under 'witnesses' in the configuration. It signs only what
follows from what it signed before; a ledger that went back or forked is refused.`
}

// The files of a witness.
const (
	witnessKeyFile = "witness.key"
	witnessPubFile = "witness.pub"
	witnessLogFile = "ledger.pub"
	witnessPinFile = "pin"
)

func (c *ledgerWitnessCmd) Run(ctx context.Context, s *streams) error {
	signer, err := c.signer(s)
	if err != nil {
		return err
	}
	cl, err := client.New(client.Options{URL: c.Server})
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	log, err := c.ledgerKey(ctx, s, cl)
	if err != nil {
		return err
	}
	pin, err := c.pin(log.Name())
	if err != nil {
		return err
	}
	growth, err := cl.PublishedGrowth(ctx, pin.Size)
	if err != nil {
		return err
	}
	cosigned, next, err := evidence.Witness{Log: log, Signer: signer}.Cosign(pin, growth)
	if err != nil {
		return ledgerError(err)
	}
	if err := writeAtomically(filepath.Join(c.Dir, witnessPinFile), []byte(next.String())); err != nil {
		return err
	}
	if !c.Submit {
		_, err := s.out.Write(cosigned)
		return err
	}
	n, err := cl.Cosign(ctx, cosigned)
	if err != nil {
		return err
	}
	return s.result(map[string]any{"origin": next.Origin, "size": next.Size, "witnesses": n},
		"cosigned  %s at size %d; it has %d witnesses\n", next.Origin, next.Size, n)
}

// signer reads the witness's key, or makes it in a new directory.
func (c *ledgerWitnessCmd) signer(s *streams) (note.Signer, error) {
	path := filepath.Join(c.Dir, witnessKeyFile)
	data, err := readFile(path, maxKeyFile)
	if escrow.CodeOf(err) == escrow.Missing && c.Name != "" {
		skey, _, err := note.GenerateKey(rand.Reader, c.Name)
		if err != nil {
			return nil, escrow.Errorf(escrow.Invalid, "%q cannot name a witness: %w", c.Name, err)
		}
		signer, err := evidence.NewCosigner(skey, time.Now)
		if err != nil {
			return nil, err
		}
		key, err := evidence.WitnessKey(signer)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(s.err, "new witness; tell the operator its key: %s\n", key)
		return signer, newFiles([]newFile{{path, []byte(skey + "\n"), 0o600}, {filepath.Join(c.Dir, witnessPubFile), []byte(key + "\n"), 0o644}})
	}
	if err != nil {
		if escrow.CodeOf(err) == escrow.Missing {
			return nil, escrow.Errorf(escrow.Missing, "%s holds no witness", c.Dir).WithHint("make one with --name")
		}
		return nil, err
	}
	signer, err := evidence.NewCosigner(strings.TrimSpace(string(data)), time.Now)
	if err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s: %w", path, err)
	}
	return signer, nil
}

// ledgerKey is the key remembered from the first time, or the server's then.
func (c *ledgerWitnessCmd) ledgerKey(ctx context.Context, s *streams, cl *client.Client) (note.Verifier, error) {
	path := filepath.Join(c.Dir, witnessLogFile)
	data, err := readFile(path, maxKeyFile)
	key := strings.TrimSpace(string(data))
	if escrow.CodeOf(err) == escrow.Missing {
		keys, kerr := cl.ServerKeys(ctx)
		if kerr != nil {
			return nil, kerr
		}
		key = keys.Ledger
		fmt.Fprintf(s.err, "first contact with %s: ledger key %s is remembered; compare it over another channel\n", c.Server, key)
		err = writeAtomically(path, []byte(key+"\n"))
	}
	if err != nil {
		return nil, err
	}
	log, err := note.NewVerifier(key)
	if err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "ledger key in %s: %w", path, err)
	}
	return log, nil
}

func (c *ledgerWitnessCmd) pin(origin string) (evidence.Pin, error) {
	path := filepath.Join(c.Dir, witnessPinFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return evidence.Pin{Origin: origin}, nil
	}
	if err != nil {
		return evidence.Pin{}, escrow.Wrap(err, escrow.Invalid, "%s", path)
	}
	pin, err := evidence.ParsePin(string(data))
	if err != nil {
		return evidence.Pin{}, escrow.Errorf(escrow.Damaged, "%s: %w", path, err).
			WithHint("without what was seen before there is nothing to vouch for; restore the file from a backup")
	}
	return pin, nil
}
