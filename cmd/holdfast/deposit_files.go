package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
)

// depositFilesCmd deposits directories, from a CI job or cron.
type depositFilesCmd struct {
	depositFlags
	Include     []string `help:"Patterns of files to deposit; without one, all."`
	Exclude     []string `help:"Patterns of files and directories to leave out."`
	ExcludeFrom string   `help:"File with patterns to leave out, one a line." type:"existingfile"`
	Rehash      bool     `help:"Read every file, also those whose size, times and inode are as before."`
	Full        bool     `help:"Make a deposit that stands alone."`
	Dirs        []string `arg:"" name:"dir" help:"Directories; each is deposited under its own name." type:"existingdir"`
}

func (depositFilesCmd) Help() string {
	return `The first deposit stands alone; the next ones hold what changed, down to the parts of a large
file. Everything is compressed and sealed here: the server sees neither content nor names.

A pattern without a slash is compared with names anywhere, one with a slash with the path below
DIR; ** stands for any number of directories, a slash at the end for directories only. Patterns
may also be set for the module with 'holdfast module set --exclude'.`
}

// garbageShare is how much garbage may lie beside what a deposit holds, in per
// cent of that, since it is made beside the work that the machine is there
// for. It is a share and not a limit: what is held grows with the number of
// files, and a collector that works against a limit below it never rests.
const garbageShare = 20

func (c *depositFilesCmd) Run(ctx context.Context, s *streams) error {
	patterns, err := c.patterns()
	if err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(garbageShare))
	return c.deposit(ctx, s, func(ctx context.Context, d *depositing, maker deposit.Maker, bar *progress) (*deposit.Made, error) {
		if c.Outbox == "" {
			maker.Objects = &straight{outbox: d.box, d: d}
		}
		made, err := maker.Files(ctx, d.base, files.Options{
			Roots: c.Dirs, Include: c.Include, Exclude: exclude(s, d.base.Module.Source, patterns), Rehash: c.Rehash, Full: c.Full,
			Progress: bar.of,
			Held: func(ctx context.Context, name string, size int64) (bool, error) {
				return d.client.HasObject(ctx, c.Arrangement, c.Module, name, size)
			},
		})
		bar.done()
		if err != nil {
			return nil, err
		}
		c.tell(s, made.Files)
		if made.Files.Unchanged {
			return nil, nil
		}
		return &made.Made, nil
	})
}

// tell says what is for the depositor's eyes only: names do not go into the
// manifest.
func (c *depositFilesCmd) tell(s *streams, r *files.Result) {
	const most = 20
	for i, line := range r.LeftOut {
		if i == most {
			fmt.Fprintf(s.err, "and %d more\n", len(r.LeftOut)-most)
			break
		}
		fmt.Fprintf(s.err, "note: %s\n", line)
	}
	if r.Outside > 0 {
		fmt.Fprintf(s.err, "note: %d symbolic links lead out of what is deposited; whoever opens it is asked what to do with them\n", r.Outside)
	}
	if r.Lost > 0 {
		fmt.Fprintf(s.err, "note: the server has lost %d objects of earlier deposits; what was in them is deposited again\n", r.Lost)
	}
}

func (c *depositFilesCmd) patterns() ([]string, error) {
	list := c.Exclude
	if c.ExcludeFrom == "" {
		return list, nil
	}
	f, err := os.Open(c.ExcludeFrom)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "%s", c.ExcludeFrom)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "%s", c.ExcludeFrom)
	}
	return list, nil
}
