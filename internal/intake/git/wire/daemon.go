package wire

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// dialDaemon speaks git://, which has neither encryption nor credentials.
func dialDaemon(ctx context.Context, t *target, cfg Config, dog *watchdog) (transport, error) {
	conn, err := cfg.dial(ctx, t.addr)
	if err != nil {
		return nil, err
	}
	s := newStream(ctx, conn, conn, func() { conn.Close() }, nil, dog)
	// The parameter behind the second NUL asks for a protocol; an old server
	// does not look there.
	first := AppendPacket(nil, service, " ", t.path, "\x00host=", t.addr, "\x00\x00version=2\x00")
	if _, err := s.request(func(w io.Writer) error { _, err := w.Write(first); return err }); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// startLocal runs git upload-pack on a repository of this machine. The
// environment is made anew: inside a hook or a CI job the variables of
// another repository would otherwise be taken.
func startLocal(ctx context.Context, t *target, cfg Config, dog *watchdog) (transport, error) {
	if !cfg.AllowLocal {
		return nil, invalid("a repository on this machine may not be read").WithHint("a local path works where the repository is, with holdfast deposit git")
	}
	if _, err := os.Stat(t.path); err != nil {
		return nil, &remoteError{"no such file or directory"}
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, invalid("git is not installed here").WithHint("install git; a local repository is read through it")
	}
	ctx, cancel := context.WithCancel(ctx)
	// The caller named this path, so its owner is not asked for. upload-pack
	// is made to be safe on a repository one does not trust.
	cmd := exec.CommandContext(ctx, git, "-c", "safe.directory=*", "upload-pack", t.path)
	cmd.Dir = filepath.VolumeName(t.path) + string(filepath.Separator)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1",
		"GIT_PROTOCOL=version=2",
	}
	cmd.WaitDelay = 2 * time.Second
	said := &beginning{limit: 4 << 10}
	cmd.Stderr = said
	in, err1 := cmd.StdoutPipe()
	out, err2 := cmd.StdinPipe()
	if err := errors.Join(err1, err2); err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	return newStream(ctx, in, out, func() {
		cancel()
		out.Close()
		in.Close()
		_ = cmd.Wait() // it was told to stop; how it ended says nothing
	}, said.String, dog), nil
}
