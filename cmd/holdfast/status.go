package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"holdfast/internal/escrow"
	"holdfast/internal/status"
)

// statusCmd is about the public page that says how an application is.
type statusCmd struct {
	Publish  statusPublishCmd  `cmd:"" help:"Make the page public below /status/, or change who answers for it (agent, foundation)."`
	Withdraw statusWithdrawCmd `cmd:"" help:"Take the page from the public; what was said is kept."`
	Incident statusIncidentCmd `cmd:"" help:"Tell of an incident."`
	Update   statusUpdateCmd   `cmd:"" help:"Say more about an incident, or that it is over."`
	Export   statusExportCmd   `cmd:"" help:"Write a status page as static files, for another host."`
}

// statusExportCmd needs no server: the data of a page is enough, and where it
// comes from may be gone.
type statusExportCmd struct {
	From string `required:"" help:"Data of the page, as every status page has it in status.json; - for standard input."`
	To   string `required:"" help:"Directory to write to; files of an earlier export are replaced." type:"path"`
	Base string `help:"Address under which the page will be found, for the links of its feed."`
}

func (statusExportCmd) Help() string {
	return `The page, its feeds, badges and data in Dutch and English, without scripts: any web server or
bucket can serve them. From cron, every minute:

  curl -fsS https://escrow.example/status/APP/status.json | holdfast status export --from - --to DIR`
}

func (c statusExportCmd) Run(_ context.Context, s *streams) error {
	data, err := c.read(s.in)
	if err != nil {
		return err
	}
	page, err := status.Parse(data)
	if err != nil {
		return err
	}
	page.Base = c.Base
	pages, err := status.New()
	if err != nil {
		return err
	}
	files, err := pages.Files(page)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.To, 0o755); err != nil {
		return escrow.Wrap(err, escrow.Unavailable, "cannot make %s", c.To).WithHint("check that its parent exists and may be written")
	}
	var names []string
	for _, f := range files {
		// One after the other and each at once: a reader never meets half a file.
		if err := publish(filepath.Join(c.To, f.Name), f.Data); err != nil {
			return err
		}
		names = append(names, f.Name)
	}
	if s.json {
		return writeIndented(s.out, map[string]any{"directory": c.To, "files": names, "state": page.Overall(), "at": page.At})
	}
	fmt.Fprintf(s.out, "%s: %s, as of %s\n%d files in %s\n", page.Name, page.Overall(), page.At.In(page.Zone).Format("2006-01-02 15:04 MST"), len(names), c.To)
	return nil
}

// publish puts a file that everybody may read in the place of the one before.
func publish(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".status-*")
	if err != nil {
		return escrow.Wrap(err, escrow.Unavailable, "cannot write %s", path)
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return escrow.Wrap(errors.Join(err, os.Remove(tmp.Name())), escrow.Unavailable, "cannot write %s", path)
	}
	return nil
}

func (c statusExportCmd) read(in io.Reader) ([]byte, error) {
	if c.From != "-" {
		f, err := os.Open(c.From)
		if err != nil {
			return nil, escrow.Wrap(err, escrow.Missing, "cannot read the data of the page in %s", c.From)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, status.MaxData+1))
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Unavailable, "cannot read the data of the page")
	}
	return data, nil
}
