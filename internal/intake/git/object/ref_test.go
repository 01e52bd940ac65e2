package object_test

import (
	"os/exec"
	"strings"
	"testing"

	"holdfast/internal/intake/git/object"
)

// names are judged by Git itself in the test below.
func names() []string {
	list := []string{
		"refs/heads/main", "refs/heads/Feature/x", "refs/heads/feature/x", "refs/tags/V1", "refs/tags/v1",
		"refs/heads/-dash", "refs/heads/a-", "refs/heads/@", "refs/@/x", "refs/heads/a@b", "refs/heads/a@{b", "refs/heads/@{", "refs/heads/{",
		"refs/heads/.hidden", "refs/heads/a/.b", "refs/heads/a.", "refs/heads/a./b", "refs/heads/a..b", "refs/heads/a.b",
		"refs/heads/x.lock", "refs/heads/x.lock/y", "refs/heads/.lock", "refs/heads/x.LOCK", "refs/heads/x.lockx", "refs/x.lock",
		"refs/heads//x", "refs/heads/", "refs/", "refs//", "refs/heads/x/", "refs/stash", "refs/a",
		"refs/heads/HEAD", "refs/heads/refs/heads/x", "refs/pull/1/head", "refs/changes/01/1/1",
		"refs/heads/é", "refs/heads/日本", "refs/heads/\xff\xfe", "refs/heads/a\xa0b", "refs/heads/caf\xe9",
		"refs/heads/\u202eevil", "refs/heads/" + strings.Repeat("a", 200),
		"refs/heads/../../config", "refs/../config", "refs/heads/..", "refs/heads/.",
	}
	for c := range 256 {
		if c != 0 { // cannot be passed to a process
			list = append(list, "refs/heads/a"+string([]byte{byte(c)})+"b")
		}
	}
	return list
}

func TestCheckRefNameAgreesWithGit(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	for _, name := range names() {
		want := exec.Command(git, "check-ref-format", name).Run() == nil
		if got := object.CheckRefName(name); (got == nil) != want {
			t.Errorf("CheckRefName(%q) = %v; git accepts: %v", name, got, want)
		}
	}
}

func TestCheckRefNameOutsideRefs(t *testing.T) {
	for _, name := range []string{"HEAD", "heads/main", "", "/refs/heads/x", "Refs/heads/x", "config", "../refs/heads/x", "refs/heads/a\x00b",
		"refs/heads/" + strings.Repeat("a/", object.MaxRefName/2) + "a"} {
		if object.CheckRefName(name) == nil {
			t.Errorf("CheckRefName(%.40q) accepts", name)
		}
	}
}

func TestQuoteRef(t *testing.T) {
	for name, want := range map[string]string{
		"refs/heads/main":         "refs/heads/main",
		"refs/heads/é":            "refs/heads/é",
		"refs/heads/caf\xe9":      `refs/heads/caf\xe9`,
		"refs/heads/\u202eevil":   `refs/heads/\xe2\x80\xaeevil`,
		"refs/heads/\xef\xbf\xbd": "refs/heads/\xef\xbf\xbd", // a real U+FFFD is itself
		"a\\b\n\x1b[31m":          `a\\b\x0a\x1b[31m`,
		"":                        "",
	} {
		got := object.QuoteRef(name)
		if got != want {
			t.Errorf("QuoteRef(%q) = %q, want %q", name, got, want)
		}
		if back, err := object.UnquoteRef(got); err != nil || back != name {
			t.Errorf("UnquoteRef(%q) = %q, %v, want %q", got, back, err, name)
		}
	}
	for _, text := range []string{`a\xE9`, `a\x41`, `a\`, `a\x`, `a\x4`, `a\n`, "a\xe9", "a\x1b"} {
		if name, err := object.UnquoteRef(text); err == nil {
			t.Errorf("UnquoteRef(%q) = %q, want an error", text, name)
		}
	}
}

func FuzzQuoteRef(f *testing.F) {
	for _, n := range names() {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, name string) {
		back, err := object.UnquoteRef(object.QuoteRef(name))
		if err != nil || back != name {
			t.Errorf("UnquoteRef(QuoteRef(%q)) = %q, %v", name, back, err)
		}
		if got, err := object.UnquoteRef(name); err == nil && object.QuoteRef(got) != name {
			t.Errorf("QuoteRef(UnquoteRef(%q)) = %q", name, object.QuoteRef(got))
		}
	})
}
