package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/blob/s3/s3test"
	"holdfast/internal/config"
)

// place is a location in a directory, or behind a service that keeps its
// objects in one.
type place struct {
	id, dir string
	mounted bool // a small file system of its own
	remote  bool // a bucket
}

// moveToBucket makes a location a bucket of a real S3 server, behind a wire
// that can be broken, where there is such a server.
func (c *campaign) moveToBucket(p *place, l *config.Location) {
	if os.Getenv("HOLDFAST_TEST_VERSITYGW") == "" && os.Getenv("HOLDFAST_TEST_TOOLS_REQUIRED") != "1" {
		c.t.Log("no location is a bucket: HOLDFAST_TEST_VERSITYGW names no S3 server")
		return
	}
	service := s3test.Start(c.t)
	c.wire = s3test.NewProxy(c.t, service)
	credentials := filepath.Join(c.t.TempDir(), "credentials")
	if err := os.WriteFile(credentials, []byte("[default]\naws_access_key_id="+s3test.KeyID+"\naws_secret_access_key="+s3test.Secret+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	bucket := service.Bucket(c.t, false)
	*l = config.Location{ID: p.id, Kind: config.S3Location, Endpoint: "http://" + c.wire.Address, Region: s3test.Region, Bucket: bucket, CredentialsFile: credentials}
	p.remote, p.dir = true, filepath.Join(service.Dir, bucket)
}

// mountSmall gives a location a file system that can be filled, where this
// user may.
func (c *campaign) mountSmall(p *place) {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", p.dir, "tmpfs", 0, "size=256m"); err != nil {
		c.t.Logf("no disk is filled up: cannot mount one here: %v", err)
		return
	}
	p.mounted = true
	c.t.Cleanup(func() {
		if err := syscall.Unmount(p.dir, 0); err != nil {
			c.t.Error(err)
		}
	})
}

// offline puts something else in the place of the location's directory, as a
// disk that was unplugged or another one mounted there.
func (c *campaign) offline(p *place, pause time.Duration) {
	if p.mounted || p.remote {
		p = c.places[0]
	}
	away := p.dir + ".away"
	if err := os.Rename(p.dir, away); err != nil {
		c.t.Fatal(err)
	}
	if c.random.IntN(2) == 0 { // an empty mount point; else nothing at all
		if err := os.Mkdir(p.dir, 0o700); err != nil {
			c.t.Fatal(err)
		}
	}
	time.Sleep(pause)
	// What was written to the place meanwhile is not the location.
	if err := os.RemoveAll(p.dir); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(away, p.dir); err != nil {
		c.t.Fatal(err)
	}
}

// fill leaves no room on a location's disk.
func (c *campaign) fill(p *place, pause time.Duration) {
	path := filepath.Join(p.dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		return // full already
	}
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	f.Close()
	time.Sleep(pause)
	if err := os.Remove(path); err != nil {
		c.t.Error(err)
	}
}

// spoil changes a copy of an object that a deposit needs, and of which another
// place has a good one.
func (c *campaign) spoil(how string, at *place) bool {
	names := at.objects(c.t)
	c.random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:min(len(names), 20)] {
		if slices.ContainsFunc(c.spoiled, func(s spoiled) bool { return s.object == name }) || !at.good(name) {
			continue
		}
		elsewhere := slices.ContainsFunc(c.places, func(p *place) bool { return p != at && p.good(name) })
		if !elsewhere {
			continue
		}
		if err := c.damage(how, at.path(name)); err != nil {
			c.t.Fatal(err)
		}
		c.spoiled = append(c.spoiled, spoiled{name, at, how})
		c.copies++
		return true
	}
	return false
}

func (c *campaign) damage(how, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	switch at := c.random.IntN(len(data)); how {
	case "bit flipped":
		data[at] ^= 1 << c.random.IntN(8)
	case "copy cut off":
		return os.Truncate(path, int64(at))
	case "copy gone":
		return os.Remove(path)
	case "copy replaced": // by something of the same length: a place that lies
		for i := range data {
			data[i] = byte(c.random.Uint32())
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, data, 0o600)); err != nil {
		return err
	}
	// A medium that rots does not tell by the time of the file.
	return errors.Join(os.Chmod(path, info.Mode().Perm()), os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func (p *place) path(name string) string {
	if p.remote {
		return filepath.Join(p.dir, name)
	}
	return filepath.Join(p.dir, name[:2], name)
}

func (p *place) good(name string) bool {
	data, err := os.ReadFile(p.path(name))
	return err == nil && evidence.Digest(data) == name
}

func (p *place) objects(t testing.TB) []string {
	pattern := filepath.Join(p.dir, "[0-9a-f][0-9a-f]", "*")
	if p.remote {
		pattern = filepath.Join(p.dir, "*")
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		if name := filepath.Base(path); evidence.IsDigest(name) {
			names = append(names, name)
		}
	}
	return names
}
