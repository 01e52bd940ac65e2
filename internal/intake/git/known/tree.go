package known

import (
	"context"
	"errors"
	"os/exec"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/object"
)

// Paths returns the paths of the files and directories of a commit. What a
// submodule mounts is not among them: its content is a deposit of its own.
func (l *Local) Paths(ctx context.Context, commit object.OID) ([]string, error) {
	out, err := l.git(ctx, "ls-tree", "-r", "-t", "-z", "--full-tree", commit.String()).Output()
	if err != nil {
		said := ""
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			said = strings.TrimSpace(string(e.Stderr))
		}
		return nil, escrow.Wrap(err, escrow.Unavailable, "repository %s: git does not list commit %s: %s", l.dir, commit, said)
	}
	var paths []string
	for line := range strings.SplitSeq(string(out), "\x00") { // "mode type id\tpath"
		about, path, ok := strings.Cut(line, "\t")
		if ok && !strings.Contains(about, " commit ") {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
