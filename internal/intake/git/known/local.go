package known

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/pack"
)

// Local answers from a repository on this machine, for a depositor who has
// the repository at hand. It implements git.Known. It is not safe for
// concurrent use.
type Local struct {
	dir   string
	check *exec.Cmd // git cat-file --batch-check
	in    io.WriteCloser
	out   *bufio.Reader
	errs  bytes.Buffer
}

var _ git.Known = (*Local)(nil)

// OpenLocal starts to answer from the repository at dir.
func OpenLocal(ctx context.Context, dir string) (*Local, error) {
	l := &Local{dir: dir}
	l.check = l.git(ctx, "cat-file", "--batch-check=%(objecttype)")
	l.check.Stderr = &l.errs
	var err error
	if l.in, err = l.check.StdinPipe(); err != nil {
		return nil, fmt.Errorf("repository %s: %w", dir, err)
	}
	out, err := l.check.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", dir, err)
	}
	l.out = bufio.NewReader(out)
	if err := l.check.Start(); err != nil {
		return nil, escrow.Wrap(err, escrow.Unavailable, "git cannot be run").WithHint("install git")
	}
	return l, nil
}

// git prepares a command that reads nobody's configuration but the
// repository's and replaces no object by another.
func (l *Local) git(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--no-replace-objects", "-C", l.dir}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C",
		// The person who runs this named the repository; whose it is does not matter.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
	return cmd
}

// Close ends the git process.
func (l *Local) Close() error {
	if err := l.in.Close(); err != nil {
		return err
	}
	if err := l.check.Wait(); err != nil {
		return fmt.Errorf("repository %s: %w", l.dir, err)
	}
	return nil
}

// kindOf returns the type of an object, "" when the repository lacks it.
func (l *Local) kindOf(id object.OID) (string, error) {
	if _, err := fmt.Fprintf(l.in, "%s\n", id); err != nil {
		return "", l.broken(err)
	}
	return l.answer()
}

// answer reads what git says to one question.
func (l *Local) answer() (string, error) {
	line, err := l.out.ReadString('\n')
	if err != nil {
		return "", l.broken(err)
	}
	line = strings.TrimSuffix(line, "\n")
	if strings.HasSuffix(line, " missing") {
		return "", nil
	}
	return line, nil
}

func (l *Local) broken(err error) error {
	return escrow.Wrap(err, escrow.Unavailable, "repository %s: git stopped answering: %s", l.dir, strings.TrimSpace(l.errs.String()))
}

// Missing implements pack.Known.
func (l *Local) Missing(ctx context.Context, ids []object.OID) ([]object.OID, error) {
	// All questions are on their way while answers are read: one at a time,
	// every id would wait for two switches between processes.
	asked := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(l.in, 32<<10)
		for _, id := range ids {
			if _, err := w.WriteString(id.String() + "\n"); err != nil {
				asked <- err
				return
			}
		}
		asked <- w.Flush()
	}()
	var out []object.OID
	for _, id := range ids {
		kind, err := l.answer()
		if err != nil {
			return nil, err
		}
		if kind == "" {
			out = append(out, id)
		}
	}
	if err := <-asked; err != nil {
		return nil, l.broken(err)
	}
	return out, ctx.Err()
}

// With implements git.Known: what was packed came from this repository.
func (l *Local) With(*pack.Report) git.History { return l }

// IsCommit implements git.History.
func (l *Local) IsCommit(_ context.Context, id object.OID) (bool, error) {
	kind, err := l.kindOf(id)
	return kind == "commit", err
}

// IsAncestor implements history.Ancestry. A commit that the repository no
// longer has is nobody's ancestor there: what the source has thrown away
// counts as rewritten.
func (l *Local) IsAncestor(ctx context.Context, old, new object.OID) (bool, error) {
	if old == new {
		return true, nil
	}
	for _, id := range []object.OID{old, new} {
		if ok, err := l.IsCommit(ctx, id); err != nil || !ok {
			return false, err
		}
	}
	err := l.git(ctx, "merge-base", "--is-ancestor", old.String(), new.String()).Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() == 1 {
		return false, nil
	}
	if err != nil {
		return false, escrow.Wrap(err, escrow.Unavailable, "repository %s: git merge-base", l.dir)
	}
	return true, nil
}
