package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
)

// depositResticCmd lets the depositor's own restic write into a module.
type depositResticCmd struct {
	Init depositResticInitCmd `cmd:"" help:"Make the repository's password, seal it to the compartment, and begin the repository."`
	Run  depositResticRunCmd  `cmd:"" help:"Run restic on the module's repository and check the receipt of what it brings."`
}

// resticPlace is how restic finds the repository of a module: its token is the
// password of the connection.
type resticPlace struct {
	server, token string
	path          string
}

func newResticPlace(r scoped, module string) (resticPlace, error) {
	token, err := r.token()
	return resticPlace{strings.TrimRight(r.Server, "/"), token, "/restic/" + url.PathEscape(r.Arrangement) + "/" + url.PathEscape(module) + "/"}, err
}

// public is the place without the token.
func (p resticPlace) public() string { return "rest:" + p.server + p.path }

func (p resticPlace) secret() (string, error) {
	u, err := url.Parse(p.server)
	if err != nil {
		return "", escrow.Errorf(escrow.Invalid, "the server's address is not a URL")
	}
	u.User = url.UserPassword("holdfast", p.token)
	return "rest:" + u.String() + p.path, nil
}

const maxResticAnswer = 64 << 20

// get asks the repository's server, whose words restic does not show. found is
// false when what is asked for is not there.
func (p resticPlace) get(ctx context.Context, name string) (body []byte, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.server+p.path+name, nil)
	if err != nil {
		return nil, false, escrow.Errorf(escrow.Invalid, "the server's address is not a URL")
	}
	r.SetBasicAuth("holdfast", p.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, false, escrow.Errorf(escrow.Unavailable, "the server does not answer restic: %w", err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxResticAnswer))
	if err != nil {
		return nil, false, escrow.Errorf(escrow.Unavailable, "the server's answer broke off: %w", err)
	}
	code := escrow.Unavailable
	switch resp.StatusCode {
	case http.StatusOK:
		return body, true, nil
	case http.StatusNotFound:
		return nil, false, nil
	case http.StatusUnauthorized:
		code = escrow.Unauthenticated
	case http.StatusForbidden:
		code = escrow.Forbidden
	}
	message, hint, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	refusal := escrow.Errorf(code, "%.300s", message)
	if hint != "" {
		refusal = refusal.WithHint("%.300s", hint)
	}
	return nil, false, refusal
}

// snapshots lists the ids of the snapshots that have arrived.
func (p resticPlace) snapshots(ctx context.Context) ([]string, error) {
	body, _, err := p.get(ctx, "snapshots/")
	if err != nil {
		return nil, err
	}
	var names []string
	if err := json.Unmarshal(body, &names); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "the server's list of snapshots is none: %w", err)
	}
	return names, nil
}

// run runs the user's restic. Address and password reach it through its
// environment and a file, never through its arguments, which every process of
// the machine can see.
func (p resticPlace) run(ctx context.Context, s *streams, binary, passwordFile string, args ...string) error {
	repository, err := p.secret()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "RESTIC_REPOSITORY") && !strings.HasPrefix(name, "RESTIC_PASSWORD") && !strings.HasPrefix(name, "RESTIC_REST_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "RESTIC_REPOSITORY="+repository, "RESTIC_PASSWORD_FILE="+passwordFile)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	if s.json {
		cmd.Stdout = s.err // what is printed on standard output is ours
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that restic gives its lock up
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, _, refusal := p.get(ctx, "keys/"); refusal != nil {
			return refusal
		}
		return escrow.Errorf(escrow.Unavailable, "restic %s failed: %w", args[0], err).
			WithHint("see what it printed; 'holdfast module restic' says whether the server takes anything now. Nothing that was not acknowledged counts")
	}
	return nil
}

type depositResticInitCmd struct {
	depositFlags
	PasswordFile string `help:"File with the repository's password; it is made when it does not exist. Keep it: backups need it." required:"" type:"path"`
	Restic       string `help:"The restic program." default:"restic"`
	Again        bool   `help:"Seal the password in the file although one is sealed to this key already."`
}

func (depositResticInitCmd) Help() string {
	return `Makes a password, seals it to the compartment's key as the module's first deposit, and
runs 'restic init'. From then on stock restic writes to the module with the address that
is printed, and every snapshot becomes a deposit.

After a new key ceremony run it again with the same file: the password is sealed to the new
key, and the server deposits the whole repository anew.`
}

func (c *depositResticInitCmd) Run(ctx context.Context, s *streams) error {
	place, err := newResticPlace(c.scoped, c.Module)
	if err != nil {
		return err
	}
	made := false
	err = c.deposit(ctx, s, func(ctx context.Context, d *depositing, maker deposit.Maker, _ *progress) (*deposit.Made, error) {
		base := d.base
		if base.Module.Source.Mode != escrow.Restic {
			return nil, escrow.Errorf(escrow.Conflict, "restic does not write to module %s", c.Module).WithHint("set it so with 'holdfast module set %s --mode restic'", c.Module)
		}
		sealed := base.Latest.Number > 0 && base.Latest.Epoch == base.Epoch.Number
		password, fresh, err := c.password(sealed && !c.Again)
		if err != nil {
			return nil, err
		}
		made = fresh
		return maker.ResticPassword(ctx, base, password, c.Again)
	})
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintf(s.err, "the password is in %s; keep it as you keep the data\n", c.PasswordFile)
	}
	_, there, err := place.get(ctx, "config")
	if err != nil || there {
		return err
	}
	binary, err := exec.LookPath(c.Restic)
	if err != nil {
		fmt.Fprintf(s.err, "%s is not here; where it is, run: RESTIC_REPOSITORY=%s restic init\n", c.Restic, place.public())
		return nil
	}
	if err := place.run(ctx, s, binary, c.PasswordFile, "init", "--quiet"); err != nil {
		return err
	}
	if s.json {
		return nil
	}
	fmt.Fprintf(s.out, "begun     repository %s\n", place.public())
	return nil
}

// password reads the password, or makes one unless one is sealed already: then
// a new one would open nothing.
func (c *depositResticInitCmd) password(sealed bool) (password []byte, fresh bool, err error) {
	data, err := readFile(c.PasswordFile, 4<<10)
	if err == nil {
		text := strings.TrimSpace(string(data)) // as restic reads it
		if text == "" {
			return nil, false, escrow.Errorf(escrow.Invalid, "%s holds no password", c.PasswordFile)
		}
		return []byte(text + "\n"), false, nil
	}
	if escrow.CodeOf(err) != escrow.Missing {
		return nil, false, err
	}
	if sealed {
		return nil, false, escrow.Errorf(escrow.Conflict, "a password is sealed to the key already, and %s does not exist", c.PasswordFile).
			WithHint("give the file with the repository's password; a new one would not open it")
	}
	password = []byte(rand.Text() + rand.Text() + "\n")
	f, err := os.OpenFile(c.PasswordFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, false, escrow.Errorf(escrow.Conflict, "%s was made just now", c.PasswordFile)
	}
	if err != nil {
		return nil, false, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	_, err = f.Write(password)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, false, escrow.Wrap(errors.Join(err, os.Remove(c.PasswordFile)), escrow.Full, "%s", c.PasswordFile)
	}
	return password, true, nil
}

type depositResticRunCmd struct {
	scoped
	Module       string        `required:"" help:"Module id."`
	PasswordFile string        `help:"File with the repository's password." required:"" type:"existingfile"`
	Restic       string        `help:"The restic program." default:"restic"`
	Receipt      string        `help:"File to keep the receipt in; its manifest goes beside it." type:"path"`
	Wait         time.Duration `help:"Wait so long for the deposit of what was backed up." default:"5m"`
	Args         []string      `arg:"" passthrough:"" help:"What restic is to do, such as: backup /srv"`
}

func (depositResticRunCmd) Help() string {
	return `Runs your restic with the address and password of the module's repository, then waits
until what it backed up is in a deposit and checks the receipt.

    holdfast deposit restic run --module db --password-file db.password backup /srv/db`
}

func (c *depositResticRunCmd) Run(ctx context.Context, s *streams) error {
	place, err := newResticPlace(c.scoped, c.Module)
	if err != nil {
		return err
	}
	binary, err := exec.LookPath(c.Restic)
	if err != nil {
		return escrow.Errorf(escrow.Unavailable, "%s is not here: %w", c.Restic, err).WithHint("install restic, or name it with --restic")
	}
	args := c.Args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return escrow.Errorf(escrow.Invalid, "restic is to do nothing").WithHint("say what, such as: backup /srv")
	}
	flags := depositFlags{scoped: c.scoped, Module: c.Module, Receipt: c.Receipt}
	if _, err := os.Lstat(c.Receipt); c.Receipt != "" && err == nil {
		return escrow.Errorf(escrow.Conflict, "%s exists already and is not overwritten", c.Receipt).WithHint("name another file with --receipt")
	}
	cl, ledger, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	before, err := place.snapshots(ctx)
	if err != nil {
		return err
	}
	if err := place.run(ctx, s, binary, c.PasswordFile, args...); err != nil {
		// restic shows what the server answers as a number.
		if state, serr := cl.Restic(ctx, c.Arrangement, c.Module); serr == nil && state.Refuses != "" {
			return escrow.Errorf(escrow.Forbidden, "%s", state.Refuses).WithHint("%s", state.RefusesHint)
		}
		return err
	}
	after, err := place.snapshots(ctx)
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(after, func(id string) bool { return slices.Contains(before, id) })
	if len(fresh) == 0 {
		return nil
	}
	d, m, err := c.deposited(ctx, cl, fresh)
	if err != nil {
		return err
	}
	seen, err := flags.recall()
	if err != nil {
		return err
	}
	if err := flags.confirm(ctx, cl, ledger, d, evidence.Digest([]byte(d.Manifest.Document)), seen); err != nil {
		return err
	}
	return flags.print(s, m, d, fmt.Sprintf("%d files of the repository; snapshot %.8s", m.Restic.Files, fresh[len(fresh)-1]))
}

// deposited waits until every one of the snapshots is in a deposit and returns
// the last of those.
func (c *depositResticRunCmd) deposited(ctx context.Context, cl *client.Client, snapshots []string) (client.Deposit, *evidence.DepositManifest, error) {
	limit := time.After(c.Wait)
	for {
		state, err := cl.Restic(ctx, c.Arrangement, c.Module)
		if err != nil {
			return client.Deposit{}, nil, err
		}
		if state.Waiting == 0 {
			return c.holding(ctx, cl, snapshots)
		}
		select {
		case <-ctx.Done():
			return client.Deposit{}, nil, ctx.Err()
		case <-limit:
			return client.Deposit{}, nil, escrow.Errorf(escrow.Unavailable, "the snapshot has arrived, but is in no deposit after %s", c.Wait).
				WithHint("it goes on; 'holdfast module list' shows what is in the way")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *depositResticRunCmd) holding(ctx context.Context, cl *client.Client, snapshots []string) (client.Deposit, *evidence.DepositManifest, error) {
	base, err := cl.DepositBase(ctx, c.Arrangement, c.Module)
	if err != nil {
		return client.Deposit{}, nil, err
	}
	if base.Latest == nil {
		return client.Deposit{}, nil, escrow.Errorf(escrow.Damaged, "the server says that no snapshot waits and shows no deposit")
	}
	var last client.Deposit
	var manifest *evidence.DepositManifest
	missing := slices.Clone(snapshots)
	for n := base.Latest.Number; n >= 1 && len(missing) > 0; n-- {
		d, err := cl.Deposit(ctx, c.Arrangement, c.Module, n)
		if err != nil {
			return last, nil, err
		}
		m, err := evidence.ParseDepositManifest([]byte(d.Manifest.Document))
		if err != nil {
			return last, nil, escrow.Errorf(escrow.Damaged, "the server's manifest of deposit %d: %w", n, err)
		}
		if m.Restic == nil {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(missing), func(id string) bool {
			return slices.ContainsFunc(m.Restic.Snapshots, func(s evidence.ResticSnapshot) bool { return s.ID == id })
		})
		if manifest == nil && len(left) < len(missing) {
			last, manifest = d, m
		}
		missing = left
	}
	if len(missing) > 0 {
		return last, nil, escrow.Errorf(escrow.Missing, "snapshot %s is in no deposit, although the server says that none waits", missing[0])
	}
	return last, manifest, nil
}
