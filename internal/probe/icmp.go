package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// checkICMP sends one echo request over an unprivileged socket. Where the
// machine does not give one out, that is said of the prober and nothing of the
// target.
func (p *Prober) checkICMP(ctx context.Context, t Target, r *Result) {
	network := "ip"
	if t.Family != "" {
		network += t.Family
	}
	addrs, err := p.network.Permitted(ctx, network, t.Address)
	if err != nil {
		r.fail(classify(ctx, err))
		return
	}
	var failed error
	for i, addr := range addrs {
		at, cancel := ctx, context.CancelFunc(func() {})
		if deadline, ok := ctx.Deadline(); ok {
			at, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(len(addrs)-i))
		}
		err := echo(at, addr)
		cancel()
		r.Address = addr.String()
		if err == nil {
			if failed != nil {
				_, why := classify(ctx, failed)
				r.Notes = append(r.Notes, "another address failed: "+why)
			}
			return
		}
		if errors.Is(err, os.ErrPermission) {
			r.fail(NotPermitted, "this machine gives out no sockets for ICMP: see net.ipv4.ping_group_range")
			return
		}
		failed = err
	}
	if failed == nil {
		failed = &net.AddrError{Err: "no address", Addr: t.Address}
	}
	r.fail(classify(ctx, failed))
}

func echo(ctx context.Context, addr netip.Addr) error {
	network, local, proto := "udp4", "0.0.0.0", 1
	var ask, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if addr.Is6() {
		network, local, proto, ask, reply = "udp6", "::", 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	conn, err := icmp.ListenPacket(network, local)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	data := make([]byte, 16)
	if _, err := rand.Read(data); err != nil {
		return err
	}
	msg, err := (&icmp.Message{Type: ask, Body: &icmp.Echo{ID: 1, Seq: 1, Data: data}}).Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := conn.WriteTo(msg, &net.UDPAddr{IP: addr.AsSlice()}); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		got, err := icmp.ParseMessage(proto, buf[:n])
		if err != nil || got.Type != reply {
			continue
		}
		body, ok := got.Body.(*icmp.Echo)
		if u, isUDP := from.(*net.UDPAddr); ok && isUDP && string(body.Data) == string(data) && u.AddrPort().Addr().Unmap() == addr {
			return nil
		}
	}
}
