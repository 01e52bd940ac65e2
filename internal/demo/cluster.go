package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"holdfast/internal/escrow"
)

// An installation of several processes is started and ended by the script that
// runs the demo; the demo knows them by the files in one directory.

func (d *demo) join() error {
	d.title("A web process and two workers share one PostgreSQL and one S3 bucket")
	url, err := os.ReadFile(filepath.Join(d.Cluster, "url"))
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "the directory of the cluster")
	}
	d.url = strings.TrimSpace(string(url))
	d.stop = func() error {
		d.stop = nil
		return d.end(syscall.SIGTERM, "web", "worker1", "worker2")
	}
	d.say("each has a data directory of its own; the keys are one directory; requests go to %s", d.url)
	return nil
}

// killWorker ends one of the two workers as a crash would.
func (d *demo) killWorker() error {
	if d.Cluster == "" {
		return nil
	}
	if err := d.end(syscall.SIGKILL, "worker1"); err != nil {
		return err
	}
	d.say("one of the two workers was killed just now")
	return nil
}

// end sends a signal to processes and waits until they are gone. One that is
// gone already has ended.
func (d *demo) end(s syscall.Signal, names ...string) error {
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(d.Cluster, name+".pid"))
		if err != nil {
			return escrow.Wrap(err, escrow.Missing, "process %s of the cluster", name)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || pid <= 1 {
			return escrow.Errorf(escrow.Invalid, "process %s of the cluster has no number", name)
		}
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return escrow.Wrap(err, escrow.Unavailable, "end process %s", name)
		}
		for deadline := time.Now().Add(30 * time.Second); running(pid); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				return escrow.Errorf(escrow.Unavailable, "process %s does not end", name)
			}
		}
	}
	return nil
}

// running reports whether a process runs; one that has ended and that its
// parent has not asked after yet does not.
func running(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return syscall.Kill(pid, 0) == nil && !errors.Is(err, os.ErrNotExist)
	}
	_, state, ok := strings.Cut(string(text), ") ")
	return ok && !strings.HasPrefix(state, "Z")
}

// verify reads the stopped installation again.
func (d *demo) verify(ctx context.Context) (errs string, code int) {
	args := []string{"verify", "--data", d.data}
	if d.Cluster != "" {
		args = []string{"verify", "--config", filepath.Join(d.Cluster, "config.yaml")}
	}
	_, errs, code = d.try(ctx, args...)
	return errs, code
}

// objects is the directory below which the sealed objects lie.
func (d *demo) objects() string {
	if d.Cluster != "" {
		return filepath.Join(d.Cluster, "s3")
	}
	return filepath.Join(d.data, "objects")
}
