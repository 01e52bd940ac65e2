package export

import (
	"encoding/json"
	"iter"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// watched passes the exported entries on to the verification of the tree and
// notes on the way what the documents of the export are compared with: what
// was accepted, whose keys were pinned, and that every receipt is of this
// ledger and not of another one with the same key.
func (v *verifier) watched(entries iter.Seq2[evidence.Entry, error]) iter.Seq2[evidence.Entry, error] {
	v.pinned = map[string]string{}
	return func(yield func(evidence.Entry, error) bool) {
		for e, err := range entries {
			if err == nil {
				err = v.note(e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (v *verifier) note(e evidence.Entry) error {
	if said, ok := v.receipts[e.Index]; ok && said != e.Commitment {
		return escrow.Errorf(escrow.Damaged, "a receipt shows another entry %d than the exported ledger has: there are two ledgers with one key", e.Index)
	}
	if !e.Open() {
		return nil
	}
	act, err := e.Act()
	if err != nil || act.Arrangement != v.x.Index.Arrangement {
		return nil // what is wrong with an entry the verification of the tree says
	}
	switch act.Kind {
	case evidence.ActDepositAccepted:
		var data struct {
			Module string `json:"module"`
			Number int    `json:"number"`
		}
		if err := json.Unmarshal(act.Data, &data); err != nil {
			return escrow.Errorf(escrow.Damaged, "ledger entry %d: %w", e.Index, err)
		}
		v.accepted = append(v.accepted, acceptedAct{e.Index, data.Module, data.Number, act.Subject})
	case "agreement.registered":
		v.agreed = append(v.agreed, act.Subject)
	case "contact.added":
		var data struct {
			Key string `json:"ssh_key"`
		}
		if err := json.Unmarshal(act.Data, &data); err != nil {
			return escrow.Errorf(escrow.Damaged, "ledger entry %d: %w", e.Index, err)
		}
		v.pinned[act.Subject] = data.Key
	}
	return nil
}
