package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// ceremony deals the key of the materials and lets all five trustees accept.
func (d *demo) ceremony(ctx context.Context) error {
	d.title("The supplier deals a key among five trustees, on its own machine")
	deal := d.path("deal")
	if _, err := d.holdfast(ctx, "ceremony", "deal", "--agreement", d.path("demo.yaml"), "--compartment", "materials", "--contacts", d.path("keys"),
		"--sign", d.path("keys", "supplier.sign"), "--out", deal); err != nil {
		return err
	}
	if _, err := d.holdfast(ctx, d.as("supplier", "ceremony", "publish", deal)...); err != nil {
		return err
	}
	d.say("3 of 5 must act, at least one of them independent; the key itself is gone from memory")
	active := 0
	for i, trustee := range trustees() {
		dir := d.path("shares", trustee)
		if _, err := d.holdfast(ctx, d.as(trustee, "share", "fetch", "--compartment", "materials", "--out", dir)...); err != nil {
			return err
		}
		if _, err := d.holdfast(ctx, "share", "check", "--from", dir, "--key", d.path("keys", trustee+".key"),
			"--accept", "--out", filepath.Join(dir, "acceptance.json")); err != nil {
			return err
		}
		out, err := d.holdfast(ctx, d.as(trustee, "share", "accept", filepath.Join(dir, "acceptance.json"))...)
		if err != nil {
			return err
		}
		if strings.Contains(out, "is active") {
			active = i + 1
		}
	}
	d.say("each trustee opened, checked and accepted its share; the key became active with acceptance %d", active)
	d.prove(active == 5, "a key is used only when every trustee holds a good share", "active with acceptance %d of 5", active)
	return nil
}

func trustees() []string { return []string{"agent", "foundation", "notary", "accountant", "expert"} }

// first deposits the whole repository.
func (d *demo) first(ctx context.Context) error {
	d.title("The repository goes into escrow")
	if _, err := d.git(ctx, d.dir, "clone", "--quiet", "--mirror", d.Repo, d.path("origin.git")); err != nil {
		return err
	}
	if _, err := d.holdfast(ctx, d.as("supplier", "module", "set", "code", "--mode", "pull", "--url", d.path("origin.git"))...); err != nil {
		return err
	}
	if err := d.sync(ctx, 0); err != nil {
		return err
	}
	return d.receipt(ctx, 1)
}

// marker is a line that must be found nowhere on the server's disk.
const marker = "CANARY-7f3a the server must not be able to read this line"

// second commits one change and deposits the increment.
func (d *demo) second(ctx context.Context) error {
	d.title("A commit later, only what is new goes in")
	work := d.path("work")
	if _, err := d.git(ctx, d.dir, "clone", "--quiet", d.path("origin.git"), work); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "escrow-demo.txt"), []byte(marker+"\n"), 0o600); err != nil {
		return escrow.Wrap(err, escrow.Full, "the demo's commit")
	}
	for _, args := range [][]string{{"add", "escrow-demo.txt"}, {"commit", "--quiet", "-m", "One more line"}, {"push", "--quiet", "origin", "HEAD"}} {
		if _, err := d.git(ctx, work, args...); err != nil {
			return err
		}
	}
	if err := d.killWorker(); err != nil {
		return err
	}
	if err := d.sync(ctx, 1); err != nil {
		return err
	}
	over := d.deposit[1].stored - d.deposit[1].pack
	d.prove(d.deposit[1].kind == "INCREMENTAL" && over <= 4096, "a commit costs what it changes", "%s for a pack of %s", bytesText(d.deposit[1].stored), bytesText(d.deposit[1].pack))
	return d.receipt(ctx, 2)
}

func (d *demo) sync(ctx context.Context, i int) error {
	start := time.Now()
	if _, err := d.holdfast(ctx, d.as("supplier", "sync", "code", "--wait", "10m")...); err != nil {
		return err
	}
	took := time.Since(start)
	out, err := d.holdfast(ctx, append([]string{"--json"}, d.as("supplier", "deposits", "code")...)...)
	if err != nil {
		return err
	}
	var list []struct {
		Kind     string
		Manifest struct{ Document string }
		Stored   int64 `json:"stored_bytes"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != i+1 {
		return escrow.Errorf(escrow.Conflict, "%d deposits after sync %d", len(list), i+1)
	}
	var m struct {
		Git struct {
			Refs, Objects int
			PackBytes     int64 `json:"pack_bytes"`
		}
	}
	if err := json.Unmarshal([]byte(list[i].Manifest.Document), &m); err != nil {
		return err
	}
	d.deposit[i] = deposited{kind: list[i].Kind, stored: list[i].Stored, pack: m.Git.PackBytes, took: took}
	d.say("deposit %d, %s: %d refs, %d objects, each hashed and connected before the key was forgotten", i+1, list[i].Kind, m.Git.Refs, m.Git.Objects)
	d.say("%s received as a pack, %s stored, %s", bytesText(m.Git.PackBytes), bytesText(list[i].Stored), took.Round(time.Millisecond))
	return nil
}

func (d *demo) receipt(ctx context.Context, number int) error {
	file := d.path(fmt.Sprintf("receipt-%d.json", number))
	if _, err := d.holdfast(ctx, d.as("supplier", "receipt", "code", fmt.Sprint(number), "--out", file)...); err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(d.data, "keys", "ledger.pub"))
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "ledger key")
	}
	out, _, code := d.try(ctx, "verify", "--receipt", file, "--ledger-key", strings.TrimSpace(string(key)))
	d.say("receipt: %s", lastLine(out))
	d.prove(code == 0, fmt.Sprintf("deposit %d has a receipt that verifies offline", number), "holdfast verify --receipt, exit %d", code)
	return nil
}

// sealed looks for the marker in every file of the server.
func (d *demo) sealed(context.Context) error {
	d.title("Whoever takes the server gets ciphertext")
	files, hits := 0, 0
	err := filepath.WalkDir(d.data, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // a database's own file that came and went
			return nil
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files++
		if strings.Contains(string(data), marker[:12]) {
			hits++
		}
		return err
	})
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "the server's files")
	}
	d.say("the committed line was looked for in all %d files of the server: found %d times", files, hits)
	d.prove(hits == 0 && files > 0, "nothing on the server's disk is readable", "%d files searched for a committed line, %d hits", files, hits)
	return nil
}

// bytesText writes bytes for people.
func bytesText(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
}
