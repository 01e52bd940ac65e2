package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/blob"
	"holdfast/internal/blob/blobtest"
	"holdfast/internal/blob/file"
	"holdfast/internal/blob/s3"
	"holdfast/internal/blob/s3/s3test"
	"holdfast/internal/escrow"
)

func options(t testing.TB, server *s3test.Server, bucket string) s3.Options {
	t.Helper()
	spool, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s3.Options{Bucket: bucket, Endpoint: server.Endpoint, Region: s3test.Region, Spool: spool, Credentials: access(s3test.KeyID, s3test.Secret)}
}

func access(id, secret string) func() (s3.Access, error) {
	return func() (s3.Access, error) { return s3.Access{KeyID: id, Secret: secret}, nil }
}

func open(t testing.TB, o s3.Options) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	server := s3test.Start(t)
	n := atomic.Int64{}
	t.Run("plain", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Store { n.Add(1); return open(t, options(t, server, server.Bucket(t, false))) })
	})
	t.Run("prefix", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Store {
			o := options(t, server, server.Bucket(t, false))
			o.Prefix = "holdfast/objects/"
			return open(t, o)
		})
	})
}

// A bucket that cannot be used says why at once, and says no secret.
func TestUnusableBuckets(t *testing.T) {
	server := s3test.Start(t)
	bucket := server.Bucket(t, false)
	server.User(t, "stranger", "secret-of-a-stranger")
	for _, tt := range []struct {
		name   string
		change func(*s3.Options)
		code   escrow.Code
		want   string
	}{
		{"missing bucket", func(o *s3.Options) { o.Bucket = "no-such-bucket" }, escrow.Unavailable, "is not there"},
		{"unknown key", func(o *s3.Options) { o.Credentials = access("nobody", s3test.Secret) }, escrow.Unavailable, "access"},
		{"wrong secret", func(o *s3.Options) { o.Credentials = access(s3test.KeyID, "wrong-secret") }, escrow.Unavailable, "access"},
		{"no permission", func(o *s3.Options) { o.Credentials = access("stranger", "secret-of-a-stranger") }, escrow.Unavailable, "refuses access"},
		{"wrong region", func(o *s3.Options) { o.Region = "us-west-9" }, escrow.Unavailable, "region"},
		{"nobody there", func(o *s3.Options) { o.Endpoint = "http://127.0.0.1:1" }, escrow.Unavailable, "does not answer"},
		{"no lock", func(o *s3.Options) { o.Retain = time.Hour }, escrow.Invalid, "no object lock"},
		{"no credentials file", func(o *s3.Options) {
			o.Credentials = func() (s3.Access, error) {
				return s3.Access{}, escrow.Errorf(escrow.Invalid, "credentials file /x is not there").WithHint("name another")
			}
		}, escrow.Unavailable, "/x is not there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(t, server, bucket)
			tt.change(&o)
			_, err := s3.Open(t.Context(), o)
			if escrow.CodeOf(err) != tt.code {
				t.Fatalf("open: %v", err)
			}
			e, _ := errors.AsType[*escrow.Error](err)
			if !strings.Contains(e.Message, tt.want) && !strings.Contains(e.Hint, tt.want) || e.Hint == "" {
				t.Errorf("message %q, hint %q, want %q in one", e.Message, e.Hint, tt.want)
			}
			if strings.Contains(err.Error(), s3test.Secret) || strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// What is locked stays, whoever asks; a lock that ends soon is extended.
func TestObjectLock(t *testing.T) {
	server := s3test.Start(t)
	o := options(t, server, server.Bucket(t, true))
	o.Retain = time.Hour
	s := open(t, o)
	name := blobtest.Put(t, s, []byte("must stay"))
	if blobtest.Put(t, s, []byte("must stay")) != name {
		t.Error("another name")
	}
	err := s.Delete(t.Context(), name)
	if escrow.CodeOf(err) != escrow.Conflict || !strings.Contains(err.Error(), "locked") {
		t.Errorf("delete of a locked object: %v", err)
	}
	if _, err := s.Stat(t.Context(), name); err != nil {
		t.Errorf("a locked object is gone: %v", err)
	}
	o.Now = func() time.Time { return time.Now().Add(45 * time.Minute) } // the lock ends in a quarter of an hour
	if err := open(t, o).Renew(t.Context(), name); err != nil {
		t.Errorf("renew: %v", err)
	}
}

func TestLargeObjectsInParts(t *testing.T) {
	server := s3test.Start(t)
	s := open(t, options(t, server, server.Bucket(t, false)))
	data := make([]byte, 20<<20+7)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	name := blobtest.Put(t, s, data)
	r, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := blob.Check(t.Context(), r, name); err != nil {
		t.Error(err)
	}
	if blobtest.Put(t, s, data) != name { // compared with what is there
		t.Error("another name")
	}
}

// Connections that end in the middle, and a service that goes away: an error,
// never a part of an object, and all is well when it is back.
func TestCutConnections(t *testing.T) {
	server := s3test.Start(t)
	proxy := s3test.NewProxy(t, server)
	o := options(t, server, server.Bucket(t, false))
	o.Endpoint = "http://" + proxy.Address
	o.Quiet = 2 * time.Second
	s := open(t, o)
	kept := bytes.Repeat([]byte("kept"), 300_000)
	name := blobtest.Put(t, s, kept)

	data := bytes.Repeat([]byte("cut "), 1_000_000)
	proxy.Cut()
	proxy.CutAfter(600_000)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	err := s.Put(ctx, evidence.Digest(data), int64(len(data)), bytes.NewReader(data))
	if escrow.CodeOf(err) != escrow.Unavailable {
		t.Errorf("upload over connections that are cut: %v", err)
	}
	r, err := s.Open(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.ReadAt(make([]byte, len(kept)), 0); err == nil {
		t.Errorf("read over connections that are cut: %d bytes and no error", n)
	}
	r.Close()
	proxy.CutAfter(0)
	proxy.Cut()
	if _, err := s.Stat(ctx, evidence.Digest(data)); escrow.CodeOf(err) != escrow.Missing {
		t.Errorf("after a cut upload: %v", err)
	}
	proxy.Refuse(true)
	if _, err := s.Stat(ctx, name); escrow.CodeOf(err) != escrow.Unavailable {
		t.Errorf("stat while the service is away: %v", err)
	}
	proxy.Refuse(false)
	if blobtest.Put(t, s, data) != evidence.Digest(data) {
		t.Error("another name")
	}
}

// A service that gives other bytes: found by Check, replaced by Replace, and
// what it had is kept aside.
func TestAlteredBytes(t *testing.T) {
	server := s3test.Start(t)
	o := options(t, server, server.Bucket(t, false))
	s := open(t, o)
	data := bytes.Repeat([]byte("true"), 1000)
	name := blobtest.Put(t, s, data)
	path := filepath.Join(server.Dir, o.Bucket, name)
	lie := bytes.Clone(data)
	lie[1234] ^= 1
	if err := os.WriteFile(path, lie, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), name, int64(len(data)), bytes.NewReader(data)); escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("put over altered bytes: %v", err)
	}
	if err := s.Replace(t.Context(), name, int64(len(data)), bytes.NewReader(lie)); escrow.CodeOf(err) != escrow.Damaged {
		t.Errorf("replace by other bytes: %v", err)
	}
	if err := s.Replace(t.Context(), name, int64(len(data)), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := blob.Check(t.Context(), r, name); err != nil {
		t.Error(err)
	}
	if kept, err := filepath.Glob(filepath.Join(server.Dir, o.Bucket, "aside", name+".*")); err != nil || len(kept) == 0 {
		t.Errorf("nothing was kept aside: %v, %v", kept, err)
	}
	if err := s.List(t.Context(), func(n string, _ int64) error {
		if n != name {
			t.Errorf("listed %s", n)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
