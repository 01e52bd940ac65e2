package server_test

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/intake/git/gittest"
)

// patience is how long a test waits for what the server does by itself. It is
// never waited in full unless something is wrong.
const patience = 60 * time.Second

// waitFor fails the test when the condition does not come true. Time in which
// the whole machine stood still does not count.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	const look = 10 * time.Millisecond
	for waited := time.Duration(0); ; {
		began := time.Now()
		if condition() {
			return
		}
		if waited > patience {
			t.Fatalf("%s: not within %s", what, patience)
		}
		time.Sleep(look)
		waited += min(time.Since(began), 10*look)
	}
}

// source says where a module's material comes from.
func (in *installation) source(module string, s client.ModuleSource) {
	in.t.Helper()
	s.Mode = "pull"
	if _, err := in.as("supplier").ConfigureModule(in.t.Context(), arrangementID, module, s); err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) secret(module, kind, secret string) {
	in.t.Helper()
	if err := in.as("supplier").SetCredential(in.t.Context(), arrangementID, module, client.Credential{Kind: kind, Secret: secret}); err != nil {
		in.t.Fatal(err)
	}
}

// module returns where a module stands.
func (in *installation) module(id string) client.Module {
	in.t.Helper()
	list, err := in.admin.Modules(in.t.Context(), arrangementID)
	if err != nil {
		in.t.Fatal(err)
	}
	for _, m := range list {
		if m.ID == id {
			return m
		}
	}
	in.t.Fatalf("no module %s", id)
	return client.Module{}
}

// sync asks for a sync as the supplier would and waits for its end. It
// returns what the module's status says of it.
func (in *installation) sync(module string) string {
	in.t.Helper()
	before := in.module(module).LastTry
	if err := in.admin.RequestSync(in.t.Context(), arrangementID, module); err != nil {
		in.t.Fatal(err)
	}
	var m client.Module
	waitFor(in.t, "sync of "+module, func() bool {
		m = in.module(module)
		return m.LastTry != nil && (before == nil || m.LastTry.After(*before))
	})
	return m.LastError
}

// mustSync is a sync that makes the given deposit, or none when number is
// that of the latest.
func (in *installation) mustSync(module string, number int) *evidence.DepositManifest {
	in.t.Helper()
	if text := in.sync(module); text != "" {
		in.t.Fatalf("sync of %s: %s", module, text)
	}
	_, manifests := in.deposits(module)
	if len(manifests) != number {
		in.t.Fatalf("%s has %d deposits, want %d", module, len(manifests), number)
	}
	return manifests[number-1]
}

// newSource makes a repository with some history, like no other: two
// branches, tags and three commits on main.
func newSource(t testing.TB, format string) *gittest.Repo {
	t.Helper()
	r := gittest.NewRepo(t, format)
	r.Commit(t, "refs/heads/main", map[string]string{"name": rand.Text()})
	for i := range 2 {
		commit(t, r, i)
	}
	r.CommitOn(t, "refs/heads/side", []string{r.Git(t, "rev-parse", "main~1")}, map[string]string{"side": "1"})
	r.Tag(t, "v1", "main~1")
	r.SetRef(t, "refs/tags/light", "refs/heads/main")
	return r
}

// commit adds a commit to main that changes one file and adds one.
func commit(t testing.TB, r *gittest.Repo, i int) string {
	t.Helper()
	text := ""
	for n := range 50 + i {
		text += fmt.Sprintf("line %d of the file that grows\n", n)
	}
	return r.Commit(t, "refs/heads/main", map[string]string{"grows": text, fmt.Sprintf("dir%d/file%d", i%3, i): fmt.Sprintf("file %d\n", i)})
}
