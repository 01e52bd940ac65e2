// Command holdfast is software escrow and SaaS continuity in one program:
// server, depositor's tool, trustee's tool and beneficiary's tool.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the whole command line; each verb lives in a file of its own.
type cli struct {
	JSON bool `help:"Write results as JSON for machines." name:"json"`

	Agreement agreementCmd `cmd:"" help:"Write, check, explain, offer and sign agreements."`
	Authority authorityCmd `cmd:"" help:"Put on record who may act for a party."`

	Key       keyCmd       `cmd:"" help:"Make and show the keys of a person."`
	Ceremony  ceremonyCmd  `cmd:"" help:"Deal the release key of a compartment to its trustees, or pass it on to others."`
	Share     shareCmd     `cmd:"" help:"Check and accept a trustee's share."`
	Statement statementCmd `cmd:"" help:"Write an approval statement without a server."`
	Approve   approveCmd   `cmd:"" help:"Approve a release: seal your share to its recipients."`
	Combine   combineCmd   `cmd:"" help:"Put a release key together from the trustees' shares."`

	Register  registerCmd  `cmd:"" help:"Register an agreement with a server."`
	Contact   contactCmd   `cmd:"" help:"Pin and list contact cards."`
	Module    moduleCmd    `cmd:"" help:"Configure what is held and see where it stands."`
	Sync      syncCmd      `cmd:"" help:"Ask the server for a deposit of a module now."`
	Deposit   depositCmd   `cmd:"" help:"Make a deposit on this machine."`
	Deposits  depositsCmd  `cmd:"" help:"List the deposits of a module."`
	Receipt   receiptCmd   `cmd:"" help:"Fetch, check and keep the receipt of a deposit."`
	Location  locationCmd  `cmd:"" help:"Where objects are kept: list, drain, retire, reload."`
	Scrub     scrubCmd     `cmd:"" help:"Read every object at every location now and heal what is bad."`
	Hold      holdCmd      `cmd:"" help:"Stop the deletion of deposits."`
	Retention retentionCmd `cmd:"" help:"Show which deposits stay and why."`
	Running   runningCmd   `cmd:"" help:"Say which version you run, so that it stays."`
	Duty      dutyCmd      `cmd:"" help:"Show whether deposits come as agreed; accept or refuse one."`
	Notices   noticesCmd   `cmd:"" help:"What your party was told, over which channels, and where its people are told."`
	Watch     watchCmd     `cmd:"" help:"Measure whether a service works: what is measured, how it stands, what was seen."`
	SLA       slaCmd       `cmd:"" name:"sla" help:"Check service levels, and compute figures and credits with their working; without a server."`
	Status    statusCmd    `cmd:"" help:"The public page that says how an application is: publish it, tell of incidents, take it elsewhere."`
	Terms     termsCmd     `cmd:"" help:"Dates of the agreement: terms, fees, insurance, reviews, and what happened to them."`
	Destroy   destroyCmd   `cmd:"" help:"Destroy deposits, by two people and with a certificate."`
	Withdraw  withdrawCmd  `cmd:"" help:"Ask that a wrong deposit be taken out, by two people."`

	Case   caseCmd   `cmd:"" help:"Run a release."`
	Open   openCmd   `cmd:"" help:"Open what was released: combine, decrypt, rebuild, compare."`
	Export exportCmd `cmd:"" help:"Take everything out, for stock tools and no server."`
	Verify verifyCmd `cmd:"" help:"Read everything again and name the first thing that does not hold."`
	Ledger ledgerCmd `cmd:"" help:"Read, witness and, where somebody's data has to go, erase in the ledger."`
	Token  tokenCmd  `cmd:"" help:"Issue and revoke bearer tokens."`

	Init    initCmd    `cmd:"" help:"Begin an installation without serving it."`
	Backup  backupCmd  `cmd:"" help:"Write an installation to one file."`
	Restore restoreCmd `cmd:"" help:"Make an installation from a backup."`
	Move    moveCmd    `cmd:"" help:"Take an installation from SQLite to PostgreSQL, or back."`
	Serve   serveCmd   `cmd:"" help:"Run a server."`
	Demo    demoCmd    `cmd:"" help:"Run the main job from beginning to end and show what it proves."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// streams is where a command reads and writes; tests pass their own.
type streams struct {
	in   io.Reader
	out  io.Writer
	err  io.Writer
	json bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: arguments and streams in, exit code out.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("holdfast"),
		kong.Description("Software escrow and SaaS continuity: deposits nobody can read alone, released by a quorum, every step provable."),
		kong.Writers(out, errw),
		kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return report(forPeople(errw), err)
	}
	k, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		return usage(errw, err)
	}
	s := &streams{in: in, out: forPeople(out), err: errw, json: c.JSON}
	k.BindTo(ctx, (*context.Context)(nil))
	if err := k.Run(s); err != nil {
		return report(forPeople(errw), err)
	}
	return exitOK
}
