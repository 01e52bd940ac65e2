package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/seal"
)

// approveCmd is the trustee's part in a release: the approval is the
// re-encryption of the share.
type approveCmd struct {
	received
	ownKeys
	Statement string `help:"Approval statement (default: statement.json in --from)." type:"existingfile"`
	Agreement string `help:"Agreement in force, when it is a newer version than the one the key was dealt under." type:"existingfile"`
	Out       string `help:"File for the approval; its signature goes beside it." required:"" type:"path"`
	Yes       bool   `help:"Approve without asking; the statement was read elsewhere."`
}

func (approveCmd) Help() string {
	return `Shows what is asked, opens your share, seals it to exactly the recipients of the statement and
signs that. It refuses a statement about anything else than your share, an expired one, and any
recipient that was not agreed when the key was dealt. It needs no server.`
}

func (c *approveCmd) Run(_ context.Context, s *streams) error {
	id, err := c.identity()
	if err != nil {
		return err
	}
	m, _, err := c.manifest()
	if err != nil {
		return err
	}
	path := c.Statement
	if path == "" && c.From != "" {
		path = filepath.Join(c.From, "statement.json")
	}
	if path == "" {
		return escrow.Errorf(escrow.Invalid, "no approval statement").WithHint("give --from DIR, or --statement FILE")
	}
	raw, err := readFile(path, 1<<20)
	if err != nil {
		return err
	}
	expected, err := agreementDigest(c.Agreement)
	if err != nil {
		return err
	}
	share, h, err := c.share(m, id)
	if err != nil {
		return err
	}
	signer, err := c.signer()
	if err != nil {
		return err
	}
	approval, signature, err := seal.Approve(seal.ApproveRequest{Manifest: m, Agreement: expected, Statement: raw, Share: share, Holder: h, Signer: signer, Now: time.Now()})
	if err != nil {
		return err
	}
	// Everything was checked; now the person is shown what it would do.
	statement, err := evidence.ParseStatement(raw)
	if err != nil {
		return err
	}
	if !s.json {
		printStatement(s, statement, evidence.Digest(raw))
	}
	if err := c.confirm(s); err != nil {
		return err
	}
	if err := newFiles([]newFile{{c.Out, approval, 0o644}, {c.Out + sigExt, signature, 0o644}}); err != nil {
		return err
	}
	if s.json {
		return s.printJSON(map[string]any{"holder": h.String(), "statement": evidence.Digest(raw), "approval": c.Out})
	}
	_, err = fmt.Fprintf(s.out, "approved  by %s\n  written   %s\n", h, c.Out)
	return err
}

// confirm asks on a terminal; anywhere else --yes must have been given.
func (c *approveCmd) confirm(s *streams) error {
	if c.Yes {
		return nil
	}
	f, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return escrow.Errorf(escrow.Invalid, "nothing was approved: there is no terminal to ask on").WithHint("read the statement and give --yes")
	}
	fmt.Fprintf(s.err, "type \"approve\" to hand your share to these recipients: ")
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "approve" {
		return escrow.Errorf(escrow.Invalid, "nothing was approved")
	}
	return nil
}

func agreementDigest(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := readFile(path, 4<<20)
	if err != nil {
		return "", err
	}
	a, problems := agreement.Parse(path, data)
	if err := agreement.Refusal(problems); err != nil {
		return "", err
	}
	return a.Digest()
}

func printStatement(s *streams, st *evidence.ApprovalStatement, digest string) {
	fmt.Fprintf(s.out, "statement %s\n", digest)
	fmt.Fprintf(s.out, "  about     %s, compartment %s, epoch %d\n", st.Arrangement, st.Compartment, st.Epoch)
	fmt.Fprintf(s.out, "  case      %s, stage %s\n", st.Case, st.Stage)
	fmt.Fprintf(s.out, "  purpose   %s\n", st.Purpose)
	for _, r := range st.Recipients {
		fmt.Fprintf(s.out, "  opens for %-22s %s\n", r.Party+"/"+r.Person, evidence.Digits(r.Fingerprint))
	}
	for _, d := range st.Deposits {
		fmt.Fprintf(s.out, "  deposits  %s %d to %d\n", d.Module, d.From, d.To)
	}
	fmt.Fprintf(s.out, "  expires   %s\n", st.Expires)
}

// statementCmd writes an approval statement without a server. Normally the
// server of the arrangement does; this is for the day it is gone.
type statementCmd struct {
	Manifest  string        `help:"Key manifest of the compartment; its signature is expected beside it." required:"" type:"existingfile"`
	Case      string        `help:"Case id." required:""`
	Stage     string        `help:"Stage of the agreement." required:""`
	For       []string      `help:"Person it opens for, as pinned in the key manifest: PARTY/PERSON." required:"" placeholder:"PARTY/PERSON" sep:"none"`
	Deposits  []string      `help:"Deposits that are handed over: MODULE=FROM-TO." required:"" placeholder:"MODULE=FROM-TO" sep:"none"`
	Purpose   string        `help:"What it is released for, in one line." required:""`
	Lasts     time.Duration `help:"How long approvals count." default:"336h"`
	Agreement string        `help:"Agreement in force, when it is a newer version than the one the key was dealt under." type:"existingfile"`
	Out       string        `help:"File for the statement." required:"" type:"path"`
}

func (c *statementCmd) Run(_ context.Context, s *streams) error {
	m, _, err := readManifest(c.Manifest)
	if err != nil {
		return err
	}
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return fmt.Errorf("nonce: %w", err)
	}
	st := evidence.ApprovalStatement{
		Arrangement: m.Arrangement, Agreement: m.Agreement, Compartment: m.Compartment, Epoch: m.Epoch, Set: m.Set,
		Case: c.Case, Stage: c.Stage, Purpose: c.Purpose, Expires: evidence.At(time.Now().Add(c.Lasts)), Nonce: hex.EncodeToString(nonce),
	}
	if newer, err := agreementDigest(c.Agreement); err != nil {
		return err
	} else if newer != "" {
		st.Agreement = newer
	}
	for _, r := range m.Recipients { // in the manifest's order, which is the statement's
		if slices.Contains(c.For, r.Party+"/"+r.Person) {
			st.Recipients = append(st.Recipients, evidence.StatementRecipient{Party: r.Party, Person: r.Person, Fingerprint: evidence.Fingerprint(r.Recipient)})
		}
	}
	if len(st.Recipients) != len(c.For) {
		return escrow.Errorf(escrow.Invalid, "%d people are named, %d of them are pinned in the key manifest", len(c.For), len(st.Recipients)).
			WithHint("a release opens only for people who were agreed when the key was dealt; see 'opens for' in 'holdfast share check'")
	}
	for _, arg := range c.Deposits {
		d, err := parseRange(arg)
		if err != nil {
			return err
		}
		st.Deposits = append(st.Deposits, d)
	}
	slices.SortFunc(st.Deposits, func(a, b evidence.DepositRange) int { return strings.Compare(a.Module, b.Module) })
	raw, err := st.Bytes()
	if err != nil {
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	if err := newFiles([]newFile{{c.Out, raw, 0o644}}); err != nil {
		return err
	}
	if s.json {
		return s.printJSON(map[string]any{"statement": evidence.Digest(raw), "file": c.Out})
	}
	printStatement(s, &st, evidence.Digest(raw))
	_, err = fmt.Fprintf(s.out, "  written   %s\n", c.Out)
	return err
}

func parseRange(arg string) (evidence.DepositRange, error) {
	module, numbers, ok1 := strings.Cut(arg, "=")
	from, to, ok2 := strings.Cut(numbers, "-")
	a, err1 := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	if !ok1 || !ok2 || err1 != nil || err2 != nil {
		return evidence.DepositRange{}, escrow.Errorf(escrow.Invalid, "--deposits %q is not MODULE=FROM-TO", arg)
	}
	return evidence.DepositRange{Module: module, From: a, To: b}, nil
}
