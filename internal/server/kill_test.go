package server_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/server"
)

// childEnv makes the test binary a server that is to be killed: its
// configuration as JSON.
const childEnv = "HOLDFAST_SERVER_TEST_CHILD"

// clockEnv names a file with how far the child's clock is off.
const clockEnv = "HOLDFAST_SERVER_TEST_CLOCK"

func offset(path string) time.Duration {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	d, err := time.ParseDuration(string(text))
	if err != nil {
		panic(err)
	}
	return d
}

// childLease lets the next process on a PostgreSQL take over soon. On SQLite
// it takes over at once.
const childLease = 4 * time.Second

// lease is that of child processes; HOLDFAST_RESCUE=1 leaves them the one that
// servers have, to measure how soon the work of a killed one goes on.
func lease() time.Duration {
	if os.Getenv("HOLDFAST_RESCUE") == "1" {
		return 0
	}
	return childLease
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := serveUntilKilled(text); err != nil {
			fmt.Fprintln(os.Stderr, "the server ended:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveUntilKilled is 'holdfast serve' that says where it listens.
func serveUntilKilled(text string) error {
	var c config.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	log, err := os.OpenFile(c.Data+".log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	o := server.Options{Log: slog.New(slog.NewJSONHandler(log, nil))}
	if path := os.Getenv(clockEnv); path != "" {
		o.Now = func() time.Time { return time.Now().Add(offset(path)) }
	}
	if c.Database != "" {
		o.Lease = lease()
	}
	srv, err := server.Open(context.Background(), c, o)
	if err != nil {
		return err
	}
	fmt.Println("serving http://" + srv.Addr())
	if err := srv.Run(context.Background()); err != nil {
		return err
	}
	return errors.New("without a reason")
}

// victim is an installation whose server runs in a process of its own.
type victim struct {
	*installation
	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended, for whatever reason
	tokens map[string]string
	clock  string // see clockEnv; may be ""
}

// begin starts the process.
func (v *victim) begin() {
	v.t.Helper()
	url, err := v.launch()
	if err != nil {
		v.t.Fatal(err)
	}
	v.serves(url)
}

// launch starts the process and returns its address; it fails when the
// process ended before it served.
func (v *victim) launch() (string, error) {
	v.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		v.t.Fatal(err)
	}
	text, err := json.Marshal(v.config)
	if err != nil {
		v.t.Fatal(err)
	}
	v.cmd = exec.Command(exe)
	v.cmd.Env = append(os.Environ(), childEnv+"="+string(text), clockEnv+"="+v.clock)
	v.cmd.Stderr = os.Stderr
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cmd, ended := v.cmd, make(chan struct{})
	v.ended = ended
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "serving ")
	if err != nil || !ok {
		v.end()
		return "", fmt.Errorf("the server says %q, %w", line, err)
	}
	return url, nil
}

// serves is told where the process answers.
func (v *victim) serves(url string) {
	v.url = url
	if v.config.Role.Serves() {
		v.admin = v.party("admin")
	}
}

// kill ends the process as a loss of power to it would.
func (v *victim) kill() {
	v.t.Helper()
	v.signal(syscall.SIGKILL)
	<-v.ended
}

// end kills the process if there is one, and waits until it is gone.
func (v *victim) end() {
	if v.cmd != nil {
		v.cmd.Process.Kill()
		<-v.ended
	}
}

// gone reports whether the process has ended.
func (v *victim) gone() bool {
	select {
	case <-v.ended:
		return true
	default:
		return false
	}
}

func (v *victim) signal(s syscall.Signal) {
	v.t.Helper()
	if err := v.cmd.Process.Signal(s); err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) party(name string) *client.Client { return v.installation.client(v.tokens[name]) }

// promises is what the server has said is held.
type promises struct {
	mu    sync.Mutex
	held  map[string]map[int]string // digest by module and number
	doing string                    // what the depositor is at
}

func (p *promises) keep(t testing.TB, module string, number int, digest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[module] == nil {
		p.held[module] = map[int]string{}
	}
	if old := p.held[module][number]; old != "" && old != digest {
		t.Errorf("deposit %d of %s was %s and is %s", number, module, old, digest)
	}
	p.held[module][number] = digest
}

func (p *promises) count() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.held {
		n += len(m)
	}
	return n
}

func (p *promises) at(step string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = step
}

func (p *promises) now() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.doing
}

// TestKilledServer kills the server at random moments of deposits and looks
// at what it left: every deposit that was acknowledged is there, whole and
// unchanged, none is half there, and the next one works. HOLDFAST_KILLS says
// how often; PostgreSQL, where a successor has to wait for a lease, gets a
// quarter of it.
func TestKilledServer(t *testing.T) { eachEngine(t, checkKilledServer) }

func checkKilledServer(t *testing.T, in *installation) {
	kills := 12
	if text := os.Getenv("HOLDFAST_KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("HOLDFAST_KILLS is %q", text)
		}
		kills = n
	}
	if in.config.Database != "" {
		kills = max(kills/4, 3)
	}
	in.ceremony(1)
	v := &victim{installation: in, tokens: map[string]string{}}
	for _, party := range []string{"supplier", "customer"} {
		issued, err := in.admin.IssueToken(t.Context(), arrangementID, client.NewToken{Party: party, Person: party + "-1"})
		if err != nil {
			t.Fatal(err)
		}
		v.tokens[party] = issued.Token
	}
	token, err := os.ReadFile(in.server.AdminTokenFile())
	if err != nil {
		t.Fatal(err)
	}
	v.tokens["admin"] = strings.TrimSpace(string(token))
	pulled, pushed := newSource(t, "sha1"), newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: pulled.Dir, Rebase: 20})
	d := in.depositor(t, "r2", pushed)
	in.stop()
	t.Cleanup(func() {
		if v.cmd == nil {
			return
		}
		if t.Failed() {
			v.cmd.Process.Signal(syscall.SIGQUIT) // says on standard error what it is at
			time.Sleep(time.Second)
		}
		v.end()
		if t.Failed() {
			v.complaints()
		}
	})

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := &promises{held: map[string]map[int]string{}}
	d.doing = p.at
	var memory client.Memory
	hit := map[string]int{}
	torn, unseen := 0, 0
	v.begin()
	for n := 1; n <= kills; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		d.client = v.party("supplier")
		work.Go(func() { v.pull(ctx, pulled, p) })
		work.Go(func() { v.push(ctx, d, p) })
		v.wait(random)
		hit[p.now()]++
		v.kill()
		cancel()
		work.Wait()

		torn += min(v.leftovers(), 1)
		pins := remembered(t, memory)
		if _, err := server.Verify(t.Context(), v.config, server.Options{}, pins, nil); err != nil {
			t.Fatalf("kill %d: verify: %v", n, err)
		}
		v.begin()
		unseen += v.keepsPromises(p)
		if memory, _, err = v.admin.CheckLedger(t.Context(), memory); err != nil {
			t.Fatalf("kill %d: the ledger: %v", n, err)
		}
		// The next sync and the next push work, also when the last one died.
		latest := v.module("r1").Latest
		churn(t, pulled)
		v.syncAll(n)
		if now := v.module("r1").Latest; now <= latest {
			t.Fatalf("kill %d: the next sync made no deposit after %d", n, latest)
		}
		churn(t, pushed)
		d.client = v.party("supplier")
		if made, err := d.deposit(t.Context()); err != nil || made.Number == 0 {
			t.Fatalf("kill %d: the next push: %+v, %v", n, made, err)
		}
	}
	for module, r := range map[string]*gittest.Repo{"r1": pulled, "r2": pushed} {
		list, _ := v.deposits(module)
		v.restored(module, len(list), look(t, r))
	}
	v.kill()
	report, err := server.Verify(t.Context(), v.config, server.Options{}, remembered(t, memory), nil)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(v.config.Data + ".log")
	if err != nil {
		t.Fatal(err)
	}
	deaths := strings.Count(string(log), "a process died during a sync")
	t.Logf("%d kills: %d syncs were taken over by the next process, %d kills left a half-written object, the depositor was %v, %d deposits were made whose acknowledgement nobody saw",
		kills, deaths, torn, hit, unseen)
	t.Logf("%d deposits acknowledged, 0 lost; verified %d ledger entries and %d objects of %d bytes",
		len(p.held["r1"])+len(p.held["r2"]), report.Entries, report.Objects, report.Bytes)
}

// syncAll asks for a sync of r1 and waits until none is left to run. The first
// one that ends is not enough: a sync that was taken over from the process
// before may have read the source before its last change.
func (v *victim) syncAll(kill int) {
	v.t.Helper()
	asked := time.Now()
	if err := v.admin.RequestSync(v.t.Context(), arrangementID, "r1"); err != nil {
		v.t.Fatalf("kill %d: the next sync: %v", kill, err)
	}
	for !settled(v, asked) {
		if time.Since(asked) > 2*time.Minute {
			v.t.Fatalf("kill %d: the next sync has not been made: %s", kill, v.module("r1").LastError)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// complaints shows the last things that the killed servers complained of.
func (v *victim) complaints() {
	log, err := os.ReadFile(v.config.Data + ".log")
	if err != nil {
		v.t.Error(err)
	}
	var lines []string
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, `"level":"WARN"`) {
			lines = append(lines, line)
		}
	}
	db := v.raw(v.t)
	defer db.Close()
	for _, row := range texts(v.t, db, `SELECT id, state, attempt, kind, args, scheduled_at, attempted_at FROM river_job WHERE kind = 'sync' ORDER BY id DESC LIMIT 12`) {
		v.t.Log("job ", strings.Join(row, " "))
	}
	v.t.Logf("the last complaints of %d:\n%s", len(lines), strings.Join(lines[max(0, len(lines)-20):], ""))
}

// remembered are the states of the ledger that a client believed.
func remembered(t testing.TB, m client.Memory) []evidence.Pin {
	t.Helper()
	if m.Pin == "" {
		return nil
	}
	pin, err := evidence.ParsePin(m.Pin)
	if err != nil {
		t.Fatal(err)
	}
	return []evidence.Pin{pin}
}

// churn adds a commit with something in it that takes time to write.
func churn(t testing.TB, r *gittest.Repo) {
	t.Helper()
	noise := make([]byte, rand.IntN(100_000))
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	r.Commit(t, "refs/heads/main", map[string]string{"noise": hex.EncodeToString(noise) + "\n"})
}

// pull commits, asks for syncs and notes every deposit it is shown, until the
// server is gone.
func (v *victim) pull(ctx context.Context, r *gittest.Repo, p *promises) {
	admin := v.admin
	for i := 0; ctx.Err() == nil; i++ {
		if i%3 == 0 {
			churn(v.t, r)
		}
		if err := admin.RequestSync(ctx, arrangementID, "r1"); err != nil {
			return
		}
		list, err := admin.Deposits(ctx, arrangementID, "r1")
		if err != nil {
			return
		}
		for _, d := range list {
			p.keep(v.t, "r1", d.Number, d.Digest)
		}
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
	}
}

// push commits and pushes until the server is gone.
func (v *victim) push(ctx context.Context, d *depositor, p *promises) {
	for ctx.Err() == nil {
		churn(v.t, d.repo)
		made, err := d.deposit(ctx)
		switch {
		case err == nil:
			p.keep(v.t, "r2", made.Number, made.Digest)
		case ctx.Err() != nil, errors.Is(err, client.ErrUnreachable), code(err) == escrow.Internal: // it is gone
			return
		default:
			v.t.Errorf("push: %v", err)
			return
		}
	}
}

// wait waits for a moment to kill: any, or one at which something is written.
func (v *victim) wait(random *rand.Rand) {
	time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
	deadline := time.Now().Add(2 * time.Second)
	switch random.IntN(3) {
	case 0: // an object
		for time.Now().Before(deadline) && v.leftovers() == 0 {
			time.Sleep(200 * time.Microsecond)
		}
		time.Sleep(time.Duration(random.IntN(20_000)) * time.Microsecond)
	case 1: // the database
		if v.config.Database == "" {
			size := func() (n int64) {
				if info, err := os.Stat(v.config.SQLitePath() + "-wal"); err == nil {
					n = info.ModTime().UnixNano()
				}
				return n
			}
			for before := size(); time.Now().Before(deadline) && size() == before; {
				time.Sleep(200 * time.Microsecond)
			}
		}
		time.Sleep(time.Duration(random.IntN(3_000)) * time.Microsecond)
	}
}

// leftovers counts objects that are being written, or were.
func (v *victim) leftovers() int {
	entries, err := os.ReadDir(filepath.Join(v.config.ObjectsDir(), "tmp"))
	if err != nil {
		return 0
	}
	return len(entries)
}

// keepsPromises compares what is held with what was acknowledged. It returns
// how many deposits are there that nobody was told of.
func (v *victim) keepsPromises(p *promises) (unseen int) {
	v.t.Helper()
	return v.keepsPromisesAt(p, func(o evidence.ObjectEntry) error {
		info, err := os.Stat(v.objectPath(o.Name))
		if err == nil && info.Size() != o.Size {
			err = errors.New("it has another size")
		}
		return err
	})
}

// keepsPromisesAt is keepsPromises for objects that look has a look at.
func (v *victim) keepsPromisesAt(p *promises, look func(evidence.ObjectEntry) error) (unseen int) {
	v.t.Helper()
	keys, err := v.admin.ServerKeys(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	policy, err := evidence.NewPolicy(keys.Ledger, nil, 0)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, module := range []string{"r1", "r2"} {
		list, manifests := v.deposits(module)
		held := map[int]string{}
		for _, d := range list {
			held[d.Number] = d.Digest
		}
		for number, digest := range p.held[module] {
			if held[number] != digest {
				v.t.Errorf("deposit %d of %s was acknowledged as %s; there is %q", number, module, digest, held[number])
			}
		}
		for i, d := range list {
			for _, o := range manifests[i].Objects {
				if err := look(o); err != nil {
					v.t.Errorf("deposit %d of %s: object %s: %v", d.Number, module, o.Name, err)
				}
			}
			if p.held[module][d.Number] == "" {
				unseen++
			}
			if d.Number+3 < len(list) && p.held[module][d.Number] != "" {
				continue // its receipt was looked at in an earlier round
			}
			data, err := v.admin.Receipt(v.t.Context(), arrangementID, module, d.Number)
			if err != nil {
				v.t.Errorf("receipt of deposit %d of %s: %v", d.Number, module, err)
				continue
			}
			r, err := evidence.ParseReceipt(data)
			if err == nil {
				_, err = evidence.VerifyReceipt(r, policy, d.Digest)
			}
			if err != nil {
				v.t.Errorf("receipt of deposit %d of %s: %v", d.Number, module, err)
			}
			p.keep(v.t, module, d.Number, d.Digest)
		}
	}
	return unseen
}
