package probe_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"holdfast/internal/probe"
	"holdfast/internal/sla"
)

// nameServer answers over TCP what the test says.
func nameServer(t *testing.T, records map[dnsmessage.Type][]dnsmessage.ResourceBody) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	answer := func(c net.Conn) {
		defer c.Close()
		for {
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err != nil {
				return
			}
			buf := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(buf); err != nil {
				return
			}
			m.Response, m.Additionals = true, nil
			q := m.Questions[0]
			if q.Name.String() != "www.example.test." {
				m.RCode = dnsmessage.RCodeNameError
			}
			for _, body := range records[q.Type] {
				if m.RCode == 0 {
					m.Answers = append(m.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET, TTL: 1}, Body: body})
				}
			}
			out, err := m.Pack()
			if err != nil {
				return
			}
			if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return l.Addr().String()
}

func TestDNS(t *testing.T) {
	server := nameServer(t, map[dnsmessage.Type][]dnsmessage.ResourceBody{
		dnsmessage.TypeA:   {&dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 8}}},
		dnsmessage.TypeTXT: {&dnsmessage.TXTResource{TXT: []string{"v=spf1 -all"}}},
	})
	for _, tt := range []struct {
		target probe.Target
		state  sla.State
		reason probe.Reason
	}{
		{probe.Target{Address: "www.example.test", Server: server}, sla.Up, ""},
		{probe.Target{Address: "www.example.test.", Server: server, Expect: probe.Expect{Answers: []string{"192.0.2.8"}}}, sla.Up, ""},
		{probe.Target{Address: "www.example.test", Server: server, Expect: probe.Expect{Answers: []string{"192.0.2.9"}}}, sla.Down, probe.BadAnswer},
		{probe.Target{Address: "www.example.test", Server: server, Type: "TXT", Expect: probe.Expect{Answers: []string{"v=spf1 -all"}}}, sla.Up, ""},
		{probe.Target{Address: "www.example.test", Server: server, Type: "AAAA"}, sla.Down, probe.NoName},
		{probe.Target{Address: "none.example.test", Server: server}, sla.Down, probe.NoName},
		{probe.Target{Address: "www.example.test", Server: closedPort(t)}, sla.Down, ""},
		{probe.Target{Address: "www.example.test", Server: "10.1.2.3:53"}, sla.Unknown, ""},
	} {
		tt.target.Kind = probe.DNS
		r := check(t, probe.Options{}, tt.target)
		if r.State != tt.state || tt.reason != "" && r.Reason != tt.reason {
			t.Errorf("%s %s: %s (%s: %s), want %s (%s)", tt.target.Type, tt.target.Address, r.State, r.Reason, r.Error, tt.state, tt.reason)
		}
	}
}
