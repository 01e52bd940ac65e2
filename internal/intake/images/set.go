// Package images takes container images in: by digest from a registry or an
// OCI layout, only what is new since the last deposit, and gives them back as
// an OCI layout that stock tools load. It may import evidence and escrow.
//
// Formats: https://github.com/opencontainers/image-spec, the manifests of
// Docker's registry of schema 2 included.
package images

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// The roles of the objects of a deposit of images.
const (
	RoleSet   = "image-set"   // a [Set], one in every deposit
	RoleLayer = "image-layer" // one blob that is not in the set itself, a layer above all
)

// SetFormat names the format of a [Set].
const SetFormat = "holdfast-images/v1"

// Set says, sealed, which images a deposit is of and where their bytes are.
// Manifests, indexes and configurations are in it byte by byte.
type Set struct {
	Format string  `json:"format"`
	Source string  `json:"source"` // the repository, or "layout" for a directory
	Images []Image `json:"images"` // all that are there at this deposit
	Blobs  []Blob  `json:"blobs"`  // all that no deposit of the chain before it holds
}

// Image is a name and what it means.
type Image struct {
	Name      string `json:"name,omitempty"` // a tag; "" for one that was asked for by its digest
	Digest    string `json:"digest"`         // sha256:…
	MediaType string `json:"media_type"`
	Size      int64  `json:"size"`
}

// Blob is one piece of an image by its digest: in Data, or in an object.
type Blob struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
	Data   []byte `json:"data,omitempty"`
	Object string `json:"object,omitempty"`
}

// Bounds on what a registry or a set can say.
const (
	maxImages   = 2000
	maxManifest = 4 << 20
	maxInline   = 4 << 20  // a configuration that is larger becomes an object
	maxInlined  = 64 << 20 // of all configurations together; the set is made in memory
	maxDepth    = 4
	maxChildren = 1000
	maxBlobs    = evidence.MaxObjects - 1
	maxSet      = 1 << 30
)

// isDigest reports whether s is a SHA-256 as registries write it. No other
// algorithm is taken.
func isDigest(s string) bool {
	name, ok := strings.CutPrefix(s, "sha256:")
	return ok && evidence.IsDigest(name)
}

func digestOf(data []byte) string { return "sha256:" + evidence.Digest(data) }

// isTag reports whether s can be a tag, by the rule of the distribution
// specification, so that it can be a line and an annotation as well.
func isTag(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-')
	})
}

// ReadSet reads a set strictly.
func ReadSet(r io.Reader) (*Set, error) {
	s := &Set{}
	dec := json.NewDecoder(io.LimitReader(r, maxSet))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("image set: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("image set: something follows it")
	}
	if s.Format != SetFormat {
		return nil, fmt.Errorf("image set: format %.80q, want %q", s.Format, SetFormat)
	}
	if len(s.Images) > maxImages || len(s.Blobs) > maxBlobs {
		return nil, fmt.Errorf("image set: %d images, %d blobs", len(s.Images), len(s.Blobs))
	}
	for i, m := range s.Images {
		if m.Name != "" && !isTag(m.Name) || !isDigest(m.Digest) || m.Size <= 0 || len(m.MediaType) > 255 {
			return nil, fmt.Errorf("image set: images[%d] is none", i)
		}
	}
	for i, b := range s.Blobs {
		switch {
		case !isDigest(b.Digest) || b.Size < 0:
			return nil, fmt.Errorf("image set: blobs[%d] has no digest", i)
		case b.Object == "" && (int64(len(b.Data)) != b.Size || digestOf(b.Data) != b.Digest):
			return nil, fmt.Errorf("image set: blobs[%d] is not what its digest says", i)
		case b.Object != "" && (!evidence.IsDigest(b.Object) || len(b.Data) > 0):
			return nil, fmt.Errorf("image set: blobs[%d] names no object", i)
		}
	}
	return s, nil
}

// stateFormat names the format of a [State].
const stateFormat = "holdfast-images-state/v1"

// State is what the next deposit has to know, sealed to whoever makes it.
type State struct {
	Format  string   `json:"format"`
	Deposit int      `json:"deposit"`
	Images  []Image  `json:"images"`
	Held    []string `json:"held"` // digests of the chain's blobs, without sha256:, in one string of hexadecimal each
	Exclude []string `json:"exclude,omitempty"`
	Missing int      `json:"missing,omitempty"`
}

// Encode writes the state.
func (s *State) Encode() ([]byte, error) {
	s.Format = stateFormat
	return json.Marshal(s)
}

// ParseState is the inverse of Encode.
func ParseState(data []byte) (*State, error) {
	s := &State{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil || s.Format != stateFormat {
		return nil, escrow.Errorf(escrow.Damaged, "the state of the last deposit of images cannot be read")
	}
	for _, d := range s.Held {
		if b, err := hex.DecodeString(d); err != nil || len(b) != 32 {
			return nil, escrow.Errorf(escrow.Damaged, "the state of the last deposit of images cannot be read")
		}
	}
	return s, nil
}

func sortImages(list []Image) {
	slices.SortFunc(list, func(a, b Image) int {
		return strings.Compare(a.Name+"\x00"+a.Digest, b.Name+"\x00"+b.Digest)
	})
}
