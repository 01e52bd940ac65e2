package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// moduleMemory is what a depositor remembers of a module: the server relays
// keys and tells what was deposited before, so it could relay and tell
// something else.
type moduleMemory struct {
	path string

	Compartment string `json:"compartment"`
	Epoch       int    `json:"epoch"`
	Manifest    string `json:"manifest"` // digest of the key manifest
	Dealer      string `json:"dealer"`   // SSH key of the dealer
	Number      int    `json:"number"`   // of the last deposit that was confirmed
	Digest      string `json:"digest"`   // of its manifest
}

// recall reads the memory of the module; it is empty at the first deposit.
func (c *depositFlags) recall() (*moduleMemory, error) {
	path, err := c.memoryPath()
	if err != nil {
		return nil, err
	}
	m := &moduleMemory{path: strings.TrimSuffix(path, ".json") + "-module-" + evidence.Digest([]byte(c.Arrangement + "\n" + c.Module))[:16] + ".json"}
	data, err := os.ReadFile(m.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil
	case err != nil:
		return nil, escrow.Wrap(err, escrow.Invalid, "memory of module %s", c.Module)
	}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "memory of module %s in %s cannot be read: %w", c.Module, m.path, err).
			WithHint("restore the file, or remove it and compare the key's fingerprint again over another channel")
	}
	return m, nil
}

func (m *moduleMemory) keep() error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return writeAtomically(m.path, data)
}

// keyFits compares the key a deposit would be sealed to with what was seen
// before. The same epoch with another manifest is refused, an older epoch
// too, a newer one must come from the same dealer, and the module stays in
// its compartment.
func (m *moduleMemory) keyFits(s *streams, keys *evidence.KeyManifest, document []byte, me depositor, newDealer bool) error {
	refuse := func(format string, args ...any) error {
		return escrow.Errorf(escrow.Damaged, "the server offers a key of %s that %s", keys.Compartment, fmt.Sprintf(format, args...)).
			WithHint("seal nothing to it; compare the fingerprint %s with the dealer over another channel", evidence.Fingerprint(keys.SealTo()[0]))
	}
	digest := evidence.Digest(document)
	switch {
	case keys.Dealer.Party+"/"+keys.Dealer.Person == me.name && keys.Dealer.Key != me.key:
		return refuse("names you as its dealer, with a signing key that is not yours")
	case m.Epoch == 0:
		fmt.Fprintf(s.err, "first deposit of this module from here: it is sealed to %s, dealt by %s/%s; compare it over another channel\n",
			evidence.Fingerprint(keys.SealTo()[0]), keys.Dealer.Party, keys.Dealer.Person)
	case keys.Compartment != m.Compartment:
		return refuse("is not of compartment %s, in which this module lies", m.Compartment)
	case keys.Epoch < m.Epoch:
		return refuse("belongs to epoch %d, after epoch %d was seen", keys.Epoch, m.Epoch)
	case keys.Epoch == m.Epoch && digest != m.Manifest:
		return refuse("is not the one seen before for the same epoch")
	case keys.Dealer.Key != m.Dealer && !newDealer:
		return refuse("was dealt by somebody else than before (--new-dealer accepts it)")
	}
	m.Compartment, m.Epoch, m.Manifest, m.Dealer = keys.Compartment, keys.Epoch, digest, keys.Dealer.Key
	return nil
}

// follows checks that the latest deposit the server shows is the last one
// confirmed from here, or comes after it.
func (m *moduleMemory) follows(ctx context.Context, cl *client.Client, r scoped, module string, latest escrow.Deposit) error {
	refuse := func() error {
		return escrow.Errorf(escrow.Damaged, "the server does not show deposit %d of module %s, which it confirmed before", m.Number, module).
			WithHint("keep your receipt and call the agent by a number you know")
	}
	switch {
	case latest.Number < m.Number:
		return refuse()
	case m.Number == 0:
		return nil
	case latest.Number > m.Number:
		d, err := cl.Deposit(ctx, r.Arrangement, module, m.Number)
		if err != nil {
			return err
		}
		latest.Digest = evidence.Digest([]byte(d.Manifest.Document))
	}
	if latest.Digest != m.Digest {
		return refuse()
	}
	return nil
}
