package gittest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/wire"
)

// isFetch reports whether a request asks for a pack, and leaves its body to
// be read again.
func isFetch(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.Header.Get("Content-Encoding") == "gzip" {
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, _ = io.ReadAll(z)
		}
	}
	return !bytes.Contains(body, []byte("command=ls-refs"))
}

// OnFetch calls f before each request for a pack is served, with its number
// from 1. With protocol v2 one fetch can be two requests. It is how a test
// changes the repository between the listing and the fetch.
func OnFetch(f func(n int)) Middleware {
	var count atomic.Int64
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isFetch(r) {
				f(int(count.Add(1)))
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Cut breaks the connection after so many bytes of an answer with a pack.
func Cut(after int64) Middleware {
	return onFetchAnswer(func(w http.ResponseWriter, _ *http.Request) http.ResponseWriter {
		return &limited{ResponseWriter: w, left: after, end: func() { panic(http.ErrAbortHandler) }}
	})
}

// Stall sends so many bytes of an answer with a pack and then nothing, until
// the client gives up or a minute has passed.
func Stall(after int64) Middleware {
	return onFetchAnswer(func(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
		return &limited{ResponseWriter: w, left: after, end: func() {
			select {
			case <-r.Context().Done():
			case <-time.After(time.Minute):
			}
			panic(http.ErrAbortHandler)
		}}
	})
}

func onFetchAnswer(wrap func(http.ResponseWriter, *http.Request) http.ResponseWriter) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isFetch(r) {
				w = wrap(w, r)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// limited passes some bytes through and then ends the answer its own way.
type limited struct {
	http.ResponseWriter
	left int64
	end  func()
}

func (l *limited) Write(p []byte) (int, error) {
	if int64(len(p)) < l.left {
		l.left -= int64(len(p))
		return l.ResponseWriter.Write(p)
	}
	l.ResponseWriter.Write(p[:l.left])
	l.left = 0
	http.NewResponseController(l.ResponseWriter).Flush()
	l.end()
	return 0, io.ErrClosedPipe
}

// Status answers requests that match with an HTTP status and a plain text.
func Status(code int, message string, only func(*http.Request) bool) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if only == nil || only(r) {
				http.Error(w, message, code)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Fetches matches the requests for a pack, for [Status] and [Redirect].
func Fetches(r *http.Request) bool { return isFetch(r) }

// EchoSecrets answers everything with status 403 and the credentials it got,
// as a hostile or badly written server can.
func EchoSecrets(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := r.BasicAuth()
		http.Error(w, "no access for "+token+" ("+r.Header.Get("Authorization")+")", http.StatusForbidden)
	})
}

// Redirect sends every matching request to the same path and query below
// another base URL.
func Redirect(base string, only func(*http.Request) bool) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if only == nil || only(r) {
				http.Redirect(w, r, base+r.URL.RequestURI(), http.StatusMovedPermanently)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// EndlessRefs answers the listing with refs that never end. It speaks v0.
func EndlessRefs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		buf := wire.AppendSpecial(wire.AppendPacket(nil, "# service=git-upload-pack\n"), wire.Flush)
		for i := 1; ; i++ {
			caps := ""
			if i == 1 {
				caps = "\x00side-band-64k multi_ack_detailed"
			}
			buf = wire.AppendPacket(buf, fmt.Sprintf("%040x refs/heads/b%d%s\n", i, i, caps))
			if len(buf) > 1<<16 {
				if _, err := w.Write(buf); err != nil {
					return
				}
				buf = buf[:0]
			}
		}
	})
}

// EndlessPack follows the real answer's beginning with a pack that never
// ends, or with progress messages that never end.
func EndlessPack(progress bool) Middleware {
	return rewriteFetch(func(w io.Writer, answer []byte) {
		head, pack, err := splitPack(answer)
		if err != nil {
			w.Write(answer)
			return
		}
		w.Write(head)
		if !progress {
			w.Write(bandPackets(1, pack[:len(pack)-20]))
		}
		junk, band := make([]byte, 32<<10), byte(1)
		if progress {
			band = 2
		}
		for {
			if _, err := w.Write(bandPackets(band, junk)); err != nil {
				return
			}
		}
	})
}

// Corrupt changes one byte of the pack, at an offset from its start, or from
// its end when negative. With reseal the pack's checksum is made right again,
// so that only a look inside finds the change.
func Corrupt(at int, reseal bool, f object.Format) Middleware {
	return RewritePack(func(pack []byte) ([]byte, error) {
		i := at
		if i < 0 {
			i += len(pack)
		}
		pack[i] ^= 0x20
		if reseal {
			return Reseal(pack[:len(pack)-f.Size()], f.New()), nil
		}
		return pack, nil
	})
}

// Reseal appends the checksum to a pack without one.
func Reseal(pack []byte, h hash.Hash) []byte {
	h.Write(pack)
	return h.Sum(pack)
}

// Omit leaves objects out of every pack and makes the rest a valid pack of
// its own: the lie of a server that wants a deposit to be incomplete.
// dir is the repository served.
func Omit(dir string, objects ...string) Middleware {
	return RewritePack(func(pack []byte) ([]byte, error) {
		list, err := PackObjects(dir, pack)
		if err != nil {
			return nil, err
		}
		var keep []string
		for _, id := range list {
			if !contains(objects, id) {
				keep = append(keep, id)
			}
		}
		return Run(dir, []byte(strings.Join(keep, "\n")+"\n"), "pack-objects", "--stdout", "-q", "--window=0")
	})
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// PackObjects lists the ids of the objects in a pack. dir is a repository of
// the same object format; nothing is added to it.
func PackObjects(dir string, pack []byte) ([]string, error) {
	tmp, err := os.MkdirTemp("", "gittest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	path := filepath.Join(tmp, "x.pack")
	if err := os.WriteFile(path, pack, 0o600); err != nil {
		return nil, err
	}
	if _, err := Run(dir, nil, "index-pack", path); err != nil {
		return nil, err
	}
	index, err := os.ReadFile(filepath.Join(tmp, "x.idx"))
	if err != nil {
		return nil, err
	}
	out, err := Run(dir, index, "show-index")
	if err != nil {
		return nil, err
	}
	var ids []string
	for l := range strings.Lines(string(out)) {
		if f := strings.Fields(l); len(f) >= 2 {
			ids = append(ids, f[1])
		}
	}
	return ids, nil
}

// RewritePack replaces the pack of every answer that has one.
func RewritePack(f func(pack []byte) ([]byte, error)) Middleware {
	return rewriteFetch(func(w io.Writer, answer []byte) {
		head, pack, err := splitPack(answer)
		if err != nil || len(pack) == 0 {
			w.Write(answer)
			return
		}
		if pack, err = f(pack); err != nil {
			w.Write(append(head, bandPackets(3, []byte("gittest: "+err.Error()))...))
			return
		}
		w.Write(wire.AppendSpecial(append(head, bandPackets(1, pack)...), wire.Flush))
	})
}

func rewriteFetch(write func(w io.Writer, answer []byte)) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isFetch(r) {
				next.ServeHTTP(w, r)
				return
			}
			rec := &recorder{header: make(http.Header), code: http.StatusOK}
			next.ServeHTTP(rec, r)
			rec.header.Del("Content-Length")
			for k, v := range rec.header {
				w.Header()[k] = v
			}
			w.WriteHeader(rec.code)
			write(w, rec.body.Bytes())
		})
	}
}

type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(code int)        { r.code = code }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// splitPack takes an answer apart into what comes before the pack, and the
// pack without its bands. The pack is empty where there is none.
func splitPack(answer []byte) (head, pack []byte, err error) {
	rest := bytes.NewReader(answer)
	p := wire.NewPacketReader(rest)
	begun := false
	for {
		start := p.BytesRead()
		kind, data, err := p.Next()
		if err == io.EOF {
			return head, pack, nil
		}
		if err != nil {
			return nil, nil, err
		}
		switch {
		case kind == wire.Data && len(data) > 0 && data[0] == 1 && (begun || bytes.HasPrefix(data[1:], []byte("PACK"))):
			begun = true
			pack = append(pack, data[1:]...)
		case !begun:
			head = append(head, answer[start:p.BytesRead()]...)
		}
	}
}

// bandPackets cuts data into packets of one band.
func bandPackets(band byte, data []byte) []byte {
	var out []byte
	for len(data) > 0 {
		n := min(len(data), wire.MaxPacketData-1)
		out = wire.AppendPacket(out, string([]byte{band}), string(data[:n]))
		data = data[n:]
	}
	return out
}

// EmptyPack is the pack with no objects.
func EmptyPack(f object.Format) []byte {
	pack := binary.BigEndian.AppendUint32([]byte("PACK"), 2)
	return Reseal(binary.BigEndian.AppendUint32(pack, 0), f.New())
}

// Switch is a place for a middleware that can be changed while the server
// runs, so that one client meets a fault and then none.
type Switch struct{ now atomic.Pointer[Middleware] }

// Set puts the faults in place; none takes them away.
func (s *Switch) Set(faults ...Middleware) {
	all := Middleware(func(next http.Handler) http.Handler {
		for i := len(faults) - 1; i >= 0; i-- {
			next = faults[i](next)
		}
		return next
	})
	s.now.Store(&all)
}

// Middleware is what the server is started with.
func (s *Switch) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := next
		if m := s.now.Load(); m != nil {
			h = (*m)(next)
		}
		h.ServeHTTP(w, r)
	})
}

// RewriteRefs changes the lines of a v2 listing, each without its line feed;
// the answer's lines take their place.
func RewriteRefs(f func(lines []string) []string) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || isFetch(r) {
				next.ServeHTTP(w, r)
				return
			}
			rec := &recorder{header: make(http.Header), code: http.StatusOK}
			next.ServeHTTP(rec, r)
			var lines []string
			p := wire.NewPacketReader(&rec.body)
			for {
				kind, data, err := p.Next()
				if err != nil || kind != wire.Data {
					break
				}
				lines = append(lines, strings.TrimSuffix(string(data), "\n"))
			}
			var out []byte
			for _, l := range f(lines) {
				out = wire.AppendPacket(out, l, "\n")
			}
			w.Header().Set("Content-Type", rec.header.Get("Content-Type"))
			w.WriteHeader(rec.code)
			w.Write(wire.AppendSpecial(out, wire.Flush))
		})
	}
}
