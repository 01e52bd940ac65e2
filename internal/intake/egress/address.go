package egress

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"holdfast/internal/escrow"
)

// class says why an address is not public; "" for one that is.
type class string

const (
	public      class = ""
	loopback    class = "loopback"
	private     class = "private network"
	shared      class = "shared address space"
	linkLocal   class = "link-local" // cloud metadata services live here
	metadata    class = "cloud metadata service"
	multicast   class = "multicast"
	unspecified class = "unspecified"
	reserved    class = "reserved range"
)

// openable reports whether an allowed host name may lead to addresses of this
// class. The others need the address itself in the list: a name is only as
// trustworthy as whoever answers for it, and no repository lives there.
func (c class) openable() bool {
	return c == public || c == loopback || c == private || c == shared
}

type block struct {
	prefix string
	class  class
}

// blocks are the special-purpose ranges of the IANA registries, and the
// metadata services that sit at addresses which otherwise would pass. The
// first match counts.
func blocks() []block {
	return []block{
		{"168.63.129.16/32", metadata}, // Azure, a public address
		{"100.100.100.200/32", metadata},
		{"192.0.0.192/32", metadata},
		{"fd00:ec2::/32", metadata},
		{"fd20:ce::254/128", metadata},
		{"127.0.0.0/8", loopback},
		{"0.0.0.0/8", unspecified},
		{"10.0.0.0/8", private},
		{"172.16.0.0/12", private},
		{"192.168.0.0/16", private},
		{"100.64.0.0/10", shared},
		{"169.254.0.0/16", linkLocal},
		{"192.0.0.0/24", reserved},
		{"192.0.2.0/24", reserved},
		{"192.31.196.0/24", reserved},
		{"192.52.193.0/24", reserved},
		{"192.88.99.0/24", reserved},
		{"192.175.48.0/24", reserved},
		{"198.18.0.0/15", reserved},
		{"198.51.100.0/24", reserved},
		{"203.0.113.0/24", reserved},
		{"224.0.0.0/4", multicast},
		{"240.0.0.0/4", reserved}, // and the broadcast address
		{"::1/128", loopback},
		{"::/128", unspecified},
		{"fc00::/7", private},
		{"fe80::/10", linkLocal},
		{"fec0::/10", private},
		{"ff00::/8", multicast},
		{"2001::/23", reserved}, // protocol assignments; Teredo hides an IPv4 address in it
		{"2001:db8::/32", reserved},
		{"2002::/16", reserved}, // 6to4 hides an IPv4 address in it
		{"3fff::/20", reserved},
		{"2000::/3", public},
		{"::/0", reserved}, // whatever is not global unicast
	}
}

// nat64 carries IPv4 to networks that have only IPv6: what counts is the
// address inside.
const nat64 = "64:ff9b::/96"

func classify(addr netip.Addr) class {
	if addr.Zone() != "" {
		return linkLocal
	}
	addr = addr.Unmap()
	if netip.MustParsePrefix(nat64).Contains(addr) {
		raw := addr.As16()
		addr = netip.AddrFrom4([4]byte(raw[12:]))
	}
	for _, b := range blocks() {
		if netip.MustParsePrefix(b.prefix).Contains(addr) {
			return b.class
		}
	}
	if addr.Is4() {
		return public
	}
	return reserved
}

// Allow lists the addresses and names that the operator opened although they
// are not public. The zero Allow opens none.
type Allow struct {
	prefixes []netip.Prefix
	hosts    []string // lower case, no final dot; with ":port" when only that port is meant
}

// ParseAllow reads the operator's list. An entry is an address, a range in
// CIDR form, a host name, or a host name with a port. An address or range
// opens what it covers, whatever that is. A host name opens the loopback,
// private and shared addresses it resolves to, never link-local ones, where
// clouds hand out their credentials.
func ParseAllow(entries []string) (Allow, error) {
	var a Allow
	for _, entry := range entries {
		if p, err := netip.ParsePrefix(entry); err == nil {
			if p.Masked() != p {
				return Allow{}, escrow.Errorf(escrow.Invalid, "allowed address %q has bits beyond its prefix", entry).
					WithHint("write %s, or the address alone", p.Masked())
			}
			a.prefixes = append(a.prefixes, p)
			continue
		}
		if addr, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil && addr.Zone() == "" {
			a.prefixes = append(a.prefixes, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
			continue
		}
		host, port, hasPort := strings.Cut(entry, ":")
		if hasPort {
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return Allow{}, allowError(entry)
			}
		}
		if host = canonicalHost(host); checkHostName(host) != nil {
			return Allow{}, allowError(entry)
		}
		if hasPort {
			host += ":" + port
		}
		a.hosts = append(a.hosts, host)
	}
	return a, nil
}

func allowError(entry string) error {
	return escrow.Errorf(escrow.Invalid, "allowed address %.200q is neither an address, a range, a host name nor host:port", entry).
		WithHint("examples: 10.1.2.0/24, 10.1.2.3, git.internal.example, git.internal.example:8443")
}

// permits decides about one address that host:port leads to.
func (a Allow) permits(addr netip.Addr, host, port string) class {
	c := classify(addr)
	if c == public {
		return public
	}
	for _, p := range a.prefixes {
		if p.Contains(addr.Unmap()) && addr.Zone() == "" {
			return public
		}
	}
	for _, h := range a.hosts {
		if (h == host || h == host+":"+port) && c.openable() {
			return public
		}
	}
	return c
}

func canonicalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// checkHostName refuses what is no host name, and names that some resolvers
// read as a number: 2130706433, 0177.0.0.1 and 0x7f.1 are all 127.0.0.1 to
// them.
func checkHostName(host string) error {
	if host == "" || len(host) > 253 {
		return fmt.Errorf("host name of %d characters", len(host))
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("host name %q has a bad part", host)
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return fmt.Errorf("host name %q has a bad character; write international names in their xn-- form", host)
			}
		}
		last = label
	}
	digits := strings.Trim(last, "0123456789") == ""
	hex := (strings.HasPrefix(last, "0x") || strings.HasPrefix(last, "0X")) && strings.Trim(last[2:], "0123456789abcdefABCDEF") == ""
	if digits || hex {
		return fmt.Errorf("host name %q is a number", host)
	}
	return nil
}
