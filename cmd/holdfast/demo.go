package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"holdfast/internal/demo"
	"holdfast/internal/escrow"
)

// demoCmd runs the main job from beginning to end.
type demoCmd struct {
	Repo string `help:"Git repository to use, URL or path (default: the one this is run in)."`
	Once bool   `help:"End after the table (the default; it overrides --keep)."`
	Keep bool   `help:"Leave the server running after the table."`

	Cluster string `help:"Run it through the processes of this directory; see scripts/demo-cluster." type:"existingdir" hidden:""`
}

func (demoCmd) Help() string {
	return `From an empty directory to a released repository: agreement, key ceremony with
five trustees, two deposits, a release by three of them, opened with Holdfast and
again with stock tools only, and a flipped bit found. Exit 0 only if all of it held.`
}

func (c *demoCmd) Run(ctx context.Context, s *streams) error {
	repo := c.Repo
	if repo == "" {
		out, err := exec.CommandContext(ctx, "git", "rev-parse", "--absolute-git-dir").Output()
		if err != nil {
			return escrow.Errorf(escrow.Invalid, "this is not a Git repository").WithHint("name one with --repo URL|PATH")
		}
		repo = strings.TrimSpace(string(out))
	}
	if _, err := os.Stat(repo); err == nil { // the demo works in a directory of its own
		if repo, err = filepath.Abs(repo); err != nil {
			return err
		}
	}
	return demo.Run(ctx, demo.Config{Out: s.out, Repo: repo, Keep: c.Keep && !c.Once && c.Cluster == "", Cluster: c.Cluster,
		Holdfast: func(ctx context.Context, args []string, out, errw io.Writer) int {
			return run(ctx, args, strings.NewReader(""), out, errw)
		}})
}
