package export

import (
	"fmt"
	"path/filepath"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// certificateFile stands beside the manifest of a destroyed deposit, in place
// of its objects.
const certificateFile = "certificate.json"

// Destroyed says that the deposit's objects are gone, and why: nil while they
// are held. Its signatures are checked by [Export.Verify].
func (d OpenDeposit) Destroyed() *evidence.Certificate { return d.certificate }

// certificate fetches why a deposit has no objects any more. It is the
// server's word only until two people's signatures are checked.
func (f *fetcher) certificate(d client.Deposit) (*evidence.Certificate, error) {
	if d.Destruction == "" {
		return nil, nil
	}
	r, err := f.client.Destruction(f.ctx, f.want.Arrangement, d.Destruction)
	if err != nil {
		return nil, err
	}
	if r.Certificate == nil {
		return nil, escrow.Errorf(escrow.Conflict, "deposit %d of %s is being destroyed and has no certificate yet", d.Number, d.Module).
			WithHint("run the same command again in a while; a location that is away holds the certificate up")
	}
	c, err := readCertificate(*r.Certificate, d.Number, evidence.Digest([]byte(d.Manifest.Document)))
	if err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "the server's certificate for deposit %d of %s: %w", d.Number, d.Module, err)
	}
	return c, f.writeSigned(filepath.Join(depositDir(d.Module, d.Number), certificateFile), *r.Certificate)
}

// openDestroyed reads the certificate beside a manifest, if there is one.
func (x *Export) openDestroyed(d *OpenDeposit, dir string) error {
	signed, err := x.signed(filepath.Join(dir, certificateFile))
	switch {
	case escrow.CodeOf(err) == escrow.Missing && signed.Document == "":
		return nil
	case err != nil:
		return err
	}
	d.certificate, err = readCertificate(signed, d.Manifest.Number, evidence.Digest([]byte(d.Signed.Document)))
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%s: %w", filepath.Join(dir, certificateFile), err)
	}
	d.certified = signed
	return nil
}

// readCertificate parses a certificate that must be about a deposit.
func readCertificate(signed client.Signed, number int, digest string) (*evidence.Certificate, error) {
	c, err := evidence.ParseCertificate([]byte(signed.Document))
	if err != nil {
		return nil, err
	}
	d, err := c.Destruction()
	if err != nil {
		return nil, err
	}
	for _, n := range d.Deposits {
		if n.Number == number && n.Digest == digest {
			return c, nil
		}
	}
	return nil, fmt.Errorf("it is not about deposit %d with digest %s", number, digest)
}

// destroyed checks the certificates that stand in the place of objects: an
// absence is explained only by the server and two people whose keys are those
// of their cards.
func (v *verifier) destroyed() error {
	for _, d := range v.held {
		c := d.certificate
		if c == nil {
			continue
		}
		what := fmt.Sprintf("the certificate of destruction of %s", depositName(d.Manifest))
		if _, err := evidence.VerifyCertificate(v.x.Index.Server.SigningKey, []byte(d.certified.Document), []byte(d.certified.Signature)); err != nil {
			return escrow.Errorf(escrow.Damaged, "%s: %w", what, err)
		}
		request, err := c.Destruction()
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "%s: %w", what, err)
		}
		if request.Arrangement != v.x.Index.Arrangement || request.Module != d.Manifest.Module {
			return escrow.Errorf(escrow.Damaged, "%s is about %s/%s", what, request.Arrangement, request.Module)
		}
		for _, p := range []evidence.Decider{c.Requester, c.Approver} {
			if err := v.sameKey(what, p.Party, p.Person, "", p.Key); err != nil {
				return err
			}
			v.report.Signatures++
		}
		v.report.Signatures++
		v.report.Destroyed++
	}
	return nil
}

// CanOpen refuses the last of a module's deposits when something that it
// builds on was destroyed, and says by whom and why.
func CanOpen(list []OpenDeposit) error {
	last := list[len(list)-1].Manifest
	for _, d := range list {
		c := d.certificate
		if c == nil || d.Manifest.Number < last.Chain {
			continue
		}
		request, err := c.Destruction()
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "%w", err)
		}
		who := fmt.Sprintf("%s/%s and %s/%s", c.Requester.Party, c.Requester.Person, c.Approver.Party, c.Approver.Person)
		about := fmt.Sprintf("deposit %d builds on deposit %d, which was", last.Number, d.Manifest.Number)
		if d.Manifest.Number == last.Number {
			about = fmt.Sprintf("deposit %d was", last.Number)
		}
		e := escrow.Errorf(escrow.Missing, "%s destroyed on %s by %s (%s: %s)", about, c.DecidedAt.Format("2006-01-02"), who, request.Ground, request.Reason)
		if open := lastOpening(list); open > 0 {
			return e.WithHint("open the state at another deposit, such as --at %d", open)
		}
		return e.WithHint("open a later deposit, which stands on its own")
	}
	return nil
}

// lastOpening is the number of the newest deposit that can be opened, 0 if
// there is none.
func lastOpening(list []OpenDeposit) int {
	good, broken := 0, false
	for _, d := range list {
		if d.Manifest.Kind == string(escrow.FullDeposit) {
			broken = false
		}
		broken = broken || d.certificate != nil
		if !broken {
			good = d.Manifest.Number
		}
	}
	return good
}

// opening leaves out what cannot be opened at the end of a module's deposits.
func opening(list []OpenDeposit) []OpenDeposit {
	last := lastOpening(list)
	for i, d := range list {
		if d.Manifest.Number == last {
			return list[:i+1]
		}
	}
	return nil
}
