package restore

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/bundle"
	"holdfast/internal/intake/git/inventory"
	"holdfast/internal/intake/git/object"
)

// takeDeposits puts the objects of every deposit into the repository and
// returns the last inventory and the refs after it.
func (b *builder) takeDeposits(ctx context.Context, chain []Deposit) (*inventory.Inventory, []object.Ref, error) {
	var last *inventory.Inventory
	var refs []object.Ref
	for i, d := range chain {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		p := Progress{Step: StepDeposit, Deposit: d.Number, Done: i, Of: len(chain)}
		b.progress(p)
		plain, err := open(ctx, d.Open, fmt.Sprintf("deposit %d", d.Number), func(n int64) {
			p.Bytes = n
			b.progress(p)
		})
		if err != nil {
			return nil, nil, err
		}
		inv, after, err := b.takeDeposit(ctx, d, plain, last, refs)
		plain.close()
		// What the stream said explains whatever git said about its end.
		if plain.err != nil {
			err = plain.err
		}
		if err != nil {
			return nil, nil, err
		}
		last, refs = inv, after
		b.report.Deposits = append(b.report.Deposits, d.Number)
	}
	return last, refs, nil
}

func (b *builder) takeDeposit(ctx context.Context, d Deposit, plain *plaintext, before *inventory.Inventory, refs []object.Ref) (*inventory.Inventory, []object.Ref, error) {
	damaged := func(err error) error {
		return escrow.Errorf(escrow.Damaged, "deposit %d: %v", d.Number, err)
	}
	r := bufio.NewReaderSize(plain, 64<<10)
	inv, err := inventory.Read(r)
	if err != nil {
		return nil, nil, damaged(err)
	}
	switch {
	case inv.Kind != d.Kind:
		return nil, nil, damaged(fmt.Errorf("it is %s by its manifest and %s inside", d.Kind, inv.Kind))
	case before == nil:
		if err := b.initRepository(ctx, inv.ObjectFormat); err != nil {
			return nil, nil, err
		}
	case inv.ObjectFormat != before.ObjectFormat:
		return nil, nil, damaged(fmt.Errorf("it has %s objects, the deposits before it %s", inv.ObjectFormat, before.ObjectFormat))
	}
	after, err := inv.Apply(refs)
	if errors.Is(err, inventory.ErrChain) {
		return nil, nil, escrow.Errorf(escrow.Missing, "deposit %d: %v", d.Number, err).
			WithHint("the deposit it was made after is not the one given as %d", d.Number-1)
	} else if err != nil {
		return nil, nil, damaged(err)
	}
	if _, err := r.Peek(1); errors.Is(err, io.EOF) && len(inv.Refs) == 0 && inv.HeadOID.IsZero() {
		return inv, after, nil // an empty repository has nothing to bundle
	}
	header, err := bundle.Read(r)
	if err != nil {
		return nil, nil, damaged(err)
	}
	if err := b.checkBundleHeader(ctx, d, header, inv, after); err != nil {
		return nil, nil, err
	}
	if err := b.indexPack(ctx, d, r, inv.ObjectFormat); err != nil {
		return nil, nil, err
	}
	return inv, after, nil
}

func (b *builder) initRepository(ctx context.Context, f object.Format) error {
	b.report.ObjectFormat = f
	args := []string{"init", "--quiet", "--template=", "--object-format=" + f.String(), "--initial-branch=main"}
	if !b.opts.WorkTree {
		args = append(args, "--bare")
	}
	if err := b.git.command(ctx, pipes{}, args...); err != nil {
		if full := fullDisk(err); full != nil {
			return full
		}
		return escrow.Wrap(err, escrow.Unavailable, "git cannot make a %s repository", f).
			WithHint("what git said: %v", err)
	}
	return nil
}

// checkBundleHeader compares the bundle with the inventory before it, since
// somebody with stock tools will go by the bundle.
func (b *builder) checkBundleHeader(ctx context.Context, d Deposit, header *bundle.Header, inv *inventory.Inventory, after []object.Ref) error {
	if header.Format != inv.ObjectFormat {
		return escrow.Errorf(escrow.Damaged, "deposit %d: its bundle has %s objects, its inventory %s", d.Number, header.Format, inv.ObjectFormat)
	}
	if d.Kind == escrow.FullDeposit && len(header.Prerequisites) > 0 {
		return escrow.Errorf(escrow.Damaged, "deposit %d is %s, but its bundle needs %s from elsewhere", d.Number, d.Kind, header.Prerequisites[0])
	}
	held := make(map[string]object.OID, len(after))
	for _, r := range after {
		held[r.Name] = r.OID
	}
	for _, r := range header.Refs {
		if want := held[r.Name]; r.Name != "HEAD" && want != r.OID || r.Name == "HEAD" && r.OID != inv.HeadOID {
			return escrow.Errorf(escrow.Damaged, "deposit %d: %.200q is %s in its bundle and %q in its inventory", d.Number, r.Name, r.OID, want)
		}
	}
	absent, err := b.absent(ctx, header.Prerequisites)
	if err != nil {
		return err
	}
	if len(absent) > 0 {
		return escrow.Errorf(escrow.Missing, "deposit %d builds on %s, which no deposit before it holds", d.Number, absent[0]).
			WithHint("a deposit before %d is not the right one", d.Number)
	}
	return nil
}

// absent returns which of ids the repository does not hold.
func (b *builder) absent(ctx context.Context, ids []object.OID) ([]object.OID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var in, out bytes.Buffer
	for _, id := range ids {
		fmt.Fprintln(&in, id)
	}
	if err := b.git.command(ctx, pipes{in: &in, out: &out}, "cat-file", "--batch-check=%(objecttype)", "--buffer"); err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(ids) {
		return nil, fmt.Errorf("git cat-file: %d answers to %d questions", len(lines), len(ids))
	}
	var list []object.OID
	for i, line := range lines {
		if strings.HasSuffix(line, " missing") {
			list = append(list, ids[i])
		}
	}
	return list, nil
}

// indexPack streams one pack into the repository. git recomputes every
// object's hash on the way and resolves thin packs against what is there.
func (b *builder) indexPack(ctx context.Context, d Deposit, r *bufio.Reader, f object.Format) error {
	start, err := r.Peek(12)
	if err != nil || !bytes.HasPrefix(start, []byte("PACK")) {
		return escrow.Errorf(escrow.Damaged, "deposit %d: no pack after the bundle's header", d.Number)
	}
	empty := binary.BigEndian.Uint32(start[8:]) == 0
	pack, out := newTrailerCheck(r, f), &head{limit: 4 << 10}
	err = b.git.command(ctx, pipes{in: pack, out: out}, "index-pack", "--stdin", "--fix-thin")
	if pack.err != nil { // git's complaint would be a consequence
		return escrow.Errorf(escrow.Damaged, "deposit %d: %v", d.Number, pack.err)
	}
	if err != nil {
		return b.indexPackError(ctx, d, err)
	}
	if !pack.whole { // git stopped reading before the end
		if _, err := io.Copy(io.Discard, pack); err != nil {
			return escrow.Errorf(escrow.Damaged, "deposit %d: %v", d.Number, err)
		}
	}
	if !empty {
		return nil
	}
	// A pack without objects has done its duty by being whole.
	name := strings.TrimSpace(strings.TrimPrefix(out.String(), "pack\t"))
	if _, err := object.ParseOID(f, name); err != nil {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(b.git.dir, "objects", "pack", "pack-"+name+".*"))
	if err != nil {
		return fmt.Errorf("deposit %d: %w", d.Number, err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("deposit %d: %w", d.Number, err)
		}
	}
	return nil
}

func (b *builder) indexPackError(ctx context.Context, d Deposit, err error) error {
	failed, ok := errors.AsType[*gitError](err)
	if !ok || ctx.Err() != nil {
		return err
	}
	if full := fullDisk(err); full != nil {
		return full
	}
	if strings.Contains(failed.stderr, "unresolved delta") {
		return escrow.Wrap(err, escrow.Missing, "deposit %d: its pack builds on objects that no deposit before it holds", d.Number).
			WithHint("a deposit before %d is not the right one", d.Number)
	}
	return escrow.Wrap(err, escrow.Damaged, "deposit %d: git refuses its pack", d.Number).
		WithHint("what git said: %s", firstLine(failed.stderr))
}

// fullDisk returns the error to give when err says that there is no room.
func fullDisk(err error) error {
	failed, ok := errors.AsType[*gitError](err)
	if errors.Is(err, syscall.ENOSPC) || ok && (strings.Contains(failed.stderr, "No space left") || strings.Contains(failed.stderr, "Disk quota")) {
		return escrow.Wrap(err, escrow.Full, "no room left on the target's disk").
			WithHint("make room, or give a directory on another disk; nothing was left behind")
	}
	return nil
}

// diskError gives an error of the target's file system its code.
func diskError(err error, format string, args ...any) error {
	code, hint := escrow.Invalid, "see that the directory exists and that you may write there"
	switch {
	case fullDisk(err) != nil:
		return fullDisk(err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		code = escrow.Forbidden
	case errors.Is(err, fs.ErrNotExist):
		code = escrow.NotFound
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		code, hint = escrow.Conflict, "give a directory that does not exist yet"
	}
	return escrow.Wrap(err, code, format, args...).WithHint("%s", hint)
}

// plaintext reads one decrypted stream and keeps the reason why it ended.
type plaintext struct {
	rc       io.ReadCloser
	what     string
	ctx      context.Context // ends a Read between two chunks
	n, told  int64
	progress func(n int64)
	err      error // any but io.EOF, with a code
}

// open opens a stream. The name is for messages.
func open(ctx context.Context, opener func(context.Context) (io.ReadCloser, error), what string, progress func(int64)) (*plaintext, error) {
	rc, err := opener(ctx)
	if err != nil {
		return nil, coded(err, what)
	}
	return &plaintext{rc: rc, what: what, ctx: ctx, progress: progress}, nil
}

func (p *plaintext) Read(buf []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if err := p.ctx.Err(); err != nil {
		p.err = err
		return 0, err
	}
	n, err := p.rc.Read(buf)
	p.n += int64(n)
	if p.n-p.told >= 4<<20 {
		p.told = p.n
		p.progress(p.n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = coded(err, p.what)
		err = p.err
	}
	return n, err
}

func (p *plaintext) close() { _ = p.rc.Close() }

// coded keeps an error that has a code, and takes any other failure to give
// the bytes as damage to them.
func coded(err error, what string) error {
	if _, ok := errors.AsType[*escrow.Error](err); ok || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", what, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return escrow.Wrap(err, escrow.Missing, "%s is not there", what)
	}
	return escrow.Wrap(err, escrow.Damaged, "%s cannot be read to its end", what)
}
