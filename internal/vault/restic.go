package vault

import (
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// asItComes checks that a deposit has the form of what its module is fed by.
//
// In a module that restic writes to, the depositor brings the repository's
// password, sealed, and nothing else: a FULL deposit, the root of a chain. The
// repository's files follow in increments that the server makes and signs.
// They are the only objects that are kept without being sealed by Holdfast,
// so no other module and nobody else may bring any: what is in them the
// server cannot see, and that they are ciphertext it has from restic alone.
func asItComes(module escrow.Module, m *evidence.DepositManifest) error {
	files := 0
	for _, o := range m.Objects {
		if _, ok := evidence.ResticFilePlace(o.Role); ok {
			files++
		}
	}
	password := len(m.Objects) == 1 && m.Objects[0].Role == evidence.RoleResticPassword
	switch {
	case module.Source.Mode != escrow.Restic && (files > 0 || m.Restic != nil || password):
		return escrow.Errorf(escrow.Invalid, "deposit %d of %s holds a restic repository, but restic does not write to that module", m.Number, m.Module).
			WithHint("set it so with 'holdfast module set --mode restic'")
	case module.Source.Mode != escrow.Restic:
		return nil
	case m.By != ServerName && (m.Kind != string(escrow.FullDeposit) || !password || m.State != ""):
		return escrow.Errorf(escrow.Invalid, "restic writes to module %s: its depositor brings the sealed password of the repository, in a FULL deposit of its own", m.Module).
			WithHint("run 'holdfast deposit restic init', then restic")
	case m.By == ServerName && (m.Kind != string(escrow.IncrementalDeposit) || m.Restic == nil || files != len(m.Objects)):
		return escrow.Errorf(escrow.Internal, "a deposit of a restic repository that is not an increment of its files")
	}
	return nil
}
