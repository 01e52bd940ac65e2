package export

import (
	"path/filepath"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/intake/files"
)

// copies checks what an export holds a second time for people and for stock
// tools: each says the same as the signed document beside it. Whoever opens
// with Holdfast does not use them, so a lenient check leaves them out.
func (v *verifier) copies() error {
	if v.checks.Lenient {
		return nil
	}
	for _, a := range v.x.Approvals {
		if err := v.packageCopy(a); err != nil {
			return err
		}
	}
	if err := v.agreementCopy(); err != nil {
		return err
	}
	if err := v.script(combinerFile, evidence.CombineScript()); err != nil {
		return err
	}
	if slices.ContainsFunc(v.x.Index.Modules, func(m Module) bool { return m.Kind == kindFiles }) {
		return v.script(filesScript, files.RestoreScript())
	}
	return nil
}

// script looks at a program that stock Python runs. One of another version
// may be as good.
func (v *verifier) script(name, want string) error {
	got, err := v.x.read(name)
	if err != nil {
		return err
	}
	if string(got) != want {
		v.report.Notes = append(v.report.Notes, name+" is not the one of this version; read it before you run it, or take the one from another export")
	}
	return nil
}

// packageCopy compares the re-encrypted share that age opens with the one
// inside the approval.
func (v *verifier) packageCopy(a OpenApproval) error {
	doc, err := evidence.ParseApproval([]byte(a.Signed.Document))
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%s: %w", filepath.Join(approvalsDir, a.File), err)
	}
	path := filepath.Join(approvalsDir, strings.TrimSuffix(a.File, ".json")+".age")
	data, err := v.x.read(path)
	if err != nil {
		return err
	}
	if string(data) != doc.Package {
		return escrow.Errorf(escrow.Damaged, "%s is not what is in the approval beside it", path)
	}
	return nil
}

// agreementCopy reads the text that people read and compares it with the one
// that was hashed and signed.
func (v *verifier) agreementCopy() error {
	canonical, err := v.x.read(canonicalFile)
	withheld := escrow.CodeOf(err) == escrow.Missing
	if err != nil && !withheld {
		return err
	}
	text, err := v.x.read(agreementFile)
	if withheld && escrow.CodeOf(err) == escrow.Missing {
		return nil
	}
	if err != nil {
		return err
	}
	if withheld {
		return escrow.Errorf(escrow.Missing, "the export has no %s beside %s", canonicalFile, agreementFile)
	}
	parsed, problems := agreement.Parse(agreementFile, text)
	if parsed == nil {
		return escrow.Errorf(escrow.Damaged, "%s cannot be read: %w", agreementFile, agreement.Refusal(problems))
	}
	same, err := parsed.Canonical()
	if err != nil {
		return err
	}
	if string(same) != string(canonical) {
		return escrow.Errorf(escrow.Damaged, "%s does not say what %s says", agreementFile, canonicalFile)
	}
	return nil
}
