package git_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/wire"
)

// peak returns the most memory this process has had resident, in bytes.
func peak() int64 {
	data, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// measure is what a child process reports.
type measure struct {
	Streamed int64 // peak until the pack had arrived
	Peak     int64 // peak at the end
	Stored   int64
	Received int64
	Kind     string
	Took     time.Duration
}

const childURL = "HOLDFAST_TEST_MEMORY_URL"

// TestMemoryChild is the other process of the tests below: it deposits until
// its standard input ends, once for each line.
func TestMemoryChild(t *testing.T) {
	url := os.Getenv(childURL)
	if url == "" {
		t.Skip("runs as a child of the memory tests only")
	}
	c := newChain(t, nil, git.Source{Endpoint: wire.Endpoint{URL: url}})
	var m measure
	c.opts.Progress = func(int64) { m.Streamed = peak() }
	var line string
	for {
		if _, err := fmt.Scanln(&line); err != nil {
			return
		}
		m = measure{}
		start := time.Now()
		r, err := c.sync()
		if err != nil {
			t.Fatal(err)
		}
		m.Took, m.Peak, m.Kind, m.Received = time.Since(start), peak(), string(r.Kind), r.Stats.Received
		for _, o := range r.Objects {
			m.Stored += o.Size
		}
		out, _ := json.Marshal(m)
		fmt.Printf("measure %s\n", out)
	}
}

// child starts a process that deposits url each time the function is called.
func child(t *testing.T, url string) func() measure {
	t.Helper()
	if peak() == 0 {
		t.Skip("this system does not tell the memory of a process")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestMemoryChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), childURL+"="+url)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	var text bytes.Buffer
	return func() measure {
		t.Helper()
		fmt.Fprintln(in, "go")
		buf := make([]byte, 64<<10)
		for {
			n, err := out.Read(buf)
			text.Write(buf[:n])
			for {
				line, rest, ok := bytes.Cut(text.Bytes(), []byte("\n"))
				if !ok {
					break
				}
				report, isReport := bytes.CutPrefix(line, []byte("measure "))
				left := bytes.Clone(rest)
				var m measure
				if isReport {
					if err := json.Unmarshal(report, &m); err != nil {
						t.Fatal(err)
					}
				}
				text.Reset()
				text.Write(left)
				if isReport {
					return m
				}
			}
			if err != nil {
				t.Fatalf("the child ended: %v\n%s", err, text.String())
			}
		}
	}
}

// A large file passes through a small amount of memory.
func TestMemoryStreaming(t *testing.T) {
	r := gittest.NewRepo(t, "sha1")
	random := rand.New(rand.NewPCG(1, 2))
	files := map[string]string{}
	for i := range 8 {
		data := make([]byte, 4<<20)
		for j := range data {
			data[j] = byte(random.Uint32())
		}
		files[fmt.Sprint("f", i)] = string(data)
	}
	r.Commit(t, "refs/heads/main", files)
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2})
	m := child(t, s.URL+"/"+r.Name())()
	t.Logf("32 MiB: %.1f MiB while streaming, %.1f MiB with the check, %v", float64(m.Streamed)/(1<<20), float64(m.Peak)/(1<<20), m.Took)
	if m.Stored < 30<<20 || m.Streamed == 0 {
		t.Fatalf("%+v", m)
	}
	if m.Streamed > 32<<20 {
		t.Errorf("%d bytes resident while streaming, more than 32 MiB", m.Streamed)
	}
	if m.Peak > 200<<20 {
		t.Errorf("%d bytes resident, more than 200 MiB", m.Peak)
	}
}

// 100,000 refs on 20,000 commits: the first deposit, one without change, and
// one with a commit more.
func TestMemoryManyRefs(t *testing.T) {
	const refs, commits = 100_000, 20_000
	r := gittest.NewRepo(t, "sha1")
	var in bytes.Buffer
	for i := range commits {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata 0\nM 100644 inline f\ndata %d\n%d\n", i, len(fmt.Sprint(i)), i)
	}
	r.Feed(t, in.String(), "fast-import", "--quiet")
	list := strings.Fields(r.Git(t, "rev-list", "main"))
	var packed bytes.Buffer
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n" + list[0] + " refs/heads/main\n")
	for i := range refs - 1 {
		fmt.Fprintf(&packed, "%s refs/pull/%06d/head\n", list[i%commits], i)
	}
	if err := os.WriteFile(filepath.Join(r.Dir, "packed-refs"), packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Git(t, "update-ref", "-d", "refs/heads/none")
	for _, v := range []gittest.Version{gittest.V2, gittest.V0} {
		s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: v})
		deposit := child(t, s.URL+"/"+r.Name())
		for _, step := range []struct {
			what string
			kind escrow.DepositKind
		}{{"first", escrow.FullDeposit}, {"unchanged", ""}, {"one commit", escrow.IncrementalDeposit}} {
			if step.kind == escrow.IncrementalDeposit {
				r.Commit(t, "refs/heads/main", map[string]string{"f": fmt.Sprint("more ", v)})
			}
			m := deposit()
			t.Logf("v%d %s: %.1f MiB, %d bytes stored, %d received, %v", v, step.what, float64(m.Peak)/(1<<20), m.Stored, m.Received, m.Took)
			if m.Kind != string(step.kind) {
				t.Errorf("%s: kind %q", step.what, m.Kind)
			}
			if m.Peak > 128<<20 {
				t.Errorf("%s: %d bytes resident, more than 128 MiB", step.what, m.Peak)
			}
			if step.kind == escrow.IncrementalDeposit && m.Stored > 8<<10 {
				t.Errorf("one commit takes %d bytes", m.Stored)
			}
		}
	}
}
