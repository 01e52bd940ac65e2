package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/internal/escrow"
)

// Deposit is one deposit of the chain.
type Deposit struct {
	Number int
	// Set opens the plaintext of the object with role [RoleSet], Object that
	// of any other by its name.
	Set    func(ctx context.Context) (io.ReadCloser, error)
	Object func(ctx context.Context, name string) (io.ReadCloser, error)
}

// Restored says what a layout holds.
type Restored struct {
	Images  []Image
	Blobs   int
	Bytes   int64
	Missing []string // digests that the images name and no deposit holds: left out, or missing at the source
}

// Restore writes the images of the last deposit as an OCI layout into dir,
// which must not exist. deposits are those of the chain, from its FULL one on.
// Every blob is compared with its digest; only what the images need is
// written. On an error dir may be left half done: the caller gives it a name.
func Restore(ctx context.Context, dir string, deposits []Deposit, progress func(bytes int64)) (*Restored, error) {
	r := &restoring{dir: dir, progress: progress, blobs: map[string]located{}, done: map[string]bool{}, out: &Restored{}}
	var last *Set
	for _, d := range deposits {
		set, err := readSet(ctx, d)
		if err != nil {
			return nil, err
		}
		for _, b := range set.Blobs {
			r.blobs[b.Digest] = located{b, d}
		}
		last = set
	}
	if last == nil {
		return nil, escrow.Errorf(escrow.Missing, "there is no deposit to restore")
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o700); err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "%s", dir)
	}
	x := index{SchemaVersion: 2, MediaType: "application/vnd.oci.image.index.v1+json", Manifests: []indexDescriptor{}}
	for _, m := range last.Images {
		if err := r.manifest(ctx, m.Digest, 0); err != nil {
			return nil, fmt.Errorf("image %s: %w", cmpName(m), err)
		}
		d := indexDescriptor{MediaType: m.MediaType, Digest: m.Digest, Size: m.Size}
		if m.Name != "" {
			d.Annotations = map[string]string{refName: m.Name}
			if strings.Contains(last.Source, "/") {
				d.Annotations["io.containerd.image.name"] = last.Source + ":" + m.Name
			}
		}
		x.Manifests = append(x.Manifests, d)
	}
	r.out.Images = last.Images
	slices.Sort(r.out.Missing)
	data, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"index.json": data, "oci-layout": []byte(layoutVersion)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, escrow.Wrap(err, escrow.Full, "%s", dir)
		}
	}
	return r.out, nil
}

func readSet(ctx context.Context, d Deposit) (*Set, error) {
	rc, err := d.Set(ctx)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	set, err := ReadSet(rc)
	if err != nil {
		if _, ok := errors.AsType[*escrow.Error](err); ok {
			return nil, fmt.Errorf("deposit %d: %w", d.Number, err)
		}
		return nil, escrow.Errorf(escrow.Damaged, "deposit %d: %v", d.Number, err)
	}
	// To the very end, where the object's own digest is compared.
	if _, err := io.Copy(io.Discard, rc); err != nil {
		return nil, fmt.Errorf("deposit %d: %w", d.Number, err)
	}
	return set, nil
}

type located struct {
	blob    Blob
	deposit Deposit
}

type restoring struct {
	dir      string
	progress func(int64)
	blobs    map[string]located
	done     map[string]bool
	out      *Restored
}

// manifest writes a manifest and everything that it names.
func (r *restoring) manifest(ctx context.Context, digest string, depth int) error {
	if r.done[digest] {
		return nil
	}
	at, held := r.blobs[digest]
	if !held || depth > maxDepth {
		return r.missing(digest)
	}
	if at.blob.Object != "" {
		return escrow.Errorf(escrow.Damaged, "manifest %s lies in an object of its own", digest)
	}
	m, err := parseManifest(at.blob.Data)
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "manifest %s: %v", digest, err)
	}
	if err := r.blob(ctx, digest); err != nil {
		return err
	}
	for _, d := range m.Manifests {
		take := r.blob
		if isManifest(d.MediaType) {
			take = func(ctx context.Context, digest string) error { return r.manifest(ctx, digest, depth+1) }
		}
		if err := take(ctx, d.Digest); err != nil {
			return err
		}
	}
	parts := append(slices.Clone(m.Layers), m.Blobs...)
	if m.Config != nil {
		parts = append(parts, *m.Config)
	}
	for _, d := range parts {
		if err := r.blob(ctx, d.Digest); err != nil {
			return err
		}
	}
	return nil
}

func (r *restoring) missing(digest string) error {
	if !slices.Contains(r.out.Missing, digest) {
		r.out.Missing = append(r.out.Missing, digest)
	}
	return nil
}

// blob writes one blob under its digest, or notes that it is not held.
func (r *restoring) blob(ctx context.Context, digest string) (err error) {
	if r.done[digest] {
		return nil
	}
	at, held := r.blobs[digest]
	if !held {
		return r.missing(digest)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.done[digest] = true
	var in io.Reader = strings.NewReader(string(at.blob.Data))
	if at.blob.Object != "" {
		rc, err := at.deposit.Object(ctx, at.blob.Object)
		if err != nil {
			return fmt.Errorf("deposit %d: %w", at.deposit.Number, err)
		}
		defer rc.Close()
		in = rc
	}
	path := filepath.Join(r.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return escrow.Wrap(err, escrow.Invalid, "%s", path)
	}
	sum := sha256.New()
	source := &arriving{r: in}
	n, err := io.Copy(io.MultiWriter(f, sum), source)
	cerr := f.Close()
	switch {
	case source.err != nil:
		return fmt.Errorf("deposit %d: %w", at.deposit.Number, source.err)
	case err != nil || cerr != nil:
		return escrow.Wrap(errors.Join(err, cerr), escrow.Full, "%s", path)
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); n != at.blob.Size || got != digest {
		return escrow.Errorf(escrow.Damaged, "deposit %d gives %d bytes with digest %s as blob %s of %d bytes", at.deposit.Number, n, got, digest, at.blob.Size)
	}
	r.out.Blobs, r.out.Bytes = r.out.Blobs+1, r.out.Bytes+n
	if r.progress != nil {
		r.progress(r.out.Bytes)
	}
	return nil
}
