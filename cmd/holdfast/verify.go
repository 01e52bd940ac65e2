package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/export"
	"holdfast/internal/server"
)

// verifyCmd re-reads everything and names the first thing that does not hold.
type verifyCmd struct {
	Export    string   `help:"Verify this export, offline." type:"existingdir" xor:"what"`
	Data      string   `help:"Verify the installation in this data directory; its server must not run." type:"existingdir" xor:"what"`
	Config    string   `help:"Configuration file of the installation, as for serve." type:"existingfile"`
	Receipt   string   `help:"Verify this receipt; its manifest lies beside it as FILE.manifest." type:"existingfile" xor:"what"`
	LedgerKey string   `help:"Verifier key of the ledger, as pinned or published (for --receipt and --export)."`
	Pin       string   `help:"File with a checkpoint seen before: the ledger must still contain it." type:"existingfile"`
	Contact   []string `help:"Contact cards you have from another channel: their people have no other key in the export." type:"existingfile"`
}

func (verifyCmd) Help() string {
	return `Reads every act, tile, checkpoint, row and object again. Exit 0: all of it holds.
Exit 9: something was changed; the message names the first ledger index, database
row or object that does not hold. Exit 10: something is missing.`
}

func (c *verifyCmd) Run(ctx context.Context, s *streams) error {
	var pins []evidence.Pin
	if c.Pin != "" {
		pin, err := readPin(c.Pin)
		if err != nil {
			return err
		}
		pins = append(pins, pin)
	}
	switch {
	case c.Export != "":
		return c.export(ctx, s, pins)
	case c.Receipt != "":
		return c.receipt(s)
	case c.Data != "" || c.Config != "":
		return c.installation(ctx, s, pins)
	}
	return escrow.Errorf(escrow.Invalid, "nothing to verify").WithHint("give --data, --config, --export or --receipt")
}

// readPin reads what a client remembers of a ledger: a file of its pins
// directory, the pin alone, or a signed checkpoint.
func readPin(path string) (evidence.Pin, error) {
	data, err := readFile(path, maxKeyFile)
	if err != nil {
		return evidence.Pin{}, err
	}
	var memory client.Memory
	if json.Unmarshal(data, &memory) == nil {
		data = []byte(memory.Pin)
	}
	if pin, err := evidence.ParsePin(strings.TrimRight(string(data), "\n") + "\n"); err == nil {
		return pin, nil
	}
	checkpoint, err := evidence.PeekCheckpoint(data)
	if err != nil {
		return evidence.Pin{}, escrow.Errorf(escrow.Invalid, "%s is neither a pin nor a checkpoint", path).
			WithHint("give a file of the pins directory, or a checkpoint as /ledger/checkpoint shows it")
	}
	return evidence.NewPin(checkpoint), nil
}

func (c *verifyCmd) export(ctx context.Context, s *streams, pins []evidence.Pin) error {
	cards, err := readCards(c.Contact)
	if err != nil {
		return err
	}
	x, err := export.Open(c.Export)
	if err != nil {
		return err
	}
	bar := newProgress(s, "verify")
	r, err := x.Verify(ctx, export.Checks{LedgerKey: c.LedgerKey, Pins: pins, Cards: cards, Progress: bar.of})
	bar.done()
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(r)
	}
	fmt.Fprintf(s.out, "holds     export of %s\n", x.Index.Arrangement)
	fmt.Fprintf(s.out, "  ledger     %d entries, %d of them opened, root equal to the signed checkpoint\n", r.Entries, r.Opened)
	fmt.Fprintf(s.out, "  deposits   %d, each with its receipt\n", r.Deposits)
	fmt.Fprintf(s.out, "  objects    %d, %s, each equal to its name\n", r.Objects, size(r.Bytes))
	fmt.Fprintf(s.out, "  signatures %d, over manifests, keys and approvals\n", r.Signatures)
	printTrusted(s, r.Trusted)
	for _, n := range r.Notes {
		fmt.Fprintf(s.out, "  note       %s\n", n)
	}
	return nil
}

func readCards(paths []string) ([]evidence.Contact, error) {
	var cards []evidence.Contact
	for _, path := range paths {
		card, err := readContact(path)
		if err != nil {
			return nil, err
		}
		cards = append(cards, *card)
	}
	return cards, nil
}

// printTrusted lists the keys that what was checked rests on and that came
// with the export itself.
func printTrusted(s *streams, list []export.Trusted) {
	for _, t := range list {
		if !t.Compared {
			fmt.Fprintf(s.out, "  on trust   %s: %s; compare it over another channel\n", t.Who, t.Key)
		}
	}
}

func (c *verifyCmd) receipt(s *streams) error {
	if c.LedgerKey == "" {
		return escrow.Errorf(escrow.Invalid, "a receipt is verified against a ledger key").WithHint("give the key you pinned with --ledger-key")
	}
	data, err := readFile(c.Receipt, maxSigned)
	if err != nil {
		return err
	}
	manifest, err := readFile(c.Receipt+".manifest", maxSigned)
	if escrow.CodeOf(err) == escrow.Missing {
		return escrow.Errorf(escrow.Missing, "%s.manifest does not exist", c.Receipt).WithHint("the manifest that the receipt is for is expected beside it; 'holdfast receipt' writes both")
	}
	if err != nil {
		return err
	}
	checkpoint, err := checkReceipt(data, evidence.Digest(manifest), c.LedgerKey)
	if errors.Is(err, evidence.ErrUnknownKey) {
		return escrow.Wrap(err, escrow.WrongKey, "the receipt is of another ledger than the one with this key").WithHint("give the key of the server that gave the receipt")
	}
	if err != nil {
		return err
	}
	return s.result(map[string]any{"deposit": evidence.Digest(manifest), "origin": checkpoint.Origin, "size": checkpoint.Size},
		"holds     the deposit is in the ledger of %s, size %d\n", checkpoint.Origin, checkpoint.Size)
}

func (c *verifyCmd) installation(ctx context.Context, s *streams, pins []evidence.Pin) error {
	cfg, err := config.Load(c.Config, func(name string) string {
		if name == "HOLDFAST_DATA" && c.Data != "" {
			return c.Data
		}
		return os.Getenv(name)
	})
	if err != nil {
		return err
	}
	bar := newProgress(s, "verify")
	r, err := server.Verify(ctx, cfg, server.Options{}, pins, bar.of)
	bar.done()
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(r)
	}
	fmt.Fprintf(s.out, "holds     %s\n", cfg.Data)
	fmt.Fprintf(s.out, "  ledger    %d entries, root %s\n", r.Entries, r.Root)
	fmt.Fprintf(s.out, "  rows      every database row is as its act recorded it\n")
	fmt.Fprintf(s.out, "  objects   %d, %s, each equal to its name\n", r.Objects, size(r.Bytes))
	return nil
}
