package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Making an installation takes a minute of key making and some forty commands
// on a busy machine, so it is done once, through the command line, and every
// script that asks for one gets a copy of the directory and a server of its
// own on it.

// people are the parties of the demo agreement; each acts through one person
// of the same name.
func people() []string {
	return []string{"supplier", "customer", "agent", "foundation", "notary", "accountant", "expert"}
}

func trustees() []string { return []string{"agent", "foundation", "notary", "accountant", "expert"} }

// templates are directories with an installation: server/ (its data), keys/,
// tokens/, agreement.yaml, and server.yaml, the server's configuration.
type templates struct {
	installed func() (string, error) // agreement registered, cards pinned, tokens issued
	sealed    func() (string, error) // and the key of the materials dealt, accepted and active
}

func newTemplates(agreement, dir string) templates {
	installed := sync.OnceValues(func() (string, error) {
		out := filepath.Join(dir, "installed")
		return out, inDirectory(out, func(r *room) error { return r.install(agreement) })
	})
	return templates{installed: installed, sealed: sync.OnceValues(func() (string, error) {
		from, err := installed()
		if err != nil {
			return "", err
		}
		out := filepath.Join(dir, "sealed")
		if err := os.CopyFS(out, os.DirFS(from)); err != nil {
			return "", err
		}
		return out, inDirectory(out, (*room).ceremony)
	})}
}

// serverConfig lets scripts have their sources on this machine. The schedule
// is looked at once, at the start.
const serverConfig = `egress_allow: [127.0.0.0/8]
local_sources: true
schedule_every: 24h
`

// room is a directory in which a template is made; the command line runs in
// this process.
type room struct {
	dir string
	url string
}

// inDirectory runs make beside a running server.
func inDirectory(dir string, make func(*room) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "server.yaml"), []byte(serverConfig), 0o600); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	r := &room{dir: dir}
	out, in := io.Pipe()
	var errs strings.Builder
	ended := newEnded()
	go func() {
		code := run(ctx, []string{"serve", "--config", r.path("server.yaml"), "--data", r.path("server"), "--listen", "127.0.0.1:0"}, strings.NewReader(""), in, &errs)
		in.Close()
		ended.set(code)
	}()
	var err error
	if r.url, err = servedURL(out); err == nil {
		go io.Copy(io.Discard, out)
		err = make(r)
	}
	stop()
	if code := ended.wait(); code != 0 && err == nil {
		err = fmt.Errorf("holdfast serve: exit %d: %s", code, errs.String())
	}
	return errors.Join(err, os.RemoveAll(r.path("pins")))
}

type ended struct{ code chan int }

func newEnded() ended     { return ended{make(chan int, 1)} }
func (e ended) set(n int) { e.code <- n }
func (e ended) wait() int { return <-e.code }
func (r *room) path(elements ...string) string {
	return filepath.Join(append([]string{r.dir}, elements...)...)
}

func (r *room) holdfast(args ...string) error {
	var out, errs strings.Builder
	if code := run(context.Background(), args, strings.NewReader(""), &out, &errs); code != 0 {
		return fmt.Errorf("holdfast %s: exit %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return nil
}

// as runs a verb that talks to the server for a party.
func (r *room) as(party string, args ...string) error {
	args = append(args, "--server", r.url, "--token-file", r.path("tokens", party), "--pins", r.path("pins"))
	if args[0] != "register" {
		args = append(args, "--arrangement", "demo")
	}
	return r.holdfast(args...)
}

func (r *room) install(agreement string) error {
	if err := os.MkdirAll(r.path("tokens"), 0o700); err != nil {
		return err
	}
	text, err := os.ReadFile(agreement)
	if err != nil {
		return err
	}
	// Without a schedule: the source it names is on no machine that a test may ask.
	text = bytes.Replace(text, []byte("      every: 1h\n"), nil, 1)
	// And with one module of each other way in which deposits come.
	const after = "  - dossier: {id: dossier"
	text = bytes.Replace(text, []byte(after), []byte("  - data: {id: db, via: restic, compartment: materials}\n  - images: {id: images, compartment: materials}\n"+after), 1)
	admin, err := os.ReadFile(r.path("server", "admin.token"))
	if err != nil {
		return err
	}
	for to, data := range map[string][]byte{"agreement.yaml": text, "tokens/admin": admin} {
		if err := os.WriteFile(r.path(to), data, 0o600); err != nil {
			return err
		}
	}
	if err := r.as("admin", "register", r.path("agreement.yaml")); err != nil {
		return err
	}
	add := []string{"contact", "add"}
	for _, p := range people() {
		if err := r.holdfast("key", "new", "--party", p, "--person", p, "--plain", "--out", r.path("keys")); err != nil {
			return err
		}
		if err := r.as("admin", "token", "issue", "--party", p, "--person", p, "--out", r.path("tokens", p)); err != nil {
			return err
		}
		add = append(add, r.path("keys", p+".contact"))
	}
	return r.as("agent", add...)
}

func (r *room) ceremony() error {
	deal := r.path("deal")
	if err := r.holdfast("ceremony", "deal", "--agreement", r.path("agreement.yaml"), "--compartment", "materials", "--contacts", r.path("keys"),
		"--sign", r.path("keys", "supplier.sign"), "--out", deal); err != nil {
		return err
	}
	if err := r.as("supplier", "ceremony", "publish", deal); err != nil {
		return err
	}
	for _, t := range trustees() {
		acceptance := r.path("shares", t, "acceptance.json")
		if err := r.as(t, "share", "fetch", "--compartment", "materials", "--out", r.path("shares", t)); err != nil {
			return err
		}
		if err := r.holdfast("share", "check", "--from", r.path("shares", t), "--key", r.path("keys", t+".key"), "--accept", "--out", acceptance); err != nil {
			return err
		}
		if err := r.as(t, "share", "accept", acceptance); err != nil {
			return err
		}
	}
	return nil
}

// servedURL reads the address off what serve prints.
func servedURL(out io.Reader) (string, error) {
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "holdfast serves on ")
	if !ok {
		return "", fmt.Errorf("holdfast serve printed %q, then %w", line, err)
	}
	return url, nil
}

type installationKey struct{}

// installation is the server of one script. Its data lie in $WORK/server, its
// log in $WORK/server.log.
type installation struct {
	process *exec.Cmd
	ended   chan error
	listen  string // the address it got first and keeps
}

func installationOf(ts *testscript.TestScript) *installation {
	return ts.Value(installationKey{}).(*installation)
}

// copyTemplate gives the script its installation's files.
func copyTemplate(ts *testscript.TestScript, template func() (string, error)) {
	from, err := template()
	ts.Check(err)
	ts.Check(os.CopyFS(ts.MkAbs("."), os.DirFS(from)))
	ts.Setenv("HOLDFAST_ARRANGEMENT", "demo")
	ts.Setenv("HOLDFAST_PINS", ts.MkAbs("pins"))
}

// start runs a server on $WORK/server until the script ends or stop.
func (in *installation) start(ts *testscript.TestScript, flags ...string) {
	if in.process != nil {
		ts.Fatalf("the server runs already")
	}
	log, err := os.OpenFile(ts.MkAbs("server.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	ts.Check(err)
	defer log.Close()
	if in.listen == "" {
		in.listen = "127.0.0.1:0"
	}
	cmd := exec.Command(program(ts), append([]string{"serve", "--config", ts.MkAbs("server.yaml"), "--data", ts.MkAbs("server"), "--listen", in.listen}, flags...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "TMPDIR=" + ts.Getenv("TMPDIR"), "HOME=" + ts.Getenv("HOME")}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	in.process, in.ended = cmd, make(chan error, 1)
	url, err := servedURL(out)
	go func() {
		_, _ = io.Copy(io.Discard, out)
		in.ended <- cmd.Wait()
	}()
	if err != nil {
		ts.Fatalf("%v; the log says:\n%s", err, ts.ReadFile("server.log"))
	}
	in.listen = strings.TrimPrefix(url, "http://")
	ts.Setenv("HOLDFAST_SERVER", url)
	ts.Defer(func() { _ = in.end(syscall.SIGKILL) })
}

// end sends the server a signal and waits for it to end.
func (in *installation) end(signal syscall.Signal) error {
	if in.process == nil {
		return nil
	}
	p := in.process
	in.process = nil
	if err := p.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case err := <-in.ended:
		return err
	case <-time.After(40 * time.Second):
		return errors.Join(errors.New("the server does not stop"), p.Process.Kill())
	}
}

// program is the holdfast that scripts run.
func program(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, "holdfast")
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	ts.Fatalf("no holdfast in $PATH")
	return ""
}
