package file_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/blob/file"
	"holdfast/internal/escrow"
)

// childEnv makes the test binary play a process that is to be killed or that
// stands in another's way.
const childEnv = "HOLDFAST_BLOB_TEST_CHILD"

func TestMain(m *testing.M) {
	role, dir, _ := strings.Cut(os.Getenv(childEnv), ":")
	switch role {
	case "":
		os.Exit(m.Run())
	case "write":
		fmt.Println("error:", writeForEver(dir))
	case "lock":
		if _, err := file.Lock(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("locked")
		io.Copy(io.Discard, os.Stdin)
	}
	os.Exit(1)
}

// writeForEver stores objects and prints the name of each one that has been
// acknowledged.
func writeForEver(dir string) error {
	s, err := file.Open(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], rand.Uint64())
	rng := rand.NewChaCha8(seed)
	for {
		data := make([]byte, rand.IntN(300_000))
		rng.Read(data)
		w, err := s.Create(ctx)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		name, _, err := w.Commit(ctx)
		if err != nil {
			return err
		}
		fmt.Println(name)
	}
}

// child starts the test binary in a role and returns its output.
func child(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner, io.Closer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+role+":"+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewScanner(out), in
}

// A process is killed at random moments while it writes. Whatever it said was
// stored is there and whole, nothing under a final name is ever partial, and
// the next start leaves no temporary file.
func TestKilledWhileWriting(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	dir := t.TempDir()
	acknowledged := 0
	for range rounds {
		cmd, lines, _ := child(t, "write", dir)
		timer := time.AfterFunc(20*time.Millisecond+rand.N(80*time.Millisecond), func() { cmd.Process.Kill() })
		var names []string
		for lines.Scan() {
			if !evidence.IsDigest(lines.Text()) {
				t.Fatal(lines.Text())
			}
			names = append(names, lines.Text())
		}
		timer.Stop()
		cmd.Wait()

		// Before any cleaning: the directory as the dead process left it.
		files, err := filepath.Glob(filepath.Join(dir, "??", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if evidence.Digest(data) != filepath.Base(path) {
				t.Fatalf("%s is partial: %d bytes with digest %s", path, len(data), evidence.Digest(data))
			}
		}
		s := open(t, dir)
		if left := temps(t, dir); len(left) != 0 {
			t.Fatalf("temporary files left after a restart: %v", left)
		}
		for _, name := range names {
			if _, err := s.Stat(t.Context(), name); err != nil {
				t.Fatalf("acknowledged and lost: %v", err)
			}
		}
		acknowledged += len(names)
		for _, path := range files {
			os.Remove(path)
		}
	}
	if acknowledged == 0 {
		t.Error("no object was acknowledged; the test proved nothing")
	}
	t.Logf("%d kills, %d acknowledged objects, all whole", rounds, acknowledged)
}

// A writer in another process must not lose its file to a process that starts.
func TestStartBesideALivingWriter(t *testing.T) {
	dir := t.TempDir()
	_, lines, _ := child(t, "write", dir)
	for range 20 {
		if !lines.Scan() || !evidence.IsDigest(lines.Text()) {
			t.Fatalf("the other process stopped: %q", lines.Text())
		}
		var s blob.Store = open(t, dir)
		if _, err := s.Stat(t.Context(), lines.Text()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecondProcessOnTheSameDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	cmd, lines, _ := child(t, "lock", dir)
	if !lines.Scan() || lines.Text() != "locked" {
		t.Fatalf("first process: %q", lines.Text())
	}
	_, err := file.Lock(dir)
	if escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), dir) ||
		!strings.Contains(err.Error(), fmt.Sprintf("process %d", cmd.Process.Pid)) {
		t.Fatalf("second process: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	lock, err := file.Lock(dir)
	if err != nil {
		t.Fatalf("after the first one was killed: %v", err)
	}
	if _, err := file.Lock(dir); escrow.CodeOf(err) != escrow.Conflict {
		t.Errorf("twice in one process: %v", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := file.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Unlock()
}
