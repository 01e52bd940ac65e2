package evidence

import "fmt"

// UnchangedFormat is the format of a depositor's word that its source holds
// nothing that is not deposited.
const UnchangedFormat = "holdfast-unchanged/v1"

const maxUnchanged = 16 << 10

// Unchanged is a depositor's word that it read its whole source and found what
// it found for the deposit that this names, and nothing else. Who gives it
// signs the canonical bytes in [NamespaceDeposit]. It names the deposit and the
// state by digest, so that it counts for no other; a source that was rewritten
// or shrank since makes a deposit, with its finding, and no such word.
type Unchanged struct {
	Format      string `json:"format"`
	Arrangement string `json:"arrangement"`
	Agreement   string `json:"agreement"` // digest of the agreement in force
	Module      string `json:"module"`
	Number      int    `json:"number"`  // of the newest deposit
	Deposit     string `json:"deposit"` // digest of its manifest
	State       string `json:"state"`   // what its maker remembers of it, as the manifest names it: the source was compared with that
	At          Time   `json:"at"`      // when it was read, by the depositor's clock
	By          string `json:"by"`      // who made that deposit and says this: party/person
}

// ParseUnchanged reads a report strictly. It does not check the signature.
func ParseUnchanged(data []byte) (*Unchanged, error) {
	return parseDocument[Unchanged]("report that nothing changed", data, maxUnchanged)
}

// Bytes returns the canonical bytes that the depositor signs.
func (u Unchanged) Bytes() ([]byte, error) {
	u.Format = UnchangedFormat
	return renderDocument("report that nothing changed", &u)
}

func (u *Unchanged) validate() error {
	switch {
	case u.Format != UnchangedFormat:
		return fmt.Errorf("format is %.40q, want %q", u.Format, UnchangedFormat)
	case !IsID(u.Arrangement):
		return fmt.Errorf("arrangement %.80q is not an identifier", u.Arrangement)
	case !IsDigest(u.Agreement):
		return fmt.Errorf("agreement is not a digest")
	case !IsID(u.Module):
		return fmt.Errorf("module %.80q is not an identifier", u.Module)
	case u.Number < 1:
		return fmt.Errorf("number %d counts from 1", u.Number)
	case !IsDigest(u.Deposit) || !IsDigest(u.State):
		return fmt.Errorf("deposit and state are named by their digests")
	case u.At.IsZero():
		return fmt.Errorf("no time")
	case !IsID(u.By):
		return fmt.Errorf("by %.80q names nobody", u.By)
	}
	return nil
}
