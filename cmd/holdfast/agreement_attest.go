package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

type agreementAttestCmd struct {
	stating
	Part     string `arg:"" help:"Part."`
	Party    string `arg:"" help:"Whose signature it is."`
	CallBack bool   `help:"You called the signatory back at a number that was known before. Without it: you compared the signed copy with the part."`
	Out      string `help:"File to write the signed copy to, to look at it; nothing is attested then." type:"path"`
}

func (c *agreementAttestCmd) Run(ctx context.Context, s *streams) error {
	cl, v, err := c.fetch(ctx, s)
	if err != nil {
		return err
	}
	for _, p := range v.Parts {
		for _, g := range p.Signatures {
			if p.ID != c.Part || g.Party != c.Party || g.Needs == "" || (g.Copy == "") != c.CallBack {
				continue
			}
			if g.Copy != "" {
				data, err := cl.SignedCopy(ctx, c.Arrangement, p.ID, g.Copy)
				if err != nil {
					return err
				}
				if evidence.Digest(data) != g.Copy {
					return escrow.Errorf(escrow.Damaged, "the server's copy of part %s is not the one that was signed for", p.ID)
				}
				if c.Out != "" {
					if err := writeFiles(filepath.Dir(c.Out), map[string]string{filepath.Base(c.Out): string(data)}); err != nil {
						return err
					}
					return s.result(map[string]string{"written": c.Out, "copy": g.Copy}, "written   %s; it has to state the digest of the part:\n  %s\n", c.Out, p.Digest)
				}
			}
			if _, err := c.checked(ctx, s, cl, v, p); err != nil {
				return err
			}
			word, err := c.statement(v, p, time.Now(), func(st *evidence.PartStatement) {
				st.States, st.SignerParty, st.Signer, st.Copy = evidence.PartCopyAttests, g.Party, g.Person, g.Copy
				if c.CallBack {
					st.States = evidence.PartCalledBack
				}
			})
			if err != nil {
				return err
			}
			out, err := cl.AttestPart(ctx, c.Arrangement, v.Version, word)
			if err != nil {
				return err
			}
			if s.json {
				return s.printJSON(out)
			}
			fmt.Fprintf(s.out, "attested  the signature of %s/%s under %s\n", g.Party, g.Person, p.ID)
			return printOpen(s, out, []string{p.ID})
		}
	}
	return escrow.Errorf(escrow.NotFound, "no signature of %s under %s waits for that", c.Party, c.Part).WithHint("'holdfast agreement signatures' lists them")
}
