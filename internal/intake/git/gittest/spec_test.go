package gittest_test

import (
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/intake/git/gittest"
)

// clone is what stock git makes of the server.
func clone(t *testing.T, url string) error {
	t.Helper()
	cmd := exec.Command("git", "clone", "-q", "--mirror", url, filepath.Join(t.TempDir(), "x.git"))
	cmd.Env = gittest.Env("GIT_TERMINAL_PROMPT=0", "GIT_HTTP_LOW_SPEED_LIMIT=1", "GIT_HTTP_LOW_SPEED_TIME=1")
	_, err := cmd.CombinedOutput()
	return err
}

// TestFaultsAreFaults: stock git clones from the server without a fault, and
// fails with each of them. A fault that nobody notices would prove nothing.
func TestFaultsAreFaults(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, spec := range []string{"", "cut=100", "stall=100", "corrupt=40", "corrupt=-1", "corrupt-resealed=40", "omit=BLOB", "empty", "vanish=refs/heads/side",
			"status=503", "status-fetch=503", "redirect=http://127.0.0.1:1", "redirect-fetch=http://127.0.0.1:1", "echo"} {
			if format == "sha256" && !strings.HasPrefix(spec, "corrupt") && spec != "" && spec != "empty" {
				continue
			}
			t.Run(format+" "+spec, func(t *testing.T) {
				r := gittest.NewRepo(t, format)
				r.Commit(t, "refs/heads/main", map[string]string{"a": strings.Repeat("line\n", 500)})
				r.CommitOn(t, "refs/heads/side", nil, map[string]string{"b": "2"})
				var faults []string
				if spec != "" {
					faults = []string{strings.Replace(spec, "BLOB", r.Git(t, "rev-parse", "main:a"), 1)}
				}
				h, err := gittest.Serve(r.Dir, gittest.HTTPOptions{Version: gittest.V2}, faults...)
				if err != nil {
					t.Fatal(err)
				}
				s := httptest.NewServer(h)
				defer s.Close()
				defer s.CloseClientConnections()
				if err := clone(t, s.URL+"/"+r.Name()); (err == nil) != (spec == "") {
					t.Errorf("git clone: %v", err)
				}
			})
		}
	}
	for _, spec := range []string{"nonsense", "cut", "cut=x"} {
		if _, err := gittest.ParseFault(t.TempDir(), spec); err == nil {
			t.Errorf("fault %q is taken", spec)
		}
	}
}
