// Package demo runs the main job from beginning to end on a real repository,
// in a temporary directory, through the same command line that people use,
// and ends with a table of what was proved.
//
// It may import server and config to start an installation, and the example
// agreements; everything else goes through the command line it is given.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"holdfast/examples/agreements"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// Config says how to run.
type Config struct {
	Holdfast func(ctx context.Context, args []string, out, errw io.Writer) int // the command line itself
	Out      io.Writer
	Repo     string // URL or path of a Git repository
	Keep     bool   // leave the server running and the files there

	// Cluster is the directory of an installation of several processes that
	// runs already, as scripts/demo-cluster makes it; "" for one of the demo's
	// own. It has the files url, admin.token, config.yaml and NAME.pid of each
	// process, and keys, objects and database below it.
	Cluster string
}

// demo is one run.
type demo struct {
	Config
	dir     string
	data    string
	url     string
	stop    func() error
	step    int
	proved  []proof
	deposit [2]deposited
	caseID  string
	started time.Time
}

// proof is one line of the table at the end.
type proof struct {
	what string
	how  string
	ok   bool
}

type deposited struct {
	kind   string
	stored int64
	pack   int64
	took   time.Duration
}

// errNotProved says that the demo ran to its end and something did not hold.
var errNotProved = errors.New("not everything was proved")

// Run runs the demo. The error is nil only if every line of the table holds.
func Run(ctx context.Context, c Config) (err error) {
	dir, err := os.MkdirTemp("", "holdfast-demo-")
	if err != nil {
		return escrow.Wrap(err, escrow.Full, "a temporary directory for the demo")
	}
	d := &demo{Config: c, dir: dir, data: filepath.Join(dir, "server"), started: time.Now()}
	if c.Cluster != "" {
		d.data = c.Cluster
	}
	defer func() {
		if d.stop != nil {
			err = errors.Join(err, d.stop())
		}
		if !c.Keep {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	steps := []func(context.Context) error{d.start, d.agree, d.ceremony, d.first, d.second, d.sealed, d.claim, d.release, d.open, d.stock, d.tamper}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			d.table()
			return err
		}
	}
	if !d.table() {
		return errNotProved
	}
	if c.Keep {
		return d.keep(ctx)
	}
	return nil
}

// keep serves until it is interrupted.
func (d *demo) keep(ctx context.Context) error {
	if err := d.serve(ctx); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "\nThe server goes on at %s; its files are in %s.\nTokens are in %s. Stop it with Ctrl-C.\n", d.url, d.dir, filepath.Join(d.dir, "tokens"))
	<-ctx.Done()
	return nil
}

func (d *demo) title(format string, args ...any) {
	d.step++
	fmt.Fprintf(d.Out, "\n%2d  %s\n", d.step, fmt.Sprintf(format, args...))
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "      %s\n", fmt.Sprintf(format, args...))
}

func (d *demo) prove(ok bool, what, how string, args ...any) {
	d.proved = append(d.proved, proof{what, fmt.Sprintf(how, args...), ok})
}

// holdfast runs the command line and expects it to succeed.
func (d *demo) holdfast(ctx context.Context, args ...string) (string, error) {
	out, errs, code := d.try(ctx, args...)
	if code != 0 {
		return "", escrow.Errorf(escrow.Conflict, "holdfast %s: exit %d: %s", strings.Join(args, " "), code, strings.TrimSpace(errs))
	}
	return out, nil
}

// try runs the command line and returns what it printed and its exit code.
func (d *demo) try(ctx context.Context, args ...string) (out, errs string, code int) {
	var o, e bytes.Buffer
	code = d.Holdfast(ctx, args, &o, &e)
	return o.String(), e.String(), code
}

// as are the flags of a verb that talks to the server for a party.
func (d *demo) as(party string, args ...string) []string {
	return append(args, "--server", d.url, "--token-file", filepath.Join(d.dir, "tokens", party), "--pins", filepath.Join(d.dir, "pins"), "--arrangement", "demo")
}

func (d *demo) path(elements ...string) string {
	return filepath.Join(append([]string{d.dir}, elements...)...)
}

// git runs stock git without anybody's configuration.
func (d *demo) git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = gitEnvironment(d.dir)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", escrow.Wrap(err, escrow.Unavailable, "git %s: %s", args[0], strings.TrimSpace(errs.String()))
	}
	return string(out), nil
}

func gitEnvironment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Demo", "GIT_AUTHOR_EMAIL=demo@example.com", "GIT_COMMITTER_NAME=Demo", "GIT_COMMITTER_EMAIL=demo@example.com"}
}

// serve starts the installation in this process.
func (d *demo) serve(ctx context.Context) error {
	c := config.Default()
	c.Data, c.Listen, c.Origin = d.data, "127.0.0.1:0", "demo.holdfast.example/log"
	c.LocalSources = true
	c.ScheduleEvery = config.Duration(time.Hour)
	log, err := os.OpenFile(d.path("server.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return escrow.Wrap(err, escrow.Full, "the demo's log")
	}
	srv, err := server.Open(ctx, c, server.Options{Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err != nil {
		return errors.Join(err, log.Close())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- srv.Run(running) }()
	d.url = "http://" + srv.Addr()
	d.stop = func() error {
		d.stop = nil
		cancel()
		return errors.Join(<-done, srv.Close(), log.Close())
	}
	return nil
}

func (d *demo) start(ctx context.Context) error {
	for _, sub := range []string{"tokens", "keys"} {
		if err := os.Mkdir(d.path(sub), 0o700); err != nil {
			return escrow.Wrap(err, escrow.Full, "%s", d.path(sub))
		}
	}
	if d.Cluster != "" {
		if err := d.join(); err != nil {
			return err
		}
	} else {
		d.title("A server starts in an empty directory")
		if err := d.serve(ctx); err != nil {
			return err
		}
		d.say("SQLite, objects and keys in one directory; listening on %s", d.url)
	}
	d.say("the repository: %s", d.Repo)
	return os.WriteFile(d.path("demo.yaml"), agreements.Demo(), 0o600)
}

func (d *demo) agree(ctx context.Context) error {
	d.title("The parties' agreement is checked and registered; everybody makes keys")
	out, err := d.holdfast(ctx, "agreement", "check", d.path("demo.yaml"))
	if err != nil {
		return err
	}
	d.say("agreement check: %s", lastLine(out))
	admin, err := os.ReadFile(filepath.Join(d.data, "admin.token"))
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "admin token")
	}
	if err := os.WriteFile(d.path("tokens", "admin"), admin, 0o600); err != nil {
		return err
	}
	if _, err := d.holdfast(ctx, "register", d.path("demo.yaml"), "--server", d.url, "--token-file", d.path("tokens", "admin"), "--pins", d.path("pins")); err != nil {
		return err
	}
	for _, party := range parties() {
		if _, err := d.holdfast(ctx, "key", "new", "--party", party, "--person", party, "--plain", "--out", d.path("keys")); err != nil {
			return err
		}
		if _, err := d.holdfast(ctx, d.as("admin", "token", "issue", "--party", party, "--person", party, "--out", d.path("tokens", party))...); err != nil {
			return err
		}
	}
	var cards []string
	for _, party := range parties() {
		cards = append(cards, d.path("keys", party+".contact"))
	}
	if _, err := d.holdfast(ctx, d.as("agent", append([]string{"contact", "add"}, cards...)...)...); err != nil {
		return err
	}
	d.say("%d people, each with a decryption key, a signing key and a public card that the server has pinned", len(cards))
	d.prove(true, "the agreement passes its own checks and tests", "holdfast agreement check, exit 0")
	return nil
}

func parties() []string {
	return []string{"supplier", "customer", "agent", "foundation", "notary", "accountant", "expert"}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// table prints what was proved and reports whether all of it was.
func (d *demo) table() bool {
	all := len(d.proved) > 0
	width := 0
	for _, p := range d.proved {
		width = max(width, len(p.what))
	}
	fmt.Fprintf(d.Out, "\n    What was proved, in %s\n\n", time.Since(d.started).Round(100*time.Millisecond))
	for _, p := range d.proved {
		mark := "yes"
		if !p.ok {
			mark, all = "NO ", false
		}
		fmt.Fprintf(d.Out, "    %s  %-*s  %s\n", mark, width, p.what, p.how)
	}
	return all
}
