package git_test

import (
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/wire"
)

// ways are the servers that the edge cases are walked through on. Every
// transport and protocol by itself is tested in package wire.
func ways() map[string]func(*testing.T, *gittest.Repo) git.Source {
	http := func(v gittest.Version) func(t *testing.T, r *gittest.Repo) git.Source {
		return func(t *testing.T, r *gittest.Repo) git.Source {
			s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: v, Token: "tok-CANARY"})
			return git.Source{Endpoint: wire.Endpoint{URL: s.URL + "/" + r.Name(), Token: "tok-CANARY"}}
		}
	}
	return map[string]func(*testing.T, *gittest.Repo) git.Source{
		"http v2": http(gittest.V2), "http v1": http(gittest.V1), "http v0": http(gittest.V0),
		"git v0": func(t *testing.T, r *gittest.Repo) git.Source {
			return git.Source{Endpoint: wire.Endpoint{URL: gittest.ServeDaemon(t, r.Root(), gittest.V0) + "/" + r.Name()}}
		},
		"ssh v2": func(t *testing.T, r *gittest.Repo) git.Source {
			s := gittest.OpenSSH(t, true)
			return git.Source{Endpoint: wire.Endpoint{URL: s.URL(r.Dir), Key: wire.Secret(s.ClientKey), HostKeys: s.HostKeys[0]}}
		},
		"local": func(_ *testing.T, r *gittest.Repo) git.Source {
			return git.Source{Endpoint: wire.Endpoint{URL: r.Dir}}
		},
	}
}

// TestEdgeCases walks a repository through everything that can become of
// refs, deposits after each step, and restores each deposit with stock git.
func TestEdgeCases(t *testing.T) {
	for name, way := range ways() {
		for _, format := range []string{"sha1", "sha256"} {
			if format == "sha256" && name != "http v2" && name != "http v0" {
				continue // what differs is in the protocol, not in how it travels
			}
			t.Run(format+" "+name, func(t *testing.T) {
				r := gittest.NewRepo(t, format)
				edgeCases(t, newChain(t, r, way(t, r)), strings.HasSuffix(name, "v0") || strings.HasSuffix(name, "v1"))
			})
		}
	}
}

func edgeCases(t *testing.T, c *chain, old bool) {
	r := c.repo
	const full, increment = escrow.FullDeposit, escrow.IncrementalDeposit
	step := func(name string, kind escrow.DepositKind, do func()) *git.Result {
		t.Helper()
		do()
		result := c.deposit(kind)
		if t.Failed() {
			t.Fatalf("after the step %q", name)
		}
		if again, err := c.sync(); err != nil || !again.Unchanged || len(again.Objects) != 0 {
			t.Fatalf("after the step %q a second sync is not without change: %+v, %v", name, again, err)
		}
		return result
	}
	if !old || r.Format == "sha1" {
		// Protocol v0 does not say which format an empty repository has.
		step("empty", full, func() {})
	}
	var first, tip string
	step("first commits", full, func() {
		first = r.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("line\n", 500), "dir/b": "2"})
		r.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("line\n", 500) + "more"})
	})
	result := step("one commit", increment, func() { r.Commit(t, "refs/heads/main", map[string]string{"dir/b": "3"}) })
	if result.Summary.Objects != 4 {
		t.Errorf("one commit in a sub-directory came as %d objects", result.Summary.Objects)
	}
	step("names that differ by case", increment, func() {
		r.SetRef(t, "refs/heads/Feature/x", r.Commit(t, "refs/heads/feature/x", map[string]string{"x": "1"}))
		r.Commit(t, "refs/heads/feature/x", map[string]string{"x": "2"})
		r.SetRef(t, "refs/tags/V1", first)
		r.SetRef(t, "refs/tags/v1", "refs/heads/main")
		r.SetRef(t, "refs/heads/caf\xe9", first)
	})
	step("tags of everything", increment, func() {
		r.Tag(t, "annotated", "refs/heads/main")
		r.Tag(t, "nested", "refs/tags/annotated")
		r.Tag(t, "blob", "refs/heads/main:a")
		r.Tag(t, "tree", "refs/heads/main^{tree}")
		r.SetRef(t, "refs/tags/lightblob", "refs/heads/main:dir/b")
	})
	step("refs of a forge", increment, func() {
		r.SetRef(t, "refs/pull/7/head", r.CommitOn(t, "refs/heads/tmp", []string{first}, map[string]string{"p": "r"}))
		r.Git(t, "update-ref", "-d", "refs/heads/tmp")
		r.SetRef(t, "refs/changes/01/1/1", first)
	})
	result = step("submodule", increment, func() {
		tip = r.Commit(t, "refs/heads/main", map[string]string{"lib/sub": "gitlink " + first, ".gitmodules": "[submodule \"sub\"]\n\tpath = lib/sub\n\turl = https://example.org/sub.git\n"})
	})
	if result.Summary.Submodules != 1 || result.Completeness() != escrow.Incomplete || len(result.Objects) != 2 || result.Objects[1].Role != git.RoleReport {
		t.Errorf("a submodule gives %+v, objects %+v, missing %q", result.Summary, result.Objects, result.Missing)
	}
	if result = step("on with the submodule", increment, func() { r.Commit(t, "refs/heads/other", map[string]string{"n": "1"}) }); len(result.Objects) != 1 || len(result.Missing) != 1 {
		t.Errorf("the list has not changed: objects %+v, missing %q", result.Objects, result.Missing)
	}
	step("replaced and symbolic refs", increment, func() {
		r.Git(t, "replace", first, r.Git(t, "rev-parse", "refs/heads/other"))
		r.Git(t, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/other")
	})
	step("moved back", increment, func() { r.SetRef(t, "refs/heads/main", first) })
	step("forward again", increment, func() { r.SetRef(t, "refs/heads/main", tip) })
	step("tag moved", increment, func() { r.Tag(t, "annotated", first) })
	step("deleted", increment, func() { r.Git(t, "update-ref", "-d", "refs/heads/Feature/x") })
	step("a directory becomes a ref", increment, func() {
		r.Git(t, "update-ref", "-d", "refs/heads/feature/x")
		r.SetRef(t, "refs/heads/feature", first)
	})
	step("HEAD moved", increment, func() { r.Git(t, "symbolic-ref", "HEAD", "refs/heads/feature") })
	step("HEAD detached", increment, func() { r.Git(t, "update-ref", "--no-deref", "HEAD", tip) })
	step("HEAD detached at a commit of its own", increment, func() {
		r.Git(t, "update-ref", "--no-deref", "HEAD", r.CommitOn(t, "refs/heads/tmp", []string{tip}, map[string]string{"h": "1"}))
		r.Git(t, "update-ref", "-d", "refs/heads/tmp")
	})
	step("default branch renamed", increment, func() {
		r.SetRef(t, "refs/heads/trunk", "refs/heads/main")
		r.Git(t, "symbolic-ref", "HEAD", "refs/heads/trunk")
		r.Git(t, "update-ref", "-d", "refs/heads/main")
	})
	step("force-push of an orphan, tags gone", increment, func() {
		r.CommitOn(t, "refs/heads/trunk", nil, map[string]string{"README": "closed"})
		for name := range strings.FieldsSeq(r.Git(t, "for-each-ref", "--format=%(refname)", "refs/tags")) {
			r.Git(t, "update-ref", "-d", name)
		}
	})
	step("all branches rewritten, a tag keeps what was", increment, func() {
		r.Tag(t, "last", r.CommitOn(t, "refs/heads/tmp", nil, map[string]string{"t": "1"}))
		r.Git(t, "update-ref", "-d", "refs/heads/tmp")
		c.deposit(increment)
		for name := range strings.FieldsSeq(r.Git(t, "for-each-ref", "--format=%(refname)")) {
			if name != "refs/tags/last" {
				r.Git(t, "update-ref", "-d", name)
			}
		}
		r.CommitOn(t, "refs/heads/trunk", nil, map[string]string{"README": "almost new"})
		r.Prune(t)
	})
	step("everything else rewritten and forgotten by the source", full, func() {
		for name := range strings.FieldsSeq(r.Git(t, "for-each-ref", "--format=%(refname)")) {
			r.Git(t, "update-ref", "-d", name)
		}
		r.CommitOn(t, "refs/heads/trunk", nil, map[string]string{"README": "new history"})
		r.Prune(t)
	})
	step("and on", increment, func() { r.Commit(t, "refs/heads/trunk", map[string]string{"a": "again"}) })
	if !old {
		step("HEAD names nothing", increment, func() { r.Git(t, "symbolic-ref", "HEAD", "refs/heads/nowhere") })
		step("all refs deleted", increment, func() { r.Git(t, "update-ref", "-d", "refs/heads/trunk") })
		step("and one again", full, func() { r.Commit(t, "refs/heads/trunk", map[string]string{"z": "z"}) })
	}
}
