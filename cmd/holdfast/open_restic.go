package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/export"
)

// openedRestic is what is printed about a module that restic wrote to.
type openedRestic struct {
	Files     int    `json:"files"`
	Snapshots int    `json:"snapshots"`
	Newest    string `json:"newest,omitempty"`   // snapshot
	Received  string `json:"received,omitempty"` // when it arrived
	Restored  string `json:"restored,omitempty"` // what restored it; "" when nothing did
}

// restic rebuilds the repository directory of a module, opens its password,
// and restores the newest snapshot when there is a restic to do it.
func (c *openCmd) restic(ctx context.Context, s *streams, x *export.Export, keys *keyRing, list []export.OpenDeposit, id, dir string) (openedModule, error) {
	chain, err := resticChain(list, id)
	if err != nil {
		return openedModule{}, err
	}
	last := chain[len(chain)-1].Manifest
	o := openedModule{Module: id, Dir: filepath.Join(c.To, filepath.FromSlash(id)), Deposit: last.Number, Restic: &openedRestic{}}
	bar := newProgress(s, id)
	defer bar.done()
	repository := filepath.Join(dir, "repository")
	for _, sub := range []string{"keys", "data", "index", "snapshots", "locks"} {
		if err := os.MkdirAll(filepath.Join(repository, sub), 0o700); err != nil {
			return o, escrow.Wrap(err, escrow.Invalid, "%s", repository)
		}
	}
	var total, done int64
	for _, d := range chain {
		for _, object := range d.Manifest.Objects {
			total += object.Size
		}
	}
	for _, d := range chain {
		m := d.Manifest
		if d.Destroyed() != nil {
			o.Notes = append(o.Notes, fmt.Sprintf("deposit %d was destroyed: what it brought is not in the repository", m.Number))
			continue
		}
		o.Deposits = append(o.Deposits, m.Number)
		for _, object := range m.Objects {
			if err := ctx.Err(); err != nil {
				return o, err
			}
			if err := c.resticObject(x, keys, m, object, dir, repository, &o); err != nil {
				return o, fmt.Errorf("deposit %d: %w", m.Number, err)
			}
			done += object.Size
			bar.of(done, total)
		}
		if m.Restic == nil {
			continue
		}
		o.Restic.Snapshots += len(m.Restic.Snapshots)
		if n := len(m.Restic.Snapshots); n > 0 {
			o.Restic.Newest, o.Restic.Received = m.Restic.Snapshots[n-1].ID, m.Restic.Snapshots[n-1].Received
		}
	}
	if _, err := os.Lstat(filepath.Join(repository, "config")); err != nil {
		o.Notes = append(o.Notes, "the repository was never begun: only its password was deposited")
		return o, nil
	}
	if last.Restic != nil && last.Restic.More {
		o.Notes = append(o.Notes, fmt.Sprintf("deposit %d is the first part of what a later deposit completes; what was there before it is whole", last.Number))
	}
	for _, language := range []string{"en", "nl"} {
		if err := os.WriteFile(filepath.Join(dir, "README."+language+".txt"), []byte(export.ResticReadme(language)), 0o600); err != nil {
			return o, escrow.Wrap(err, escrow.Full, "%s", dir)
		}
	}
	if c.Bare || o.Restic.Newest == "" {
		return o, nil
	}
	return o, c.resticRestore(ctx, s, dir, &o)
}

// resticChain returns the deposits that the repository is in: from the last
// password on.
func resticChain(list []export.OpenDeposit, id string) ([]export.OpenDeposit, error) {
	start := 0
	for i, d := range list {
		if d.Manifest.Kind == string(escrow.FullDeposit) {
			start = i
		}
	}
	chain := list[start:]
	if first := chain[0].Manifest; first.Kind != string(escrow.FullDeposit) {
		return nil, escrow.Errorf(escrow.Missing, "deposit %d of %s, with the password of the repository, is not here", first.Chain, id)
	}
	return chain, nil
}

// resticObject puts one object of the chain in its place.
func (c *openCmd) resticObject(x *export.Export, keys *keyRing, m *evidence.DepositManifest, object evidence.ObjectEntry, dir, repository string, o *openedModule) error {
	if object.Role == evidence.RoleResticPassword {
		return writePassword(keys, m, object, filepath.Join(dir, "password"))
	}
	place, ok := evidence.ResticFilePlace(object.Role)
	if !ok {
		return escrow.Errorf(escrow.Invalid, "object %s has the role %.80q, which is none of a restic repository", object.Name, object.Role)
	}
	to := filepath.Join(repository, place) // config
	switch place {
	case "config":
	case "data":
		to = filepath.Join(to, object.Name[:2], object.Name)
	default:
		to = filepath.Join(to, object.Name)
	}
	o.Restic.Files++
	if err := x.CheckObject(object); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", to)
	}
	from := filepath.Join(x.Dir, export.ObjectPath(object.Name))
	if os.Link(from, to) == nil { // the same bytes; restic never changes a file
		return nil
	}
	return copyFile(from, to)
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "%s", from)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", to)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return escrow.Wrap(err, escrow.Full, "%s", to)
	}
	return nil
}

const maxResticPassword = 4 << 10

func writePassword(keys *keyRing, m *evidence.DepositManifest, object evidence.ObjectEntry, path string) error {
	r, err := keys.open(m, object)
	if err != nil {
		return err
	}
	defer r.Close()
	password, err := io.ReadAll(io.LimitReader(r, maxResticPassword+1))
	if err != nil {
		return err
	}
	if len(password) > maxResticPassword || strings.TrimSpace(string(password)) == "" {
		return escrow.Errorf(escrow.Invalid, "what was deposited as the password is none")
	}
	return os.WriteFile(path, password, 0o600)
}

// maxResticOutput is what is kept of what restic prints.
const maxResticOutput = 4 << 10

// resticRestore lets the user's restic restore the newest snapshot. Without a
// restic, or when it fails, the repository stays for whoever has a better one.
func (c *openCmd) resticRestore(ctx context.Context, s *streams, dir string, o *openedModule) error {
	binary, err := exec.LookPath("restic")
	if err != nil {
		o.Notes = append(o.Notes, "restic is not installed here, so nothing was restored; README.en.txt in the directory says how")
		return nil
	}
	home, err := os.MkdirTemp("", "holdfast-restic-")
	if err != nil {
		return escrow.Errorf(escrow.Full, "%w", err)
	}
	defer os.RemoveAll(home)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, binary, args...)
		// Nothing of the environment: it may name another repository.
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home,
			"RESTIC_REPOSITORY=" + filepath.Join(dir, "repository"), "RESTIC_PASSWORD_FILE=" + filepath.Join(dir, "password")}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 10 * time.Second
		err := cmd.Run()
		return strings.TrimSpace(out.String()), err
	}
	version, err := run("version")
	if err != nil {
		o.Notes = append(o.Notes, "the restic that is here does not run, so nothing was restored")
		return nil
	}
	part := filepath.Join(dir, ".data")
	out, err := run("restore", o.Restic.Newest, "--target", part, "--no-cache", "--no-lock", "--quiet")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		o.Notes = append(o.Notes, fmt.Sprintf("restic could not restore snapshot %.8s; the repository is left for another try", o.Restic.Newest))
		fmt.Fprintf(s.err, "restic: %s\n", printable(out[:min(len(out), maxResticOutput)]))
		o.failed = true
		return os.RemoveAll(part)
	}
	o.Restic.Restored = strings.Join(strings.Fields(version)[:min(2, len(strings.Fields(version)))], " ")
	if err := os.MkdirAll(part, 0o700); err != nil { // of a snapshot of nothing
		return escrow.Errorf(escrow.Invalid, "%w", err)
	}
	return os.Rename(part, filepath.Join(dir, "data"))
}

// printable keeps what restic says from steering the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			return r
		}
		return ' '
	}, text)
}

func (o *openedModule) printRestic(s *streams) {
	r := o.Restic
	fmt.Fprintf(s.out, "  restic  %d snapshots in %d files\n", r.Snapshots, r.Files)
	switch {
	case r.Restored != "":
		fmt.Fprintf(s.out, "  data    snapshot %.8s, which arrived %s, restored by %s\n", r.Newest, r.Received, r.Restored)
	case r.Newest != "":
		fmt.Fprintf(s.out, "  newest  snapshot %.8s, which arrived %s\n", r.Newest, r.Received)
	}
}

// isRestic reports whether restic wrote what a module holds.
func isRestic(list []export.OpenDeposit) bool {
	return slices.ContainsFunc(list, func(d export.OpenDeposit) bool {
		return d.Manifest.Restic != nil || slices.ContainsFunc(d.Manifest.Objects, func(o evidence.ObjectEntry) bool { return o.Role == evidence.RoleResticPassword })
	})
}
