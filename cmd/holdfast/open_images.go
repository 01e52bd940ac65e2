package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/export"
	"holdfast/internal/intake/images"
)

// openedImages is what is printed about a module with container images.
type openedImages struct {
	Images  []openedImage `json:"images"`
	Blobs   int           `json:"blobs"`
	Bytes   int64         `json:"bytes"`
	Missing []string      `json:"missing,omitempty"`
}

type openedImage struct {
	Name   string `json:"name,omitempty"`
	Digest string `json:"digest"`
}

// images writes the images of a module as an OCI layout.
func (c *openCmd) images(ctx context.Context, s *streams, keys *keyRing, list []export.OpenDeposit, id, dir string) (openedModule, error) {
	start := 0
	for i, d := range list {
		if d.Manifest.Kind == string(escrow.FullDeposit) {
			start = i
		}
	}
	chain := list[start:]
	last := chain[len(chain)-1].Manifest
	o := openedModule{Module: id, Dir: filepath.Join(c.To, filepath.FromSlash(id)), Deposit: last.Number}
	if first := chain[0].Manifest; first.Kind != string(escrow.FullDeposit) {
		return o, escrow.Errorf(escrow.Missing, "deposit %d of %s, which the others build on, is not here", first.Chain, id)
	}
	var deposits []images.Deposit
	var total int64
	for _, d := range chain {
		m := d.Manifest
		if d.Destroyed() != nil {
			return o, escrow.Errorf(escrow.Missing, "deposit %d of %s was destroyed, and deposit %d builds on it", m.Number, id, last.Number).WithHint("open an earlier state with --at")
		}
		o.Deposits = append(o.Deposits, m.Number)
		if m.Images != nil {
			total += m.Images.Bytes
		}
		deposits = append(deposits, images.Deposit{Number: m.Number,
			Set: func(context.Context) (io.ReadCloser, error) {
				at := slices.IndexFunc(m.Objects, func(o evidence.ObjectEntry) bool { return o.Role == images.RoleSet })
				if at < 0 {
					return nil, escrow.Errorf(escrow.Damaged, "deposit %d has no set of images", m.Number)
				}
				return keys.open(m, m.Objects[at])
			},
			Object: func(_ context.Context, name string) (io.ReadCloser, error) {
				at := slices.IndexFunc(m.Objects, func(o evidence.ObjectEntry) bool { return o.Name == name })
				if at < 0 {
					return nil, escrow.Errorf(escrow.Damaged, "the set of deposit %d names object %.80q, its manifest does not", m.Number, name)
				}
				return keys.open(m, m.Objects[at])
			}})
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return o, escrow.Wrap(err, escrow.Invalid, "%s", dir)
	}
	bar := newProgress(s, id)
	defer bar.done()
	r, err := images.Restore(ctx, dir, deposits, func(n int64) { bar.of(n, max(total, n)) })
	if err != nil {
		return o, err
	}
	o.Images = &openedImages{Images: []openedImage{}, Blobs: r.Blobs, Bytes: r.Bytes, Missing: r.Missing}
	for _, m := range r.Images {
		o.Images.Images = append(o.Images.Images, openedImage{m.Name, m.Digest})
	}
	for _, d := range r.Missing {
		o.Missing = append(o.Missing, d+": left out as agreed, or missing at the source")
	}
	return o, nil
}

// maxShownImages is how many images are listed for people.
const maxShownImages = 20

func (o *openedModule) printImages(s *streams) {
	fmt.Fprintf(s.out, "  images  %d in an OCI layout, %d parts of %s, each equal to its digest\n", len(o.Images.Images), o.Images.Blobs, size(o.Images.Bytes))
	for i, m := range o.Images.Images {
		if i == maxShownImages {
			fmt.Fprintf(s.out, "          and %d more\n", len(o.Images.Images)-i)
			break
		}
		fmt.Fprintf(s.out, "          %s %s\n", orDash(m.Name), m.Digest)
	}
}
