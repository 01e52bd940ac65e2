package git

import (
	"context"
	"net/http"
	"os"
	"path/filepath"

	"holdfast/evidence"
	"holdfast/internal/intake/git/lfs"
	"holdfast/internal/intake/git/lfs/pointer"
	"holdfast/internal/intake/git/wire"
)

// largeFiles is what became of the LFS objects that one sync asked for.
type largeFiles struct {
	entries []evidence.ObjectEntry // in the vault since
	held    map[string]bool
	reasons map[string]string // of those that did not come
}

const notAsked = "large files are not fetched for this module"

// fetchLarge asks for those of list that are neither held nor asked for
// before, and marks in list what is held now.
func (s *syncer) fetchLarge(ctx context.Context, list []LFSObject) error {
	if s.large.held == nil {
		s.large.held, s.large.reasons = make(map[string]bool), make(map[string]string)
	}
	var wanted []pointer.Pointer
	for _, o := range list {
		if !o.Held && !s.large.held[o.OID] && s.large.reasons[o.OID] == "" {
			wanted = append(wanted, pointer.Pointer{OID: o.OID, Size: o.Size})
		}
	}
	if len(wanted) > 0 && !s.opts.Source.LFS {
		for _, p := range wanted {
			s.large.reasons[p.OID] = notAsked
		}
	} else if len(wanted) > 0 {
		opts, err := s.lfsOptions(ctx)
		if err != nil {
			return err
		}
		result, err := lfs.Fetch(ctx, opts, wanted)
		if err != nil {
			return err
		}
		for _, o := range result.Held {
			s.large.held[o.OID] = true
			s.large.entries = append(s.large.entries, o.Entry)
		}
		for _, o := range result.Missing {
			s.large.reasons[o.OID] = o.Reason
		}
	}
	for i, o := range list {
		list[i].Held = o.Held || s.large.held[o.OID]
	}
	return nil
}

// lfsOptions says where the source's large files are.
func (s *syncer) lfsOptions(ctx context.Context) (lfs.Options, error) {
	source := s.opts.Source.Endpoint
	opts := lfs.Options{
		Create: func(ctx context.Context) (lfs.Envelope, error) { return s.opts.Vault.Create(ctx, RoleLFS) },
	}
	scheme, path, err := source.Place()
	if err != nil {
		return opts, err
	}
	if scheme == "file" {
		opts.Local = lfsDirectory(path)
		return opts, nil
	}
	opts.Client = &http.Client{Transport: s.opts.Wire.HTTPTransport()}
	opts.Endpoint = func(ctx context.Context) (lfs.Endpoint, error) {
		if scheme == "ssh" {
			return lfs.FromSSH(ctx, func(ctx context.Context, command string) ([]byte, error) {
				return wire.RunSSH(ctx, source, s.opts.Wire, command)
			}, path)
		}
		return lfs.FromHTTP(source.URL, "", source.User, string(source.Token))
	}
	return opts, nil
}

// lfsDirectory is where git-lfs keeps objects for a repository at path.
func lfsDirectory(path string) string {
	if info, err := os.Stat(filepath.Join(path, ".git")); err == nil && info.IsDir() {
		path = filepath.Join(path, ".git")
	}
	return filepath.Join(path, "lfs")
}
