package s3test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP relay before a server that can refuse, cut off and change
// what passes.
type Proxy struct {
	Address string
	target  string
	mu      sync.Mutex
	conns   map[net.Conn]bool
	after   int64 // bytes of an answer after which the connection is cut; 0 never
	refuse  bool
	delay   time.Duration // before each piece of an answer
	change  int64         // one bit in so many bytes of the answers is wrong; 0 none
}

// NewProxy relays to a server.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Address: l.Addr().String(), target: s.Address, conns: make(map[net.Conn]bool)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.relay(c)
		}
	}()
	t.Cleanup(func() { l.Close(); p.Cut() })
	return p
}

// CutAfter has every connection end after so many bytes, in either direction.
func (p *Proxy) CutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = n
}

// Delay has every piece of an answer wait so long, on connections there are too.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Change has new connections carry answers in which one bit of every n bytes is
// wrong; 0 ends it for new ones.
func (p *Proxy) Change(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = n
}

// answers is what comes back from the server, late and changed as was asked.
type answers struct {
	io.Reader
	proxy  *Proxy
	change int64
	passed int64
}

func (a *answers) Read(b []byte) (int, error) {
	n, err := a.Reader.Read(b)
	if a.change > 0 {
		for at := a.change - 1 - a.passed%a.change; at < int64(n); at += a.change {
			b[at] ^= 4
		}
		a.passed += int64(n)
	}
	a.proxy.mu.Lock()
	delay := a.proxy.delay
	a.proxy.mu.Unlock()
	time.Sleep(delay)
	return n, err
}

// Refuse ends every connection at once, new ones too, until called with false.
func (p *Proxy) Refuse(yes bool) {
	p.mu.Lock()
	p.refuse = yes
	p.mu.Unlock()
	if yes {
		p.Cut()
	}
}

// Cut ends the connections there are.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *Proxy) relay(c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	refuse, after, change := p.refuse, p.after, p.change
	p.mu.Unlock()
	if refuse {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[c], p.conns[server] = true, true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, c)
		delete(p.conns, server)
		p.mu.Unlock()
	}()
	ended := make(chan struct{}, 2)
	pass := func(to io.Writer, from io.Reader) {
		r := from
		if after > 0 {
			r = io.LimitReader(from, after)
		}
		_, _ = io.Copy(to, r) // cut off on purpose
		ended <- struct{}{}
	}
	go pass(server, c)
	go pass(c, &answers{Reader: server, proxy: p, change: change})
	<-ended
}
