package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/inventory"
	"holdfast/internal/intake/git/object"
)

// named bounds how many refs a message names.
const named = 20

// writeRefs gives the repository exactly refs, which are sorted by name.
//
// They go into the packed-refs file instead of one file each: only so can
// names that differ by letter case alone stand side by side where file names
// cannot, and 100,000 refs do not make 100,000 files.
func (b *builder) writeRefs(ctx context.Context, refs []object.Ref) error {
	ids := make([]object.OID, 0, len(refs))
	for _, r := range refs {
		ids = append(ids, r.OID)
	}
	slices.SortFunc(ids, object.OID.Compare)
	absent, err := b.absent(ctx, slices.Compact(ids))
	if err != nil {
		return err
	}
	if len(absent) > 0 {
		i := slices.IndexFunc(refs, func(r object.Ref) bool { return r.OID == absent[0] })
		return escrow.Errorf(escrow.Missing, "%d objects that refs point at are in no deposit, first %s of %s", len(absent), absent[0], object.QuoteRef(refs[i].Name)).
			WithHint("restore an earlier deposit, and tell the depositor which one is broken")
	}
	var file bytes.Buffer
	for _, r := range refs {
		file.Write(r.OID.AppendHex(nil))
		file.WriteString(" " + r.Name + "\n")
	}
	if err := writeFile(filepath.Join(b.git.dir, "packed-refs"), file.Bytes()); err != nil {
		return err
	}
	b.noteCollisions(refs)
	return nil
}

// packRefs lets git write the file in its own form, with what tags point at.
// That needs the objects behind the tags, so it comes after the check.
func (b *builder) packRefs(ctx context.Context) error {
	if err := b.git.command(ctx, pipes{}, "pack-refs", "--all", "--no-prune"); err != nil {
		return refsError(err)
	}
	return nil
}

func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return diskError(err, "%s cannot be written", filepath.Base(path))
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return diskError(err, "%s cannot be written", filepath.Base(path))
	}
	return nil
}

func refsError(err error) error {
	if full := fullDisk(err); full != nil {
		return full
	}
	failed, ok := errors.AsType[*gitError](err)
	if !ok {
		return err
	}
	return escrow.Wrap(err, escrow.Damaged, "git refuses the refs").WithHint("what git said: %s", firstLine(failed.stderr))
}

// noteCollisions names refs that this repository holds and that a copy made
// from it may not.
func (b *builder) noteCollisions(refs []object.Ref) {
	var fold, nested []string
	lower := make(map[string]string, len(refs))
	names := make(map[string]bool, len(refs))
	for _, r := range refs {
		names[r.Name] = true
		key := strings.ToLower(r.Name)
		if other, ok := lower[key]; ok {
			fold = append(fold, object.QuoteRef(other)+" and "+object.QuoteRef(r.Name))
		}
		lower[key] = r.Name
	}
	for _, r := range refs {
		for i, c := range r.Name {
			if c == '/' && names[r.Name[:i]] {
				nested = append(nested, object.QuoteRef(r.Name[:i])+" and "+object.QuoteRef(r.Name))
			}
		}
	}
	if len(fold) > 0 {
		b.note("refs that differ only by letter case are all here, but a clone on a file system that ignores case cannot hold both: %s", list(fold))
	}
	if len(nested) > 0 {
		b.note("refs of which one is a directory of the other are all here, but git cannot clone or change them: %s", list(nested))
	}
}

func list(items []string) string {
	if len(items) > named {
		return strings.Join(items[:named], ", ") + fmt.Sprintf(" and %d more", len(items)-named)
	}
	return strings.Join(items, ", ")
}

// setHead points HEAD where the source had it. A source that did not say gets
// a HEAD that resolves, if any ref can give one.
func (b *builder) setHead(ctx context.Context, inv *inventory.Inventory, refs []object.Ref) error {
	head, id := inv.Head, inv.HeadOID
	has := func(name string) bool {
		_, ok := slices.BinarySearchFunc(refs, name, func(r object.Ref, n string) int { return strings.Compare(r.Name, n) })
		return ok
	}
	switch {
	case head != "" && !id.IsZero() && !has(head):
		b.note("HEAD was %s at %s, and that ref is not in the deposit: HEAD is at the commit itself", object.QuoteRef(head), id)
		head = ""
	case head == "" && id.IsZero() && len(refs) > 0:
		if head = guessHead(refs, has); head == "" {
			b.note("the source did not say where its HEAD is, and there is no branch")
			return nil
		}
		b.note("the source did not say where its HEAD is: it is set to %s", object.QuoteRef(head))
	case head != "" && id.IsZero() && len(refs) > 0:
		b.note("HEAD names %s, which does not exist at the source either: a clone checks nothing out", object.QuoteRef(head))
	}
	var err error
	switch {
	case head != "":
		err = b.git.command(ctx, pipes{}, "symbolic-ref", "HEAD", head)
	case !id.IsZero():
		err = b.git.command(ctx, pipes{}, "update-ref", "--no-deref", "HEAD", id.String())
	}
	if err == nil {
		return nil
	}
	if head != "" {
		return refsError(err)
	}
	if absent, lookErr := b.absent(ctx, []object.OID{id}); lookErr == nil && len(absent) > 0 {
		return escrow.Wrap(err, escrow.Missing, "%s, where HEAD is, is in no deposit", id).
			WithHint("restore an earlier deposit, and tell the depositor which one is broken")
	}
	return refsError(err)
}

func guessHead(refs []object.Ref, has func(string) bool) string {
	for _, name := range []string{"refs/heads/main", "refs/heads/master"} {
		if has(name) {
			return name
		}
	}
	for _, r := range refs {
		if strings.HasPrefix(r.Name, "refs/heads/") {
			return r.Name
		}
	}
	return ""
}

// compare asks git which refs and HEAD the repository has, and compares with
// the inventory.
func (b *builder) compare(ctx context.Context, inv *inventory.Inventory, want []object.Ref) error {
	var out bytes.Buffer
	if err := b.git.command(ctx, pipes{out: &out}, "for-each-ref", "--format=%(objectname) %(refname)"); err != nil {
		return refsError(err)
	}
	var got []object.Ref
	for line := range strings.Lines(out.String()) {
		hexID, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		id, err := object.ParseOID(inv.ObjectFormat, hexID)
		if err != nil {
			return fmt.Errorf("git for-each-ref: %w", err)
		}
		got = append(got, object.Ref{Name: name, OID: id})
	}
	got = inventory.Sorted(got)
	if digest := inventory.RefsDigest(got); digest != inv.RefsDigest || len(got) != inv.Count {
		return escrow.Errorf(escrow.Conflict, "this place cannot hold all refs side by side; differing: %s", list(difference(want, got))).
			WithHint("restore to a file system that tells upper from lower case")
	}
	head, err := b.git.output(ctx, "symbolic-ref", "--quiet", "HEAD")
	if failed, ok := errors.AsType[*gitError](err); err != nil && (!ok || failed.status != 1) {
		return refsError(err)
	}
	resolved, err := b.git.output(ctx, "rev-parse", "--quiet", "--verify", "HEAD")
	if failed, ok := errors.AsType[*gitError](err); err != nil && (!ok || failed.status != 1) {
		return refsError(err)
	}
	b.report.Head = strings.TrimSuffix(head, "\n")
	if resolved = strings.TrimSpace(resolved); resolved != "" {
		if b.report.HeadOID, err = object.ParseOID(inv.ObjectFormat, resolved); err != nil {
			return fmt.Errorf("git rev-parse: %w", err)
		}
	}
	if !inv.HeadOID.IsZero() && b.report.HeadOID != inv.HeadOID {
		return escrow.Errorf(escrow.Damaged, "HEAD is %q here and was %s at the source", resolved, inv.HeadOID)
	}
	b.report.Refs, b.report.RefsDigest = inv.Count, inv.RefsDigest
	return nil
}

// difference names the refs of which one list has no equal in the other.
func difference(want, got []object.Ref) []string {
	ids := make(map[string]object.OID, len(got))
	for _, r := range got {
		ids[r.Name] = r.OID
	}
	var names []string
	for _, r := range want {
		if ids[r.Name] != r.OID {
			names = append(names, object.QuoteRef(r.Name))
		}
		delete(ids, r.Name)
	}
	extra := make([]string, 0, len(ids))
	for name := range ids {
		extra = append(extra, object.QuoteRef(name))
	}
	slices.Sort(extra)
	return append(names, extra...)
}
