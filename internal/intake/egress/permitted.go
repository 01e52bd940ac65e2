package egress

import (
	"context"
	"net/netip"
	"strings"

	"holdfast/internal/escrow"
)

// Permitted looks a host up and returns the addresses that may be gone to, for
// what is no TCP connection, such as an echo request. network is ip, ip4 or
// ip6. When there are addresses but none that may be gone to, it is the same
// refusal as that of [Guard.DialContext].
func (g *Guard) Permitted(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if network != "ip" && network != "ip4" && network != "ip6" {
		return nil, escrow.Errorf(escrow.Invalid, "no addresses of %.20q", network)
	}
	host = canonicalHost(host)
	addrs, err := g.lookUp(ctx, "tcp"+strings.TrimPrefix(network, "ip"), host)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	var refused class
	for _, a := range addrs {
		if c := g.allow.permits(a, host, ""); c != public {
			refused = c
			continue
		}
		out = append(out, a.Unmap())
	}
	switch {
	case len(out) > 0:
		return out, nil
	case refused != "":
		return nil, notAllowed(host, refused)
	}
	return nil, escrow.Errorf(escrow.Unavailable, "%s has no address", host).WithHint("check the name")
}
