package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// Older versions lack --object-format (2.29) or the fixes to it that came at
// once after.
const minMajor, minMinor = 2, 30

// git runs stock git on one repository, in an environment that holds nothing
// of the person's: no configuration, no hooks, no prompts, no transports, no
// replacement objects.
type git struct {
	path string
	dir  string // GIT_DIR
	env  []string
}

// newGit finds git and asks for its version. home is an empty directory of
// the caller's, which also takes temporary files.
func newGit(ctx context.Context, path, gitDir, home string) (*git, string, error) {
	if path == "" {
		path = "git"
	}
	found, err := exec.LookPath(path)
	if err != nil {
		return nil, "", escrow.Wrap(err, escrow.Unavailable, "git was not found").
			WithHint("install git %d.%d or newer and see that it is in the PATH", minMajor, minMinor)
	}
	if found, err = filepath.Abs(found); err != nil {
		return nil, "", fmt.Errorf("git: %w", err)
	}
	null := os.DevNull
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "TMPDIR=" + home, "TMP=" + home, "TEMP=" + home,
		"LC_ALL=C", "TZ=UTC",
		"GIT_DIR=" + gitDir, "GIT_CEILING_DIRECTORIES=" + filepath.Dir(gitDir),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_SYSTEM=" + null, "GIT_CONFIG_GLOBAL=" + null, "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "GIT_ALLOW_PROTOCOL=", "GIT_PROTOCOL_FROM_USER=0",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0",
		// Refs are written as packed-refs below, whatever a future git prefers.
		"GIT_DEFAULT_REF_FORMAT=files",
	}
	for _, name := range []string{"SYSTEMROOT", "SystemDrive"} { // git for Windows does not start without
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	g := &git{path: found, dir: gitDir, env: env}
	out, err := g.output(ctx, "version")
	if err != nil {
		return nil, "", escrow.Wrap(err, escrow.Unavailable, "git could not be started").WithHint("try: git version")
	}
	version := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(out), "git version "))
	if !recent(version) {
		return nil, "", escrow.Errorf(escrow.Unavailable, "git %.40q is too old", version).
			WithHint("install git %d.%d or newer", minMajor, minMinor)
	}
	return g, version, nil
}

func recent(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > minMajor || major == minMajor && minor >= minMinor)
}

// gitError is a git command that ended with another status than 0.
type gitError struct {
	verb   string
	status int
	stderr string // its beginning
}

func (e *gitError) Error() string {
	said := firstLine(e.stderr)
	if said == "" {
		said = "no message"
	}
	return fmt.Sprintf("git %s ended with status %d: %s", e.verb, e.status, said)
}

// pipes are the streams of one command; each may be nil.
type pipes struct {
	in       io.Reader
	out, err io.Writer
}

// command runs one git command. It fails with a [gitError] when git does, and
// with the context's error when that ended first.
func (g *git) command(ctx context.Context, p pipes, args ...string) error {
	null := os.DevNull
	fixed := []string{
		"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.hooksPath=" + null, "-c", "core.fsmonitor=false",
		"-c", "core.protectHFS=true", "-c", "core.protectNTFS=true", "-c", "core.logAllRefUpdates=false",
		"-c", "protocol.allow=never", "-c", "submodule.recurse=false", "-c", "safe.directory=*",
	}
	cmd := exec.CommandContext(ctx, g.path, append(fixed, args...)...)
	cmd.Env, cmd.Dir = g.env, filepath.Dir(g.dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.in, p.out, p.err
	said := &head{limit: 64 << 10}
	if p.err == nil {
		cmd.Stderr = said
	}
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	switch exit, ok := errors.AsType[*exec.ExitError](err); {
	case ctx.Err() != nil:
		return fmt.Errorf("git %s: %w", args[0], ctx.Err())
	case ok:
		return &gitError{verb: args[0], status: exit.ExitCode(), stderr: said.String()}
	case err != nil:
		return fmt.Errorf("git %s: %w", args[0], err)
	}
	return nil
}

// output returns what a command printed, which must be short.
func (g *git) output(ctx context.Context, args ...string) (string, error) {
	out := &head{limit: 1 << 20}
	err := g.command(ctx, pipes{out: out}, args...)
	return out.String(), err
}

// head keeps the beginning of what is written to it and drops the rest.
type head struct {
	buf   bytes.Buffer
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	h.buf.Write(p[:min(len(p), h.limit-h.buf.Len())])
	return len(p), nil
}

func (h *head) String() string { return h.buf.String() }

// firstLine makes one short, printable line of what git said.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return printable(line, 300)
}

func printable(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "..."
	}
	return text
}
