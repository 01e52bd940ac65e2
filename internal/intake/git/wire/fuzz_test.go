package wire_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/wire"
)

// FuzzPackets checks that what is read as packets is written as the same
// bytes, up to the case of the four digits of each length. Nothing else may
// be folded: a body is bytes, not text.
func FuzzPackets(f *testing.F) {
	f.Add([]byte("0006a\n000000010002"))
	f.Add([]byte("0004"))
	f.Add([]byte("fff0" + strings.Repeat("x", 100)))
	f.Add([]byte("FFF1"))
	f.Add([]byte("0003"))
	f.Add([]byte("00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := wire.NewPacketReader(bytes.NewReader(data))
		rest := data
		for {
			kind, body, err := p.Next()
			if err != nil {
				break
			}
			var again []byte
			if kind == wire.Data {
				again = wire.AppendPacket(nil, string(body))
			} else {
				again = wire.AppendSpecial(nil, kind)
			}
			if len(rest) < len(again) || !strings.EqualFold(string(rest[:4]), string(again[:4])) ||
				!bytes.Equal(rest[4:len(again)], again[4:]) {
				t.Fatalf("read from %q, written again %q", rest, again)
			}
			rest = rest[len(again):]
		}
	})
}

// scripted is a connection to a server that says the same thing whatever it hears.
type scripted struct {
	io.Reader
	net.Conn
}

func (s scripted) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s scripted) Write(p []byte) (int, error) { return len(p), nil }
func (s scripted) Close() error                { return nil }

// talk opens a git:// connection to a server that says data.
func talk(t *testing.T, data []byte) *wire.Conn {
	t.Helper()
	c, err := wire.Open(t.Context(), wire.Endpoint{URL: "git://127.0.0.1/x"}, wire.Config{
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return scripted{Reader: bytes.NewReader(data)}, nil
		},
		Limits: wire.Limits{Refs: 1000, Advertisement: 1 << 20, Pack: 1 << 20, Chatter: 1 << 16, Idle: time.Minute},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func packets(lines ...string) []byte {
	var buf []byte
	for _, l := range lines {
		switch l {
		case "0000":
			buf = wire.AppendSpecial(buf, wire.Flush)
		case "0001":
			buf = wire.AppendSpecial(buf, wire.Delim)
		default:
			buf = wire.AppendPacket(buf, l)
		}
	}
	return buf
}

const (
	one = "1111111111111111111111111111111111111111"
	two = "2222222222222222222222222222222222222222"
)

func v2(lines ...string) []byte {
	return packets(append([]string{"version 2\n", "agent=git/2\n", "ls-refs=unborn\n", "fetch=shallow\n", "object-format=sha1\n", "0000"}, lines...)...)
}

func v0(lines ...string) []byte {
	return packets(append([]string{one + " HEAD\x00multi_ack_detailed side-band-64k ofs-delta symref=HEAD:refs/heads/main agent=git/2\n"}, lines...)...)
}

func listings() map[string][]byte {
	return map[string][]byte{
		"v2":              v2(one+" HEAD symref-target:refs/heads/main\n", one+" refs/heads/main\n", two+" refs/tags/v1 peeled:"+one+"\n", "0000"),
		"v2 unborn":       v2("unborn HEAD symref-target:refs/heads/main\n", "0000"),
		"v0":              v0(one+" refs/heads/main\n", two+" refs/tags/v1\n", one+" refs/tags/v1^{}\n", "0000"),
		"v1":              append(packets("version 1\n"), v0(one+" refs/heads/main\n", "0000")...),
		"empty v0":        packets("0000"),
		"empty v0 listed": packets(strings.Repeat("0", 40)+" capabilities^{}\x00side-band-64k\n", "0000"),
		"error":           packets("ERR access denied"),
		"shallow":         v0("shallow "+one, "0000"),
	}
}

func FuzzListing(f *testing.F) {
	for _, data := range listings() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := talk(t, data).List()
		if err != nil {
			return
		}
		for i, r := range l.Refs {
			if err := object.CheckRefName(r.Name); err != nil {
				t.Errorf("ref %q %v", r.Name, err)
			}
			if i > 0 && l.Refs[i-1].Name >= r.Name {
				t.Errorf("ref %q does not come after %q", r.Name, l.Refs[i-1].Name)
			}
			if r.OID.Format() != l.Format || !r.Peeled.IsZero() && r.Peeled.Format() != l.Format {
				t.Errorf("ref %q has an id of another format", r.Name)
			}
		}
		if l.Head != "" && object.CheckRefName(l.Head) != nil {
			t.Errorf("HEAD names %q", l.Head)
		}
	})
}

func answers() map[string][]byte {
	pack := string(emptyPack())
	return map[string][]byte{
		"v2 one round":  v2(one+" refs/heads/main\n", "0000", "acknowledgments\n", "ACK "+two+"\n", "ready\n", "0001", "packfile\n", "\x02counting", "\x01"+pack, "0000"),
		"v2 two rounds": v2(one+" refs/heads/main\n", "0000", "acknowledgments\n", "NAK\n", "0000", "packfile\n", "\x01"+pack[:7], "\x01"+pack[7:], "0000"),
		"v0":            v0(one+" refs/heads/main\n", "0000", "ACK "+two+" common\n", "ACK "+two+" ready\n", "ACK "+two+"\n", "\x01"+pack, "0000"),
		"v0 nak":        v0(one+" refs/heads/main\n", "0000", "NAK\n", "\x01"+pack, "0000"),
		"band 3":        v0(one+" refs/heads/main\n", "0000", "NAK\n", "\x03no", "0000"),
	}
}

func FuzzFetch(f *testing.F) {
	for _, data := range answers() {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := talk(t, data)
		l, err := c.List()
		if err != nil || len(l.Refs) == 0 {
			return
		}
		have := parse(t, object.SHA1, two)
		if l.Format != object.SHA1 {
			return
		}
		p, err := c.Fetch(oids(l.Refs), []object.OID{have})
		if err != nil {
			return
		}
		if len(p.Common) > 1 || len(p.Common) == 1 && p.Common[0] != have {
			t.Errorf("%v in common, only %v was offered", p.Common, have)
		}
		pack, err := io.ReadAll(p)
		if err != nil {
			return
		}
		h := object.SHA1.New()
		h.Write(pack[:len(pack)-20])
		if !slices.Equal(h.Sum(nil), pack[len(pack)-20:]) || !bytes.HasPrefix(pack, []byte("PACK\x00\x00\x00\x02")) {
			t.Errorf("a damaged pack of %d bytes passed", len(pack))
		}
	})
}
