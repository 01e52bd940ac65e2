package demo

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// claim opens a case and fixes the statement.
func (d *demo) claim(ctx context.Context) error {
	d.title("The supplier goes bankrupt: the customer opens a case")
	out, err := d.holdfast(ctx, append([]string{"--json"}, d.as("customer", "case", "open", "--event", "bankruptcy", "--stage", "materials", "--reason", "judgment of 1 March")...)...)
	if err != nil {
		return err
	}
	var c struct{ ID string }
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return err
	}
	d.caseID = c.ID
	if _, err := d.holdfast(ctx, d.as("agent", "case", "notice", c.ID, "--to", "supplier", "--channel", "registered_letter", "--text", "A case was opened.")...); err != nil {
		return err
	}
	if _, err := d.holdfast(ctx, d.as("agent", "case", "request", c.ID, "--purpose", "keep the service running")...); err != nil {
		return err
	}
	d.say("%s: the supplier was told, and one exact statement now waits for approval", c.ID)
	return nil
}

// release lets trustees approve, and tries to open too early.
func (d *demo) release(ctx context.Context) error {
	d.title("Trustees approve: each re-encrypts its share to the customer, on its own machine")
	for _, t := range []string{"agent", "foundation"} {
		if err := d.approve(ctx, t); err != nil {
			return err
		}
	}
	_, errs, code := d.try(ctx, d.openArgs("too-early")...)
	d.say("two approvals: %s", firstLine(errs))
	d.prove(code == 7, "below the quorum nothing opens", "holdfast open, exit %d", code)
	_, errs, code = d.try(ctx, append([]string{"export", d.path("admin-export"), "--case", d.caseID}, d.as("admin")...)...)
	d.say("the administrator tries: %s", firstLine(errs))
	d.prove(code == 4, "no administrator can open anything", "holdfast export as administrator, exit %d", code)
	if err := d.approve(ctx, "notary"); err != nil {
		return err
	}
	out, err := d.holdfast(ctx, d.as("customer", "case", "show", d.caseID)...)
	if err != nil {
		return err
	}
	d.say("a third, independent approval: the case is in force")
	d.prove(strings.Contains(out, "in force"), "three trustees, one of them independent, release", "case is in force")
	return nil
}

func (d *demo) approve(ctx context.Context, trustee string) error {
	dir := d.path("approvals", trustee)
	if _, err := d.holdfast(ctx, d.as(trustee, "case", "statement", d.caseID, "--out", dir)...); err != nil {
		return err
	}
	approval := filepath.Join(dir, "approval.json")
	if _, err := d.holdfast(ctx, "approve", "--from", dir, "--key", d.path("keys", trustee+".key"), "--out", approval, "--yes"); err != nil {
		return err
	}
	_, err := d.holdfast(ctx, d.as(trustee, "case", "approve", d.caseID, "--approval", approval)...)
	return err
}

func (d *demo) openArgs(to string) []string {
	return append([]string{"open", "--case", d.caseID, "--key", d.path("keys", "customer.key"), "--to", d.path(to), "--bare"}, d.as("customer")...)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimPrefix(line, "holdfast: ")
}

// open opens with Holdfast and compares refs with the origin.
func (d *demo) open(ctx context.Context) error {
	d.title("The customer opens it with Holdfast")
	start := time.Now()
	if _, err := d.holdfast(ctx, d.openArgs("opened")...); err != nil {
		return err
	}
	same, refs, err := d.sameRefs(ctx, d.path("opened", "code"))
	if err != nil {
		return err
	}
	d.say("%d refs and HEAD equal to the origin, every object checked, %s", refs, time.Since(start).Round(time.Millisecond))
	d.prove(same, "Holdfast opens it: refs and HEAD equal the origin", "%d refs, git fsck clean", refs)
	return nil
}

// sameRefs compares what git lists of a restored repository with the origin.
func (d *demo) sameRefs(ctx context.Context, repository string) (bool, int, error) {
	list := func(dir string) ([]string, error) {
		out, err := d.git(ctx, d.dir, "ls-remote", "--symref", dir)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		slices.Sort(lines)
		return lines, err
	}
	want, err := list(d.path("origin.git"))
	if err != nil {
		return false, 0, err
	}
	got, err := list(repository)
	return slices.Equal(want, got), len(got), err
}

// stock runs the commands of the guide that came with the hand-over: age,
// sha256sum, git and Python, and nothing of Holdfast.
func (d *demo) stock(ctx context.Context) error {
	d.title("The customer opens it again, without Holdfast")
	bin, version, err := d.age(ctx)
	if err != nil {
		d.say("%v", err)
		d.prove(false, "stock tools open it", "no age 1.3 or newer here")
		return nil
	}
	dir := d.path("opened.handover")
	guide, err := os.ReadFile(filepath.Join(dir, "README.en.md"))
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "the guide")
	}
	commands := shellBlocks(string(guide))
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", strings.Join(commands, "\n"))
	cmd.Dir = dir
	cmd.Env = append(gitEnvironment(d.dir), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "MINE="+d.path("keys", "customer.key"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.say("%s", strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", "\n      "))
		d.prove(false, "stock tools open it", "the guide's commands failed: %v", err)
		return nil
	}
	same, refs, err := d.sameRefs(ctx, filepath.Join(dir, "repository.git"))
	if err != nil {
		return err
	}
	d.say("%d commands of the guide in the hand-over, run as they are: age %s, sha256sum, git, python3", countCommands(commands), version)
	d.say("%d refs and HEAD equal to the origin", refs)
	d.prove(same, "stock tools open it: refs and HEAD equal the origin", "age %s, sha256sum, git, python3", version)
	return nil
}

// shellBlocks returns the sh code blocks of a Markdown page.
func shellBlocks(page string) []string {
	var blocks []string
	for {
		_, rest, ok := strings.Cut(page, "```sh\n")
		if !ok {
			return blocks
		}
		block, rest, ok := strings.Cut(rest, "```")
		if !ok {
			return blocks
		}
		blocks = append(blocks, block)
		page = rest
	}
}

func countCommands(blocks []string) int {
	n := 0
	for _, b := range blocks {
		for line := range strings.SplitSeq(b, "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				n++
			}
		}
	}
	return n
}

// age finds an age that knows post-quantum recipients, or builds one from its
// own module with the Go toolchain that built this program.
func (d *demo) age(ctx context.Context) (dir, version string, err error) {
	const module = "filippo.io/age/cmd/...@v1.3.2"
	if path, err := exec.LookPath("age"); err == nil {
		out, err := exec.CommandContext(ctx, path, "--version").Output()
		v := strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
		if err == nil && newEnough(v) {
			return filepath.Dir(path), v, nil
		}
	}
	bin := d.path("bin")
	cmd := exec.CommandContext(ctx, "go", "install", module)
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	cmd.Dir = d.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", escrow.Errorf(escrow.Unavailable, "age 1.3 is not installed and cannot be built: %s", lastLine(string(out)))
	}
	return bin, "1.3.2", nil
}

func newEnough(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major == "1" && len(minor) > 0 && (len(minor) > 1 || minor >= "3")
}

// tamper flips one bit of a stored object and expects verify to name it.
func (d *demo) tamper(ctx context.Context) error {
	d.title("Somebody changes one bit on the server's disk")
	if err := d.stop(); err != nil {
		return err
	}
	errs, code := d.verify(ctx)
	if code != 0 {
		d.say("%s", firstLine(errs))
	}
	d.prove(code == 0, "verify finds everything whole", "every act, row and object read again, exit %d", code)
	object, err := d.largestObject()
	if err != nil {
		return err
	}
	if err := flip(object); err != nil {
		return err
	}
	errs, code = d.verify(ctx)
	name := filepath.Base(object)
	d.say("verify: %s", firstLine(errs))
	d.prove(code == 9 && strings.Contains(errs, name), "verify names the object whose bit was changed", "exit %d, object %s…", code, name[:12])
	return flip(object) // and back, for --keep
}

func (d *demo) largestObject() (string, error) {
	var largest string
	var size int64
	err := filepath.Walk(d.objects(), func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && info.Size() > size && len(filepath.Base(path)) == 64 {
			largest, size = path, info.Size()
		}
		return err
	})
	if err == nil && largest == "" {
		err = escrow.Errorf(escrow.Missing, "no object in %s", d.objects())
	}
	return largest, err
}

func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return escrow.Wrap(err, escrow.Missing, "%s", path)
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(path, 0o600); err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", path)
	}
	return os.WriteFile(path, data, 0o600)
}
