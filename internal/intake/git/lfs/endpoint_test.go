package lfs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/lfs"
)

func TestFromHTTP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ repository, config, want string }{
		{"https://git.example/group/repo", "", "https://git.example/group/repo.git/info/lfs"},
		{"https://git.example/group/repo.git", "", "https://git.example/group/repo.git/info/lfs"},
		{"https://git.example/group/repo/", "", "https://git.example/group/repo.git/info/lfs"},
		{"http://127.0.0.1:3000/a%20b/repo", "", "http://127.0.0.1:3000/a%20b/repo.git/info/lfs"},
		{"https://git.example/r?x=1#y", "", "https://git.example/r.git/info/lfs"},
		{"https://git.example/r", "https://git.example/elsewhere/lfs/", "https://git.example/elsewhere/lfs"},
		{"https://git.example/r", "https://GIT.example.:443/elsewhere", "https://GIT.example.:443/elsewhere"},
		// A file of the repository does not send the token to another origin.
		{"https://git.example/r", "https://evil.example/lfs", "https://git.example/r.git/info/lfs"},
		{"https://git.example/r", "http://git.example/lfs", "https://git.example/r.git/info/lfs"},
		{"https://git.example/r", "https://git.example:8443/lfs", "https://git.example/r.git/info/lfs"},
		{"https://git.example/r", "https://x@git.example/lfs", "https://git.example/r.git/info/lfs"},
		{"https://git.example/r", "file:///etc/passwd", "https://git.example/r.git/info/lfs"},
		{"https://git.example/r", "https://git.example.evil.example/lfs", "https://git.example/r.git/info/lfs"},
	} {
		e, err := lfs.FromHTTP(c.repository, c.config, "u", "tok-CANARY")
		if err != nil || e.String() != c.want {
			t.Errorf("%s with %q: %v, %v; want %s", c.repository, c.config, e, err, c.want)
		}
		if text := fmt.Sprintf("%v %+v %#v", e, e, e); strings.Contains(text, "CANARY") || strings.Contains(text, "Basic") {
			t.Errorf("printing shows %s", text)
		}
		user, token, _ := (&http.Request{Header: e.Header}).BasicAuth()
		if user != "u" || token != "tok-CANARY" {
			t.Errorf("credential %s %s", user, token)
		}
	}
	for _, bad := range []string{"", "git://git.example/r", "ssh://git@git.example/r", "https:///r", "https://u:tok-CANARY@git.example/r", "/srv/r", "https://git.example:tok-CANARY/r"} {
		_, err := lfs.FromHTTP(bad, "", "", "")
		if escrow.CodeOf(err) != escrow.Invalid || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestFromSSH runs the command through a shell, as an ssh server does.
func TestFromSSH(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := "#!/bin/sh\nprintf '%s|' \"$@\" > " + filepath.Join(dir, "args") + "\ncat " + filepath.Join(dir, "answer") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "git-lfs-authenticate"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, command string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		return cmd.Output()
	}
	ask := func(path, answer string) (lfs.Endpoint, error) {
		if err := os.WriteFile(filepath.Join(dir, "answer"), []byte(answer), 0o644); err != nil {
			t.Fatal(err)
		}
		return lfs.FromSSH(t.Context(), run, path)
	}
	e, err := ask("/group/it's; touch owned #.git", `{"href":"https://lfs.example/group/repo/","header":{"Authorization":"RemoteAuth CANARY","Host":"evil"},"expires_in":600}`)
	if err != nil || e.String() != "https://lfs.example/group/repo" || e.Header.Get("Authorization") != "RemoteAuth CANARY" || len(e.Header) != 1 {
		t.Errorf("%v, %v", e, err)
	}
	if args, err := os.ReadFile(filepath.Join(dir, "args")); err != nil || string(args) != "group/it's; touch owned #.git|download|" {
		t.Errorf("the command was run with %s, %v", args, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "owned")); err == nil {
		t.Error("the path was run as a command")
	}
	for name, answer := range map[string]string{
		"text": "Welcome to the server!", "nothing": "", "no href": "{}", "file": `{"href":"file:///etc/passwd"}`,
		"in clear": `{"href":"http://lfs.example/r","header":{"Authorization":"x"}}`, "bad header": `{"href":"https://lfs.example/r","header":{"A b":"x"}}`,
		"line in header": `{"href":"https://lfs.example/r","header":{"A":"x\r\nB: y"}}`, "too long": `{"href":"` + strings.Repeat("x", 100<<10) + `"}`,
	} {
		if e, err := ask("r", answer); escrow.CodeOf(err) != escrow.Unavailable {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	if _, err := lfs.FromSSH(t.Context(), run, "a\nb"); escrow.CodeOf(err) != escrow.Invalid {
		t.Errorf("path with a line feed: %v", err)
	}
	failed := errors.New("no such command")
	if _, err := lfs.FromSSH(t.Context(), func(context.Context, string) ([]byte, error) { return nil, failed }, "r"); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	// A source without the command: everything is listed, nothing fails.
	v := newVault()
	r := fetch(t, lfs.Options{Create: v.Create, Client: http.DefaultClient, Wait: newServer(t).options(t, v).Wait, Endpoint: func(ctx context.Context) (lfs.Endpoint, error) {
		return lfs.FromSSH(ctx, func(context.Context, string) ([]byte, error) { return nil, failed }, "r")
	}}, want("object"))
	if reason(r, "object") == "" {
		t.Errorf("%+v", r)
	}
}

func TestConfigURL(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"[lfs]\n\turl = https://git.example/lfs\n", "https://git.example/lfs"},
		{"[LFS]\nURL=\"https://git.example/lfs\" ; a comment\n", "https://git.example/lfs"},
		{"[lfs] url = https://git.example/lfs # a comment\n", "https://git.example/lfs"},
		{"[lfs \"https://x\"]\nurl = no\n[remote \"origin\"]\nlfsurl = no\n", ""},
		{"[lfs]\nurl = a\nurl = b\n", "b"},
		{"# url = x\n[core]\nurl = y\n", ""},
		{"[lfs\nurl = y\n", ""},
		{"", ""},
	} {
		if got := lfs.ConfigURL([]byte(c.text)); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}
