package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// moduleCmd configures what is held.
type moduleCmd struct {
	List   moduleListCmd   `cmd:"" help:"List the modules and where each stands."`
	Show   moduleShowCmd   `cmd:"" help:"Show one module, and what an organisation holds."`
	Sync   syncCmd         `cmd:"" help:"Fetch a module now, or list its organisation; the same as 'holdfast sync'."`
	Set    moduleSetCmd    `cmd:"" help:"Set where a module's material comes from."`
	Restic moduleResticCmd `cmd:"" help:"Show the restic repository of a module, or bound it."`
	Secret moduleSecretCmd `cmd:"" help:"Set a source secret; it is sealed at once and never shown."`
}

type moduleListCmd struct{ scoped }

func (c *moduleListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Modules(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODULE\tKIND\tCOMPARTMENT\tMODE\tDEPOSITS\tLAST TRY")
	marks, err := repositoryMarks(ctx, cl, c.Arrangement, list)
	if err != nil {
		return err
	}
	for _, m := range list {
		last := "never"
		if m.LastTry != nil {
			last = m.LastTry.Format(time.DateTime) + " UTC"
		}
		if mark := marks[m.ID]; mark != "" {
			last += ", " + mark
		}
		if m.LastError != "" {
			last += ", failed: " + m.LastError
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", m.ID, m.Kind, m.Compartment, m.Mode, m.Latest, last)
	}
	return w.Flush()
}

type moduleSetCmd struct {
	scoped
	Module  string   `arg:"" help:"Module id."`
	Mode    *string  `help:"How it comes: the server fetches (pull), lists an organisation and fetches its repositories (organisation), the depositor's machine seals (push), or its restic writes here (restic)." enum:"pull,push,restic,organisation"`
	URL     *string  `help:"Source, without credentials." name:"url"`
	LFS     *bool    `help:"Deposit Git LFS objects too." name:"lfs" negatable:""`
	Exclude []string `help:"Ref name patterns to leave out, such as refs/pull/*; '' leaves out none."`
	HostKey string   `help:"File with the pinned SSH host key, one authorized_keys line." type:"existingfile"`
	Every   *string  `help:"Schedule, such as 15m or 24h; 0s ends it."`
	Rebase  *int     `help:"Increments after which a fresh full chain starts."`
}

func (moduleSetCmd) Help() string {
	return `What is not named stays as it is. Secrets set for one address are not sent to another: set them
again after changing --url to another host.`
}

func (c *moduleSetCmd) Run(ctx context.Context, s *streams) error {
	hostKey := ""
	if c.HostKey != "" {
		key, err := readFile(c.HostKey, maxKeyFile)
		if err != nil {
			return err
		}
		hostKey = string(key)
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	now, err := moduleStatus(ctx, cl, c.Arrangement, c.Module)
	if err != nil {
		return err
	}
	settings := client.ModuleSource{Mode: orNow(c.Mode, now.Mode), URL: orNow(c.URL, now.URL), LFS: orNow(c.LFS, now.LFS), Exclude: now.Exclude,
		HostKey: now.HostKey, Every: orNow(c.Every, now.Every), Rebase: orNow(c.Rebase, now.Rebase)}
	if hostKey != "" {
		settings.HostKey = hostKey
	}
	if c.Exclude != nil {
		settings.Exclude = slices.DeleteFunc(c.Exclude, func(pattern string) bool { return pattern == "" })
	}
	m, err := cl.ConfigureModule(ctx, c.Arrangement, c.Module, settings)
	if err != nil {
		return err
	}
	every := ""
	if m.Every != "" {
		every = ", every " + m.Every
	}
	return s.result(m, "module    %s: %s %s%s\n", m.ID, m.Mode, orDash(m.URL), every)
}

// orNow is what was asked for, or what there is.
func orNow[T any](asked *T, now T) T {
	if asked != nil {
		return *asked
	}
	return now
}

type moduleSecretCmd struct {
	scoped
	Module string `arg:"" help:"Module id."`
	Kind   string `help:"What it is." enum:"token,deploy_key,webhook_secret" default:"token"`
	From   string `help:"File that holds it; '-' reads standard input." required:""`
}

func (c *moduleSecretCmd) Run(ctx context.Context, s *streams) error {
	secret, err := readSecret(c.From, s.in, c.Kind != "deploy_key")
	if err != nil {
		return err
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.SetCredential(ctx, c.Arrangement, c.Module, client.Credential{Kind: c.Kind, Secret: string(secret)}); err != nil {
		return err
	}
	return s.result(map[string]string{"module": c.Module, "sealed": c.Kind}, "sealed    %s of module %s\n", c.Kind, c.Module)
}

const maxSecretFile = 32 << 10

// readSecret reads a secret from a file or a pipe, never from the command
// line, where every process of the machine could see it.
func readSecret(from string, in io.Reader, oneLine bool) ([]byte, error) {
	r := in
	if from != "-" {
		f, err := os.Open(from)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, escrow.Errorf(escrow.Missing, "%s does not exist", from).WithHint("check the path")
		}
		if err != nil {
			return nil, escrow.Errorf(escrow.Invalid, "%w", err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, maxSecretFile+1))
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "read the secret")
	}
	if len(data) > maxSecretFile {
		return nil, escrow.Errorf(escrow.Invalid, "the secret is larger than %d bytes", maxSecretFile)
	}
	for oneLine && len(data) > 0 && (data[len(data)-1] == '\n' || data[len(data)-1] == '\r') {
		data = data[:len(data)-1]
	}
	return data, nil
}

// syncCmd asks for a pull deposit now.
type syncCmd struct {
	scoped
	Module string        `arg:"" help:"Module id."`
	Wait   time.Duration `help:"Wait so long for the outcome." default:"0s"`
}

func (c *syncCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	before, err := moduleStatus(ctx, cl, c.Arrangement, c.Module)
	if err != nil {
		return err
	}
	asked, err := cl.AskForSync(ctx, c.Arrangement, c.Module)
	if err != nil {
		return err
	}
	if c.Wait == 0 {
		return s.result(map[string]string{"module": c.Module, "state": "queued"}, "queued    sync of module %s\n", c.Module)
	}
	limit := time.After(c.Wait)
	for {
		after, err := moduleStatus(ctx, cl, c.Arrangement, c.Module)
		if err != nil {
			return err
		}
		// One that was running when this was asked for may have read the
		// source too early to count.
		if after.LastTry != nil && !after.LastTry.Before(asked.RequestedAt) {
			return c.outcome(s, before, after)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			return escrow.Errorf(escrow.Unavailable, "the sync of module %s has not ended after %s", c.Module, c.Wait).
				WithHint("it goes on; 'holdfast module list' shows its outcome")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *syncCmd) outcome(s *streams, before, after client.Module) error {
	switch {
	case after.LastError != "":
		e := escrow.Errorf(escrow.Code(after.ErrorCode), "sync of module %s: %s", c.Module, after.LastError)
		if after.ErrorHint != "" {
			e = e.WithHint("%s", after.ErrorHint)
		}
		return e
	case s.json:
		return s.printJSON(after)
	case after.Mode == "organisation":
		fmt.Fprintf(s.out, "listed    module %s; 'holdfast module show %s' shows its repositories\n", c.Module, c.Module)
	case after.Latest == before.Latest:
		fmt.Fprintf(s.out, "unchanged module %s: deposit %d is up to date\n", c.Module, after.Latest)
	default:
		fmt.Fprintf(s.out, "deposited module %s: deposit %d\n", c.Module, after.Latest)
	}
	return nil
}

func moduleStatus(ctx context.Context, cl *client.Client, arrangement, module string) (client.Module, error) {
	list, err := cl.Modules(ctx, arrangement)
	if err != nil {
		return client.Module{}, err
	}
	for _, m := range list {
		if m.ID == module {
			return m, nil
		}
	}
	return client.Module{}, escrow.Errorf(escrow.NotFound, "arrangement %s has no module %q", arrangement, module)
}
