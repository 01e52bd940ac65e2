package images

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"holdfast/internal/escrow"
)

// refName is the annotation that names an image of a layout.
const refName = "org.opencontainers.image.ref.name"

// layoutVersion is what the file oci-layout says.
const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

// index is the index.json of a layout.
type index struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Manifests     []indexDescriptor `json:"manifests"`
}

type indexDescriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Layout is an OCI layout in a directory, such as other tools write.
type Layout struct{ dir string }

var _ Source = (*Layout)(nil)

// OpenLayout looks at a directory.
func OpenLayout(dir string) (*Layout, error) {
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%s is not an OCI layout: it has no oci-layout", dir).WithHint("make one, with 'skopeo copy docker://… oci:DIR' or 'crane pull --format oci'")
	}
	return &Layout{dir}, nil
}

// Name implements Source.
func (l *Layout) Name() string { return "layout" }

// Images implements Source.
func (l *Layout) Images(context.Context) ([]Image, error) {
	data, err := l.read("index.json", maxManifest)
	if err != nil {
		return nil, err
	}
	var x index
	if err := json.Unmarshal(data, &x); err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "index.json of the layout: %w", err)
	}
	seen := map[string]bool{}
	var out []Image
	for _, d := range x.Manifests {
		m := Image{Name: d.Annotations[refName], Digest: d.Digest, MediaType: d.MediaType, Size: d.Size}
		m.Name = m.Name[strings.LastIndexByte(m.Name, ':')+1:] // some write the whole reference
		if m.Name != "" && (!isTag(m.Name) || seen[m.Name]) {
			return nil, escrow.Errorf(escrow.Invalid, "index.json of the layout names an image %.80q, or two", m.Name)
		}
		if !isDigest(m.Digest) || m.Size <= 0 {
			return nil, escrow.Errorf(escrow.Invalid, "index.json of the layout names %.80q; only sha256 is taken", m.Digest)
		}
		seen[m.Name] = m.Name != ""
		out = append(out, m)
	}
	return out, nil
}

func (l *Layout) blob(digest string) string {
	return filepath.Join("blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// Manifest implements Source.
func (l *Layout) Manifest(_ context.Context, digest string) ([]byte, error) {
	return l.read(l.blob(digest), maxManifest)
}

func (l *Layout) read(name string, limit int64) ([]byte, error) {
	f, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, escrow.Errorf(escrow.Unavailable, "%s of the layout: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, escrow.Errorf(escrow.Invalid, "%s of the layout has more than %d bytes", name, limit)
	}
	return data, nil
}

func (l *Layout) open(name string) (*os.File, error) {
	f, err := os.Open(filepath.Join(l.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, escrow.Errorf(escrow.Missing, "the layout has no %s", name)
	}
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	return f, nil
}

// Blob implements Source.
func (l *Layout) Blob(_ context.Context, digest string) (io.ReadCloser, error) {
	return l.open(l.blob(digest))
}
