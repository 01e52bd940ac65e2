package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/gittest"
)

// TestSyncs takes repositories through their lives by way of the server: what
// is deposited is what the source had, at every deposit.
func TestSyncs(t *testing.T) { eachEngine(t, checkSyncs) }

func checkSyncs(t *testing.T, in *installation) {
	in.ceremony(1)
	for _, s := range []struct {
		name string
		run  func(*testing.T, *installation)
	}{
		{"every transport", checkTransports},
		{"schedule", checkSchedule},
		{"history that is taken away", checkHistory},
		{"large file that is not at the source", checkLargeFiles},
		{"new chain after so many increments", checkRebase},
		{"empty source", checkEmptySource},
		{"lost and damaged state", checkLostState},
		{"many at once", checkManyAtOnce},
		{"sources that cannot be read", checkFailures},
		{"new epoch", checkNewEpoch}, // last: from then on every module has a new key
	} {
		t.Run(s.name, func(t *testing.T) {
			outer := in.t
			in.t = t
			defer func() { in.t = outer }()
			s.run(t, in)
		})
	}
}

func checkTransports(t *testing.T, in *installation) {
	for _, c := range []struct {
		module, format string
		serve          func(*gittest.Repo) (s client.ModuleSource, kind, secret string)
	}{
		{"r1", "sha256", func(r *gittest.Repo) (client.ModuleSource, string, string) {
			return client.ModuleSource{URL: r.Dir}, "", ""
		}},
		{"r2", "sha1", func(r *gittest.Repo) (client.ModuleSource, string, string) {
			s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2, Token: "the token"})
			return client.ModuleSource{URL: s.URL + "/" + r.Name()}, "token", "the token"
		}},
		{"r3", "sha1", func(r *gittest.Repo) (client.ModuleSource, string, string) {
			s := gittest.ServeSSH(t, r.Root(), gittest.SSHOptions{Version: gittest.V2})
			return client.ModuleSource{URL: s.URL("/" + r.Name()), HostKey: s.HostKeys[0]}, "deploy_key", s.ClientKey
		}},
		{"r4", "sha1", func(r *gittest.Repo) (client.ModuleSource, string, string) {
			return client.ModuleSource{URL: gittest.ServeDaemon(t, r.Root(), gittest.V2) + "/" + r.Name()}, "", ""
		}},
	} {
		module, r := c.module, newSource(t, c.format)
		source, kind, secret := c.serve(r)
		in.source(module, source)
		if kind != "" {
			if text := in.sync(module); text == "" {
				t.Errorf("%s: deposited without its %s", module, kind)
			}
			in.secret(module, kind, secret)
		}
		first := look(t, r)
		m := in.mustSync(module, 1)
		if m.Kind != "FULL" || m.Completeness != "complete" || m.By != "server" || m.Git.Refs != 4 || m.Git.Head != "refs/heads/main" {
			t.Errorf("%s: first deposit %+v %+v", module, m, m.Git)
		}
		in.mustSync(module, 1) // nothing has changed
		commit(t, r, 10)
		if m := in.mustSync(module, 2); m.Kind != "INCREMENTAL" || m.Git.FastForward != 1 || len(m.Git.Changes) != 0 {
			t.Errorf("%s: increment %+v %+v", module, m, m.Git)
		}
		in.restored(module, 1, first)
		in.restored(module, 2, look(t, r))
	}
	if n := len(in.acts(in.as("customer"), "sync.unchanged")); n != 4 {
		t.Errorf("%d syncs are recorded as unchanged, want 4", n)
	}
}

// checkSchedule: a module with a schedule is synced without being asked.
func checkSchedule(t *testing.T, in *installation) {
	r := newSource(t, "sha1")
	in.source("r5", client.ModuleSource{URL: r.Dir, Every: "100ms"})
	reached := func(n int) {
		t.Helper()
		waitFor(t, fmt.Sprintf("scheduled deposit %d", n), func() bool { return in.module("r5").Latest == n })
	}
	reached(1)
	commit(t, r, 10)
	reached(2)
	in.source("r5", client.ModuleSource{URL: r.Dir}) // no more schedule
	in.restored("r5", 2, look(t, r))
	if in.kinds("r5") != "FULL INCREMENTAL" {
		t.Errorf("deposits %s", in.kinds("r5"))
	}
}

// checkHistory: a vendor closes its source, see failures 01 and 02.
func checkHistory(t *testing.T, in *installation) {
	r := newSource(t, "sha1")
	r.SetRef(t, "refs/heads/Side", "refs/tags/v1^{}") // differs from side by letter case only
	in.source("r6", client.ModuleSource{URL: r.Dir})
	before := look(t, r)
	in.mustSync("r6", 1)
	tip := r.Git(t, "rev-parse", "main")

	orphan := r.CommitOn(t, "refs/heads/main", nil, map[string]string{"README": "closed"})
	r.Git(t, "tag", "-d", "v1", "light")
	r.Prune(t)
	closed := look(t, r)
	m := in.mustSync("r6", 2)
	want := map[string]string{
		"refs/heads/main": "rewritten " + tip + " " + orphan,
		"refs/tags/v1":    "deleted", "refs/tags/light": "deleted",
	}
	for _, c := range m.Git.Changes {
		if w := want[c.Ref]; w == "" || !strings.HasPrefix(c.Kind+" "+c.Old+" "+c.New, w) {
			t.Errorf("change %+v, want %q", c, w)
		}
		delete(want, c.Ref)
	}
	if len(want) > 0 {
		t.Errorf("not in the manifest: %v", want)
	}
	findings := in.acts(in.as("customer"), "finding.history")
	if len(findings) != 1 {
		t.Fatalf("the customer sees %d findings", len(findings))
	}
	for _, word := range []string{`"severity":"high"`, `"tags_lost":2`, `"count":3`, `"module":"r6"`, `"deposit":2`, "refs/heads/main", tip, orphan} {
		if !strings.Contains(data(t, findings[0]), word) {
			t.Errorf("the finding lacks %s: %s", word, data(t, findings[0]))
		}
	}

	// A new default branch: HEAD follows, and an old deposit keeps its own.
	r.SetRef(t, "refs/heads/trunk", "refs/heads/main")
	r.Git(t, "symbolic-ref", "HEAD", "refs/heads/trunk")
	r.Git(t, "update-ref", "-d", "refs/heads/main")
	m = in.mustSync("r6", 3)
	if m.Git.Head != "refs/heads/trunk" {
		t.Errorf("deposit 3 has HEAD %s", m.Git.Head)
	}
	moved := false
	for _, c := range m.Git.Changes {
		moved = moved || c.Kind == "head_moved"
	}
	if !moved {
		t.Errorf("no change of HEAD among %+v", m.Git.Changes)
	}
	first, _ := in.restored("r6", 1, before)
	if n := first.Git(t, "rev-list", "--count", "main"); n != "3" {
		t.Errorf("deposit 1 restores %s commits of main", n)
	}
	in.restored("r6", 2, closed)
	third, _ := in.restored("r6", 3, look(t, r))
	work := filepath.Join(t.TempDir(), "work")
	if _, err := gittest.Run(t.TempDir(), nil, "clone", "-q", third.Dir, work); err != nil {
		t.Errorf("a clone of deposit 3: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(work, "README")); string(text) != "closed" {
		t.Errorf("the clone has README %q, %v", text, err)
	}
}

// checkLargeFiles: see failure 03.
func checkLargeFiles(t *testing.T, in *installation) {
	r := gittest.NewRepo(t, "sha1")
	var large gittest.LFS
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2}, large.Middleware)
	in.source("r7", client.ModuleSource{URL: s.URL + "/" + r.Name(), LFS: true})
	one, _ := large.Add("version one of the film")
	r.Commit(t, "refs/heads/main", map[string]string{"film.bin": one})
	if m := in.mustSync("r7", 1); m.Git.LFSHeld != 1 || m.Completeness != "complete" {
		t.Errorf("deposit 1: %+v %s", m.Git, m.Completeness)
	}
	two, held := large.Add("version two of the film, longer")
	gone, missing := large.Add("a song that the server has lost")
	large.Remove(missing)
	large.Asked()
	r.Commit(t, "refs/heads/main", map[string]string{"film.bin": two, "song.bin": gone})
	m := in.mustSync("r7", 2)
	if m.Completeness != "incomplete" || m.Git.LFSHeld != 2 || m.Git.LFSMissing != 1 || len(m.Missing) != 1 || !strings.Contains(m.Missing[0], missing) {
		t.Errorf("deposit 2: %s %q %+v", m.Completeness, m.Missing, m.Git)
	}
	if asked := large.Asked(); len(asked) != 1 || asked[0] != held {
		t.Errorf("downloaded %v, want the new one only", asked)
	}
	found := in.acts(in.as("customer"), "finding.incomplete")
	if len(found) != 1 || !strings.Contains(data(t, found[0]), missing) {
		t.Errorf("the customer sees %d findings", len(found))
	}
	at := look(t, r)
	if _, report := in.restored("r7", 2, at); report.LFS.Held != 2 || len(report.LFS.Missing) != 1 || report.LFS.Missing[0].OID != missing {
		t.Errorf("restored with %+v", report.LFS)
	}
	// It turns up later, with nothing else changed.
	large.Add("a song that the server has lost")
	if m := in.mustSync("r7", 3); m.Completeness != "complete" || m.Git.LFSHeld != 3 {
		t.Errorf("deposit 3: %s %+v", m.Completeness, m.Git)
	}
	in.mustSync("r7", 3)
	if _, report := in.restored("r7", 3, at); report.LFS.Held != 3 || len(report.LFS.Missing) != 0 {
		t.Errorf("restored with %+v", report.LFS)
	}
}

func checkRebase(t *testing.T, in *installation) {
	r := newSource(t, "sha1")
	in.source("r8", client.ModuleSource{URL: r.Dir, Rebase: 2})
	var life []seen
	for i := range 5 {
		commit(t, r, 10+i)
		life = append(life, look(t, r))
		in.mustSync("r8", i+1)
	}
	if got := in.kinds("r8"); got != "FULL INCREMENTAL INCREMENTAL FULL INCREMENTAL" {
		t.Errorf("deposits %s", got)
	}
	for i, want := range life {
		in.restored("r8", i+1, want)
	}
}

// checkEmptySource: a repository without a commit is deposited once, not at
// every look.
func checkEmptySource(t *testing.T, in *installation) {
	r := gittest.NewRepo(t, "sha1")
	in.source("r9", client.ModuleSource{URL: r.Dir})
	in.mustSync("r9", 1)
	in.mustSync("r9", 1)
	r.Commit(t, "refs/heads/main", map[string]string{"a": "1"})
	in.mustSync("r9", 2)
	in.restored("r9", 2, look(t, r))
}

// checkLostState: what the server remembers between deposits is convenience.
// Without it the next deposit is a full one, whatever is wrong with it.
func checkLostState(t *testing.T, in *installation) {
	r := newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: r.Dir})
	number := in.module("r1").Latest + 1
	in.mustSync("r1", number) // nothing in common with the source before, if there was one
	for i, c := range []struct {
		name string
		hurt func(state, segment string) error
	}{
		{"state removed", func(state, _ string) error { return os.Remove(state) }},
		{"set removed", func(_, segment string) error { return os.Remove(segment) }},
		{"state damaged in its header", func(state, _ string) error { return flip(state, 40) }},
		{"state damaged in its content", func(state, _ string) error { return flip(state, -40) }},
		{"state emptied", func(state, _ string) error { return os.Truncate(state, 0) }},
		{"set cut off", func(_, segment string) error { return os.Truncate(segment, 1700) }},
		{"set damaged at its end", func(_, segment string) error { return flip(segment, -1) }},
	} {
		base := in.sourceState("r1")
		if err := c.hurt(in.objectPath(base.State), in.objectPath(base.Segments[0])); err != nil {
			t.Fatal(err)
		}
		commit(t, r, 10+i)
		number++
		if m := in.mustSync("r1", number); m.Kind != "FULL" {
			t.Errorf("%s: the next deposit is %s", c.name, m.Kind)
		}
		commit(t, r, 100+i)
		number++
		if m := in.mustSync("r1", number); m.Kind != "INCREMENTAL" {
			t.Errorf("%s: the deposit after the next is %s", c.name, m.Kind)
		}
	}
	in.restored("r1", number, look(t, r))
	// Damage in the middle of a large set shows only when the ids there are
	// asked for.
	files := map[string]string{}
	for n := range 9000 {
		files[fmt.Sprintf("many/%d", n)] = fmt.Sprint(n)
	}
	r.Commit(t, "refs/heads/main", files)
	number++
	in.mustSync("r1", number)
	base := in.sourceState("r1")
	if err := flip(in.objectPath(base.Segments[0]), 100_000); err != nil {
		t.Fatal(err)
	}
	r.CommitOn(t, "refs/heads/side", []string{r.Git(t, "rev-parse", "main")}, map[string]string{"many/1": "changed"})
	number++
	m := in.mustSync("r1", number)
	if m.Kind != "FULL" || len(m.Git.Changes) != 1 || m.Git.Changes[0].Ref != "refs/heads/side" || m.Git.Changes[0].Kind != "rewritten" {
		t.Errorf("with a set that breaks in use: %s, changes %+v", m.Kind, m.Git.Changes)
	}
	in.restored("r1", number, look(t, r))
}

func (in *installation) sourceState(module string) escrow.SourceState {
	in.t.Helper()
	state, err := in.server.SourceState(in.t.Context(), arrangementID, module)
	if err != nil {
		in.t.Fatal(err)
	}
	return state
}

// flip changes a byte of a file, counted from its end when negative.
func flip(path string, at int64) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at += int64(len(data))
	}
	data[at] ^= 0x10
	return os.WriteFile(path, data, 0o600)
}

// checkManyAtOnce: two syncs of a module never make one deposit twice, nor
// leave a gap, even past the queue and its lease.
func checkManyAtOnce(t *testing.T, in *installation) {
	r := newSource(t, "sha1")
	in.source("r2", client.ModuleSource{URL: r.Dir})
	before := in.module("r2").Latest
	const rounds, at = 5, 4
	for i := range rounds {
		commit(t, r, 10+i)
		done := make(chan error, 2*at)
		for range at {
			go func() { done <- in.server.SyncNow(t.Context(), arrangementID, "r2") }()
			go func() { done <- in.admin.RequestSync(t.Context(), arrangementID, "r2") }()
		}
		for range 2 * at {
			if err := <-done; err != nil && escrow.CodeOf(err) != escrow.Conflict {
				t.Errorf("round %d: %v", i, err)
			}
		}
	}
	waitFor(t, "the last of the syncs", func() bool { return in.sync("r2") == "" })
	_, manifests := in.deposits("r2")
	if n := len(manifests) - before; n < 1 || n > rounds {
		t.Errorf("%d changes made %d deposits", rounds, n)
	}
	in.restored("r2", len(manifests), look(t, r))
}

// checkFailures: a source that cannot be read gives a status that names it
// and what to do, and no deposit; afterwards everything goes on.
func checkFailures(t *testing.T, in *installation) {
	r := newSource(t, "sha1")
	var sw gittest.Switch
	s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: gittest.V2}, sw.Middleware)
	url := s.URL + "/" + r.Name()
	in.source("r3", client.ModuleSource{URL: url})
	before := in.module("r3").Latest
	for _, fault := range []string{"cut=200", "corrupt=60", "corrupt-resealed=60", "omit=" + r.Git(t, "rev-parse", "main:grows"), "empty", "status=503", "redirect-fetch=http://127.0.0.1:1", "endless-progress"} {
		m, err := gittest.ParseFault(r.Dir, fault)
		if err != nil {
			t.Fatal(err)
		}
		sw.Set(m)
		if text := in.sync("r3"); text == "" || strings.Contains(text, "internal error") || !strings.Contains(text, url) {
			t.Errorf("%s: the status says %q", fault, text)
		}
		if n := in.module("r3").Latest; n != before {
			t.Fatalf("%s: there is a deposit %d", fault, n)
		}
	}
	if left, err := os.ReadDir(filepath.Join(in.config.ObjectsDir(), "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	sw.Set()
	in.mustSync("r3", before+1)
	in.restored("r3", before+1, look(t, r))
	if failed := in.acts(in.as("customer"), "sync.failed"); len(failed) < 8 {
		t.Errorf("%d failures are in the ledger", len(failed))
	}
}

// checkNewEpoch: a new key begins a new chain, so that its holders can open
// everything from there on, and nothing before.
func checkNewEpoch(t *testing.T, in *installation) {
	r := newSource(t, "sha1")
	in.source("code", client.ModuleSource{URL: r.Dir})
	first := look(t, r)
	in.mustSync("code", 1)
	in.ceremony(2)
	in.mustSync("code", 2) // although nothing has changed: the new holders have nothing yet
	commit(t, r, 10)
	in.mustSync("code", 3)
	_, manifests := in.deposits("code")
	if in.kinds("code") != "FULL FULL INCREMENTAL" || manifests[0].Epoch != 1 || manifests[1].Epoch != 2 || manifests[2].Epoch != 2 {
		t.Errorf("deposits %s", in.kinds("code"))
	}
	in.restored("code", 1, first)
	in.restored("code", 3, look(t, r))
	in.identities[2] = in.identity(1)
	if _, err := in.plain(manifests[1], manifests[1].Objects[0]); escrow.CodeOf(err) != escrow.WrongKey {
		t.Errorf("deposit 2 with the key of epoch 1: %v", err)
	}
	delete(in.identities, 2)
}

// TestLongChain restores a chain of increments made by the server one by one.
func TestLongChain(t *testing.T) { eachEngine(t, checkLongChain) }

func checkLongChain(t *testing.T, in *installation) {
	increments := 50
	if in.config.Database != "" {
		increments = 10 // the chain is the same on every engine
	}
	in.ceremony(1)
	r := newSource(t, "sha1")
	in.source("r1", client.ModuleSource{URL: r.Dir, Rebase: 1000})
	began := time.Now()
	at := map[int]seen{}
	for i := range 1 + increments {
		if i > 0 {
			commit(t, r, 10+i)
		}
		switch i % 10 {
		case 3:
			r.Tag(t, fmt.Sprint("t", i), "main")
		case 5:
			r.CommitOn(t, "refs/heads/topic", []string{r.Git(t, "rev-parse", "main~2")}, map[string]string{"topic": fmt.Sprint(i)}) // forced
		case 7:
			r.Git(t, "update-ref", "-d", "refs/heads/topic")
		}
		if err := in.server.SyncNow(t.Context(), arrangementID, "r1"); err != nil {
			t.Fatal(err)
		}
		at[i+1] = look(t, r)
	}
	made := time.Since(began)
	for _, n := range []int{1, increments/2 + 1, increments + 1} {
		in.restored("r1", n, at[n])
	}
	if got := in.kinds("r1"); got != "FULL"+strings.Repeat(" INCREMENTAL", increments) {
		t.Errorf("deposits %s", got)
	}
	t.Logf("%d deposits in %s", increments+1, made.Round(time.Millisecond))
}
