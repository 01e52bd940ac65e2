package restore

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/lfs/pointer"
)

// LFSReport says which large files came with the repository.
type LFSReport struct {
	Held    int // objects under lfs/objects
	Bytes   int64
	Missing []pointer.Pointer // named by a pointer somewhere in the repository, in no deposit; by id
	Damaged []string          // sealed objects left out, with the reason; see Options.SkipDamagedLFS
}

// takeLFS puts every LFS object at lfs/objects/aa/bb/oid, where git-lfs looks
// for it, under the hash of what was read.
func (b *builder) takeLFS(ctx context.Context) error {
	var all []LFSObject
	for _, d := range b.opts.Deposits {
		all = append(all, d.LFS...)
	}
	dir := filepath.Join(b.git.dir, "lfs")
	held := make(map[string]bool, len(all))
	for i, o := range all {
		if o.OID != "" && held[o.OID] {
			continue
		}
		p := Progress{Step: StepLFS, Done: i, Of: len(all)}
		b.progress(p)
		oid, n, err := b.takeLFSObject(ctx, o, dir, func(read int64) {
			p.Bytes = read
			b.progress(p)
		})
		switch code := escrow.CodeOf(err); {
		case err == nil && !held[oid]:
			held[oid] = true
			b.report.LFS.Held++
			b.report.LFS.Bytes += n
		case err != nil && b.opts.SkipDamagedLFS && (code == escrow.Damaged || code == escrow.Missing):
			b.report.LFS.Damaged = append(b.report.LFS.Damaged, err.Error())
		case err != nil:
			return err
		}
	}
	return b.missingLFS(ctx, held)
}

func (b *builder) takeLFSObject(ctx context.Context, o LFSObject, dir string, progress func(int64)) (string, int64, error) {
	plain, err := open(ctx, o.Open, "LFS object "+o.Name, progress)
	if err != nil {
		return "", 0, err
	}
	defer plain.close()
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o777); err != nil {
		return "", 0, diskError(err, "lfs/tmp cannot be made")
	}
	f, err := os.CreateTemp(filepath.Join(dir, "tmp"), "object-")
	if err != nil {
		return "", 0, diskError(err, "lfs/tmp cannot take a file")
	}
	defer os.Remove(f.Name())
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), plain)
	if plain.err != nil {
		f.Close()
		return "", 0, plain.err
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", 0, diskError(err, "lfs/objects cannot be written")
	}
	oid := hex.EncodeToString(sum.Sum(nil))
	if o.OID != "" && o.OID != oid {
		return "", 0, escrow.Errorf(escrow.Damaged, "LFS object %s holds %s, not %.64s", o.Name, oid, o.OID)
	}
	at := filepath.Join(dir, "objects", oid[:2], oid[2:4])
	if err := os.MkdirAll(at, 0o777); err != nil {
		return "", 0, diskError(err, "lfs/objects cannot be written")
	}
	if err := errors.Join(os.Chmod(f.Name(), 0o644), os.Rename(f.Name(), filepath.Join(at, oid))); err != nil {
		return "", 0, diskError(err, "lfs/objects cannot be written")
	}
	return oid, n, nil
}

// missingLFS looks at every blob that can be a pointer, in all of the
// history, and lists the objects that are not held.
func (b *builder) missingLFS(ctx context.Context, held map[string]bool) error {
	var candidates bytes.Buffer
	out := &lines{take: func(line string) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[1] != "blob" {
			return
		}
		if n, err := strconv.Atoi(fields[2]); err == nil && n >= pointer.Min-1 && n < pointer.Max {
			candidates.WriteString(fields[0] + "\n")
		}
	}}
	err := b.git.command(ctx, pipes{out: out}, "cat-file", "--batch-all-objects", "--unordered", "--buffer",
		"--batch-check=%(objectname) %(objecttype) %(objectsize)")
	if err != nil {
		return err
	}
	out.flush()
	if candidates.Len() == 0 {
		return nil
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	missing := map[string]pointer.Pointer{}
	go func() {
		err := eachBlob(bufio.NewReader(r), func(content []byte) {
			if p, err := pointer.Parse(content); err == nil && !held[p.OID] {
				missing[p.OID] = p
			}
		})
		r.CloseWithError(err)
		done <- err
	}()
	err = b.git.command(ctx, pipes{in: &candidates, out: w}, "cat-file", "--batch", "--buffer")
	w.Close()
	if err := errors.Join(<-done, err); err != nil {
		return err
	}
	for _, p := range missing {
		b.report.LFS.Missing = append(b.report.LFS.Missing, p)
	}
	slices.SortFunc(b.report.LFS.Missing, func(x, y pointer.Pointer) int { return strings.Compare(x.OID, y.OID) })
	if n := len(missing); n > 0 {
		b.note("%d LFS objects that the history names are in no deposit", n)
	}
	return nil
}

// eachBlob reads the answers of git cat-file --batch.
func eachBlob(r *bufio.Reader, take func([]byte)) error {
	for {
		header, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) && header == "" {
			return nil
		}
		fields := strings.Fields(header)
		if err != nil || len(fields) != 3 {
			return fmt.Errorf("git cat-file: unexpected answer %.100q", header)
		}
		n, err := strconv.Atoi(fields[2])
		if err != nil || n < 0 || n >= pointer.Max {
			return fmt.Errorf("git cat-file: unexpected answer %.100q", header)
		}
		content := make([]byte, n+1)
		if _, err := io.ReadFull(r, content); err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		take(content[:n])
	}
}
