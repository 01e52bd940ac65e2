package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// caseCmd runs a release.
type caseCmd struct {
	Open      caseOpenCmd      `cmd:"" help:"Say that a release event has happened."`
	List      caseListCmd      `cmd:"" help:"List the cases."`
	Show      caseShowCmd      `cmd:"" help:"Show where a case stands."`
	Notice    caseNoticeCmd    `cmd:"" help:"Record that a party was told."`
	Request   caseRequestCmd   `cmd:"" help:"Fix the statement that trustees approve."`
	Statement caseStatementCmd `cmd:"" help:"Fetch what a trustee needs to approve: statement, key manifest, own sealed share."`
	Approve   caseApproveCmd   `cmd:"" help:"Hand in an approval made with 'holdfast approve'."`
	Step      caseStepCmd      `cmd:"" help:"Move a case on: start_contest, object, rule_for, rule_against, end, reverse, assume, close."`
}

type caseOpenCmd struct {
	scoped
	Event       string `required:"" help:"Event of the agreement."`
	Stage       string `required:"" help:"Stage of the agreement."`
	Compartment string `help:"Compartment, when the stage opens more than one."`
	Epoch       int    `help:"Epoch of the compartment (default: the newest under which something was deposited)."`
	Reason      string `required:"" help:"What happened, for the record."`
}

func (c *caseOpenCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	out, err := cl.OpenCase(ctx, c.Arrangement, client.OpenCase{Event: c.Event, Stage: c.Stage, Compartment: c.Compartment, Epoch: c.Epoch, Reason: c.Reason})
	return printCase(s, out, err)
}

type caseListCmd struct{ scoped }

func (c *caseListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Cases(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tSTATE\tEVENT\tSTAGE\tCLAIMANT\tOPENED")
	for _, k := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s UTC\n", k.ID, strings.ReplaceAll(k.State, "_", " "), k.Event, k.Stage, k.Claimant, k.OpenedAt.UTC().Format(time.DateTime))
	}
	return w.Flush()
}

type oneCase struct {
	scoped
	Case string `arg:"" help:"Case id."`
}

type caseShowCmd struct{ oneCase }

func (c *caseShowCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	out, err := cl.Case(ctx, c.Arrangement, c.Case)
	return printCase(s, out, err)
}

type caseNoticeCmd struct {
	oneCase
	To      string `required:"" help:"Party that was told."`
	Channel string `required:"" help:"How: registered_letter, mail, phone."`
	Text    string `required:"" help:"What was said."`
}

func (c *caseNoticeCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	out, err := cl.RecordNotice(ctx, c.Arrangement, c.Case, client.Notice{To: c.To, Channel: c.Channel, Text: c.Text})
	return printCase(s, out, err)
}

type caseRequestCmd struct {
	oneCase
	Purpose string `required:"" help:"What it is released for."`
	Expires string `help:"Until when approvals count (RFC 3339); default 14 days."`
}

func (c *caseRequestCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	out, err := cl.RequestApprovals(ctx, c.Arrangement, c.Case, client.ApprovalRequest{Purpose: c.Purpose, Expires: c.Expires})
	return printCase(s, out, err)
}

type caseStepCmd struct {
	oneCase
	Step   string `arg:"" help:"What happens." enum:"start_contest,object,rule_for,rule_against,end,reverse,assume,close"`
	Reason string `required:"" help:"Why, for the record."`
}

func (c *caseStepCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	out, err := cl.MoveCase(ctx, c.Arrangement, c.Case, client.CaseStep{Step: c.Step, Reason: c.Reason})
	return printCase(s, out, err)
}

// caseStatementCmd puts everything a trustee needs into a directory, for a
// machine that need not be online when the share is opened.
type caseStatementCmd struct {
	oneCase
	Out string `required:"" help:"Directory to write to." type:"path"`
}

func (c *caseStatementCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	cs, err := cl.Case(ctx, c.Arrangement, c.Case)
	if err != nil {
		return err
	}
	if cs.Statement == "" {
		return escrow.Errorf(escrow.Conflict, "case %s is %s: no statement has been fixed yet", cs.ID, cs.State)
	}
	files := map[string]string{"statement.json": cs.Statement}
	own, err := shareFiles(ctx, cl, c.Arrangement, cs.Compartment, cs.Epoch, files)
	if err != nil {
		return err
	}
	if err := writeFiles(c.Out, files); err != nil {
		return err
	}
	digest := evidence.Digest([]byte(cs.Statement))
	return s.result(map[string]any{"case": cs.ID, "statement": digest, "written": c.Out, "own_share": own}, "fetched   statement %s to %s%s\n", digest[:16], c.Out, ownShare(own))
}

// shareFiles adds the key manifest and the caller's own sealed share. There is
// none where the key was passed on: its new trustees made their shares
// themselves, and own reports that.
func shareFiles(ctx context.Context, cl *client.Client, arrangement, compartment string, epoch int, files map[string]string) (own bool, err error) {
	list, err := cl.Epochs(ctx, arrangement, compartment)
	if err != nil {
		return false, err
	}
	for _, e := range list {
		if e.Number == epoch {
			files[manifestName], files[manifestName+sigExt] = e.Manifest.Document, e.Manifest.Signature
		}
	}
	if files[manifestName] == "" {
		return false, escrow.Errorf(escrow.NotFound, "compartment %s has no epoch %d", compartment, epoch)
	}
	p, err := cl.FetchPackage(ctx, arrangement, compartment, epoch)
	if codeOf(err) == escrow.NotFound {
		m, perr := evidence.ParseKeyManifest([]byte(files[manifestName]))
		if perr == nil && m.Previous != "" {
			return true, nil
		}
	}
	if err != nil {
		return false, err
	}
	files["package.age"] = p.Sealed
	return false, nil
}

// ownShare says where a share is that no server has.
func ownShare(own bool) string {
	if own {
		return "; the share is the one you made yourself"
	}
	return ""
}

func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", dir)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			return escrow.Wrap(err, escrow.Invalid, "%s", filepath.Join(dir, name))
		}
	}
	return nil
}

type caseApproveCmd struct {
	oneCase
	Approval string `required:"" help:"Approval file made with 'holdfast approve'; its signature lies beside it." type:"existingfile"`
}

func (c *caseApproveCmd) Run(ctx context.Context, s *streams) error {
	signed, err := readSigned(c.Approval)
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	out, err := cl.Approve(ctx, c.Arrangement, c.Case, signed)
	return printCase(s, out, err)
}

// maxSigned bounds a signed document, in bytes.
const maxSigned = 16 << 20

// readSigned reads a document and the signature beside it.
func readSigned(path string) (client.Signed, error) {
	document, err := readFile(path, maxSigned)
	if err != nil {
		return client.Signed{}, err
	}
	signature, err := readFile(path+sigExt, maxKeyFile)
	if escrow.CodeOf(err) == escrow.Missing {
		return client.Signed{}, escrow.Errorf(escrow.Missing, "%s has no signature beside it", path).WithHint("put it there as %s%s", filepath.Base(path), sigExt)
	}
	if err != nil {
		return client.Signed{}, err
	}
	return client.Signed{Document: string(document), Signature: string(signature)}, nil
}

func printCase(s *streams, c client.Case, err error) error {
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(c)
	}
	fmt.Fprintf(s.out, "case      %s\n", c.ID)
	fmt.Fprintf(s.out, "  state     %s\n", strings.ReplaceAll(c.State, "_", " "))
	fmt.Fprintf(s.out, "  event     %s, stage %s, claimed by %s\n", c.Event, c.Stage, c.Claimant)
	fmt.Fprintf(s.out, "  opens     compartment %s, epoch %d, for %s\n", c.Compartment, c.Epoch, strings.Join(c.Recipients, ", "))
	if c.ContestEnds != nil {
		fmt.Fprintf(s.out, "  contest   until %s\n", c.ContestEnds.Format("2006-01-02 15:04 UTC"))
	}
	if c.Statement != "" {
		fmt.Fprintf(s.out, "  statement %s\n", evidence.Digest([]byte(c.Statement)))
	}
	if len(c.Approved) > 0 {
		fmt.Fprintf(s.out, "  approved  %s\n", strings.Join(c.Approved, ", "))
	}
	if c.Needed != "" {
		fmt.Fprintf(s.out, "  needed    %s\n", c.Needed)
	}
	return nil
}
