package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"holdfast/internal/intake/git/gittest"
)

// command is what a script calls.
type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are what scripts have besides the stock commands.
func commands(t templates) map[string]command {
	list := map[string]command{
		// installed [FLAG…]: a server with the demo agreement, in ./server;
		// keys/PARTY.key, tokens/PARTY and agreement.yaml beside it.
		"installed": func(ts *testscript.TestScript, _ bool, args []string) {
			copyTemplate(ts, t.installed)
			installationOf(ts).start(ts, args...)
		},
		// sealed [FLAG…]: the same, with an active key for the materials;
		// deal/ and shares/PARTY beside it.
		"sealed": func(ts *testscript.TestScript, _ bool, args []string) {
			copyTemplate(ts, t.sealed)
			installationOf(ts).start(ts, args...)
		},
		"server-start": func(ts *testscript.TestScript, _ bool, args []string) { installationOf(ts).start(ts, args...) },
		"server-stop": func(ts *testscript.TestScript, _ bool, _ []string) {
			if err := installationOf(ts).end(syscall.SIGTERM); err != nil {
				ts.Fatalf("server: %v; its log says:\n%s", err, ts.ReadFile("server.log"))
			}
		},
		"server-kill": func(ts *testscript.TestScript, _ bool, _ []string) { _ = installationOf(ts).end(syscall.SIGKILL) },
		"released":    func(ts *testscript.TestScript, _ bool, args []string) { released(ts, args) },
		"approve":     func(ts *testscript.TestScript, _ bool, args []string) { approve(ts, args[0], args[1]) },
		"reshared":    func(ts *testscript.TestScript, _ bool, args []string) { takeReshared(ts, args) },
		"accept":      func(ts *testscript.TestScript, _ bool, args []string) { accept(ts, args) },
		"as":          func(ts *testscript.TestScript, _ bool, args []string) { succeeds(ts, append([]string{"as"}, args...)) },
		"fails":       fails,
		"waitfor":     waitFor,
		"json":        checkJSON,
		"setjson":     setFromJSON,
		"setfile": func(ts *testscript.TestScript, _ bool, args []string) {
			ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
		},
		"repository":   func(ts *testscript.TestScript, _ bool, args []string) { repository(ts, args) },
		"commit":       func(ts *testscript.TestScript, _ bool, args []string) { commit(ts, args[0], args[1], args[2]) },
		"registry":     func(ts *testscript.TestScript, _ bool, _ []string) { startRegistry(ts) },
		"push-image":   func(ts *testscript.TestScript, _ bool, args []string) { pushImage(ts, args[0], args[1]) },
		"valid-layout": func(ts *testscript.TestScript, _ bool, args []string) { validLayout(ts, args[0], args[1], args[2:]...) },
		"same-refs":    func(ts *testscript.TestScript, _ bool, args []string) { sameRefs(ts, args[0], args[1]) },
		"git-server":   func(ts *testscript.TestScript, _ bool, args []string) { gitServer(ts, args) },
		"forge":        func(ts *testscript.TestScript, _ bool, args []string) { startForge(ts, args) },
		"webhook":      func(ts *testscript.TestScript, _ bool, args []string) { webhook(ts, args) },
		"flip":         func(ts *testscript.TestScript, _ bool, args []string) { flip(ts, args) },
		"each-damaged": func(ts *testscript.TestScript, _ bool, args []string) { eachDamaged(ts, args[0]) },
		"largest":      func(ts *testscript.TestScript, _ bool, args []string) { largest(ts, args[0], args[1]) },
		"forge-card":   func(ts *testscript.TestScript, _ bool, args []string) { forgeCard(ts, args[0], args[1]) },
		"hollow":       func(ts *testscript.TestScript, _ bool, args []string) { hollow(ts, args[0], args[1]) },
		"liar":         func(ts *testscript.TestScript, _ bool, _ []string) { startLiar(ts) },
		"lie":          func(ts *testscript.TestScript, _ bool, args []string) { lie(ts, args[0]) },
		"nowhere":      func(ts *testscript.TestScript, _ bool, args []string) { nowhere(ts, args[0], args[1:]) },
	}
	for name, c := range list {
		negatable := name == "json"
		list[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg && !negatable {
				ts.Fatalf("%s cannot be negated; use fails", name)
			}
			c(ts, neg, args)
		}
	}
	return list
}

// transcript collects everything that holdfast printed in a script, for
// nowhere to look through.
const transcript = "transcript"

// try runs "as PARTY ARG…" or "holdfast ARG…" and returns the exit code.
func try(ts *testscript.TestScript, args []string) int {
	switch {
	case len(args) > 1 && args[0] == "as":
		args = append(slices.Clone(args[2:]), "--token-file", ts.MkAbs(filepath.Join("tokens", args[1])))
	case len(args) > 0 && args[0] == "holdfast":
		args = args[1:]
	default:
		ts.Fatalf("usage: as PARTY ARG… or holdfast ARG…")
	}
	err := ts.Exec(program(ts), args...)
	printed := fmt.Sprintf("> holdfast %s\n%s%s", strings.Join(args, " "), ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	f, ferr := os.OpenFile(ts.MkAbs(transcript), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	ts.Check(ferr)
	_, ferr = f.WriteString(printed)
	ts.Check(errors.Join(ferr, f.Close()))
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

// succeeds runs a command that must exit with 0.
func succeeds(ts *testscript.TestScript, args []string) {
	if code := try(ts, args); code != 0 {
		ts.Fatalf("exit %d", code)
	}
}

// fails CODE as PARTY ARG… | fails CODE holdfast ARG…: it must exit with
// exactly this code, say what is wrong and what to do, and not blame itself.
func fails(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if code := try(ts, args[1:]); code != want {
		ts.Fatalf("exit %d, want %d", code, want)
	}
	errs := ts.ReadFile("stderr")
	for _, part := range []string{"holdfast: ", "what to do: "} {
		if !strings.Contains(errs, part) {
			ts.Fatalf("standard error does not say %q", part)
		}
	}
	for _, part := range []string{"panic", "internal error", "goroutine"} {
		if strings.Contains(errs, part) {
			ts.Fatalf("standard error says %q", part)
		}
	}
}

// waitFor DURATION PATTERN as PARTY ARG…: until standard output matches.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		succeeds(ts, args[2:])
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("after %s standard output does not match %q", limit, args[1])
		}
	}
}

// lookup finds a value in the last standard output, which must be one JSON
// value: "0.manifest.document" is a path into it.
func lookup(ts *testscript.TestScript, path string) (string, bool) {
	var v any
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		ts.Fatalf("standard output is not JSON: %v", err)
	}
	if dec.More() {
		ts.Fatalf("standard output is more than one JSON value")
	}
	for key := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(at) {
				return "", false
			}
			v = at[i]
		default:
			if path != "" {
				return "", false
			}
		}
	}
	switch v.(type) {
	case nil:
		return "", false
	case map[string]any, []any:
		data, err := json.Marshal(v)
		ts.Check(err)
		return string(data), true
	}
	return fmt.Sprint(v), true
}

// checkJSON [PATH [PATTERN]]: standard output is JSON, has the path, and the
// value matches.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		lookup(ts, "")
		return
	}
	value, ok := lookup(ts, args[0])
	if ok && len(args) > 1 {
		pattern, err := regexp.Compile(args[1])
		ts.Check(err)
		ok = pattern.MatchString(value)
	}
	if ok == neg {
		ts.Fatalf("%s is %q", args[0], value)
	}
}

// setFromJSON VAR PATH puts a value of standard output into the environment.
func setFromJSON(ts *testscript.TestScript, _ bool, args []string) {
	value, ok := lookup(ts, args[1])
	if !ok {
		ts.Fatalf("standard output has no %s", args[1])
	}
	ts.Setenv(args[0], value)
}

func gitIdentity() []string {
	return []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=A U Thor", "GIT_AUTHOR_EMAIL=author@example.org", "GIT_COMMITTER_NAME=A U Thor", "GIT_COMMITTER_EMAIL=author@example.org"}
}

func runGit(ts *testscript.TestScript, args ...string) string {
	cmd := exec.Command("git", args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(gitIdentity(), "PATH="+ts.Getenv("PATH"), "HOME="+ts.Getenv("HOME"))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		ts.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

// repository DIR [git init flag…]: a repository with two branches and a tag.
func repository(ts *testscript.TestScript, args []string) {
	dir := args[0]
	runGit(ts, append(append([]string{"init", "-q", "--initial-branch=main"}, args[1:]...), dir)...)
	commit(ts, dir, "README.md", "Orchard\n")
	commit(ts, dir, "main.go", "package main\n\nfunc main() {}\n")
	runGit(ts, "-C", dir, "tag", "-a", "-m", "first", "v1.0")
	runGit(ts, "-C", dir, "branch", "next", "HEAD~1")
}

// commit DIR FILE TEXT commits a file.
func commit(ts *testscript.TestScript, dir, file, text string) {
	ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(dir), file), []byte(text), 0o600))
	runGit(ts, "-C", dir, "add", file)
	runGit(ts, "-C", dir, "commit", "-q", "-m", "change "+file)
}

// sameRefs A B: both are whole, and list the same refs and HEAD.
func sameRefs(ts *testscript.TestScript, a, b string) {
	list := func(dir string) []string {
		runGit(ts, "-C", dir, "fsck", "--full", "--strict")
		lines := strings.Split(runGit(ts, "ls-remote", "--symref", ts.MkAbs(dir)), "\n")
		slices.Sort(lines)
		return lines
	}
	if x, y := list(a), list(b); !slices.Equal(x, y) || len(x) < 2 {
		ts.Fatalf("%s has\n%s\n%s has\n%s", a, strings.Join(x, "\n"), b, strings.Join(y, "\n"))
	}
}

// gitServer VAR REPOSITORY [token=T] [FAULT…]: serves the repository over
// HTTP and puts its URL into the environment.
func gitServer(ts *testscript.TestScript, args []string) {
	options := gittest.HTTPOptions{Version: gittest.V2}
	var faults []string
	for _, a := range args[2:] {
		if token, ok := strings.CutPrefix(a, "token="); ok {
			options.Token = token
		} else {
			faults = append(faults, a)
		}
	}
	h, err := gittest.Serve(ts.MkAbs(args[1]), options, faults...)
	ts.Check(err)
	s := httptest.NewServer(h)
	s.Config.ErrorLog = nil
	ts.Defer(func() {
		s.CloseClientConnections()
		s.Close()
	})
	ts.Setenv(args[0], s.URL+"/"+filepath.Base(args[1]))
}

// webhook PATH BODY-FILE SECRET: sends what GitHub sends on a push. Standard
// output of the script is not touched; the status must be 202, or WANT where
// a fourth argument is given.
func webhook(ts *testscript.TestScript, args []string) {
	body := []byte(ts.ReadFile(args[1]))
	mac := hmac.New(sha256.New, []byte(args[2]))
	mac.Write(body)
	req, err := http.NewRequest(http.MethodPost, ts.Getenv("HOLDFAST_SERVER")+args[0], bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", hex.EncodeToString(mac.Sum(nil)[:16]))
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	want := "202"
	if len(args) > 3 {
		want = args[3]
	}
	if strconv.Itoa(resp.StatusCode) != want {
		ts.Fatalf("webhook: status %s, want %s", resp.Status, want)
	}
}

// flip FILE [OFFSET] changes one bit, in the middle when no offset is given.
func flip(ts *testscript.TestScript, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at := len(data) / 2
	if len(args) > 1 {
		at, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	data[at] ^= 1
	ts.Check(os.Chmod(path, 0o600))
	ts.Check(os.WriteFile(path, data, 0o600))
}

// eachDamaged DIR: verify finds out about every file of the export in DIR that
// is changed by one bit or taken away. What it does not look at are the guides,
// which are for reading, the combiner, about which it says something, and cards
// that nothing rests on; of the index it looks at what it uses.
func eachDamaged(ts *testscript.TestScript, dir string) {
	var files []string
	ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Ext(path) != ".md" {
			files = append(files, path)
		}
		return err
	}))
	verify := func(path string, want ...int) {
		if code := try(ts, []string{"holdfast", "verify", "--export", dir}); !slices.Contains(want, code) {
			ts.Fatalf("%s: exit %d, want one of %v", path, code, want)
		}
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		ts.Check(err)
		flip(ts, []string{path})
		switch filepath.Base(path) {
		case "combine.py":
			verify(path, 0)
			if !strings.Contains(ts.ReadFile("stdout"), "combine.py is not the one of this version") {
				ts.Fatalf("nothing is said about a changed %s", path)
			}
		case "index.json":
		default:
			verify(path+", one bit changed", 9)
		}
		ts.Check(os.Remove(path))
		if filepath.Ext(path) != ".contact" {
			verify(path+" taken away", 7, 10)
		}
		ts.Check(os.WriteFile(path, data, 0o600))
	}
	if len(files) < 20 {
		ts.Fatalf("%s has %d files only", dir, len(files))
	}
}

// largest VAR DIR puts the path of the largest file into the environment.
func largest(ts *testscript.TestScript, name, dir string) {
	var size int64 = -1
	ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > size {
			size = info.Size()
			ts.Setenv(name, path)
		}
		return err
	}))
}

// nowhere TEXT PATH…: no byte sequence TEXT in these files and all files of
// these directories, and there is something to look through.
func nowhere(ts *testscript.TestScript, text string, paths []string) {
	files := 0
	for _, p := range paths {
		ts.Check(filepath.WalkDir(ts.MkAbs(p), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte(text)) {
				ts.Fatalf("%s holds %q", path, text)
			}
			files++
			return err
		}))
	}
	if files < len(paths) {
		ts.Fatalf("%d files in %v", files, paths)
	}
}

// accept TRUSTEE…: each fetches its latest share of the materials, checks it
// and accepts it.
func accept(ts *testscript.TestScript, parties []string) {
	for _, t := range parties {
		dir := filepath.Join("shares", t)
		ts.Check(os.RemoveAll(ts.MkAbs(dir)))
		succeeds(ts, []string{"as", t, "share", "fetch", "--compartment", "materials", "--out", dir})
		succeeds(ts, []string{"holdfast", "share", "check", "--from", dir, "--key", "keys/" + t + ".key", "--accept"})
		succeeds(ts, []string{"as", t, "share", "accept", dir + "/acceptance.json"})
	}
}

// reshared TRUSTEE…: each makes its share of what lies in ./plan.json and
// ./*.dealing for the manifest in ./new, checks it and accepts it.
func takeReshared(ts *testscript.TestScript, parties []string) {
	dealings, err := filepath.Glob(ts.MkAbs("*.dealing"))
	ts.Check(err)
	for _, t := range parties {
		dir := filepath.Join("reshared", t)
		combine := []string{"holdfast", "ceremony", "reshare", "combine", "--old", "deal/manifest.json", "--plan", "plan.json",
			"--manifest", "new/manifest.json", "--key", "keys/" + t + ".key", "--out", dir}
		for _, d := range dealings {
			combine = append(combine, "--dealing", d)
		}
		succeeds(ts, combine)
		succeeds(ts, []string{"holdfast", "share", "check", "--from", dir, "--key", "keys/" + t + ".key", "--accept"})
		succeeds(ts, []string{"as", t, "share", "accept", dir + "/acceptance.json"})
	}
}

// released TRUSTEE… opens a case as the customer, tells the
// supplier, and lets the trustees approve; $CASE is its id.
func released(ts *testscript.TestScript, approving []string) {
	succeeds(ts, []string{"as", "customer", "--json", "case", "open", "--event", "bankruptcy", "--stage", "materials", "--reason", "judgment of 1 March"})
	id, _ := lookup(ts, "id")
	ts.Setenv("CASE", id)
	succeeds(ts, []string{"as", "agent", "case", "notice", id, "--to", "supplier", "--channel", "registered_letter", "--text", "A case was opened."})
	succeeds(ts, []string{"as", "agent", "case", "request", id, "--purpose", "keep the service running"})
	for _, t := range approving {
		approve(ts, id, t)
	}
}

// approve CASE TRUSTEE.
func approve(ts *testscript.TestScript, id, trustee string) {
	dir := filepath.Join("approvals", id, trustee)
	succeeds(ts, []string{"as", trustee, "case", "statement", id, "--out", dir})
	succeeds(ts, []string{"holdfast", "approve", "--from", dir, "--key", "keys/" + trustee + ".key", "--out", dir + "/approval.json", "--yes"})
	succeeds(ts, []string{"as", trustee, "case", "approve", id, "--approval", dir + "/approval.json"})
}
