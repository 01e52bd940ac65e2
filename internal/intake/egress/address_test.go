package egress

import (
	"net/netip"
	"strings"
	"testing"

	"holdfast/internal/escrow"
)

func TestClassify(t *testing.T) {
	for text, want := range map[string]class{
		"8.8.8.8":                public,
		"1.1.1.1":                public,
		"2606:4700::1111":        public,
		"2a00:1450:4001:80b::1":  public,
		"::ffff:8.8.8.8":         public,
		"64:ff9b::808:808":       public, // 8.8.8.8 over NAT64
		"127.0.0.1":              loopback,
		"127.255.255.254":        loopback,
		"::1":                    loopback,
		"::ffff:127.0.0.1":       loopback,
		"64:ff9b::7f00:1":        loopback,
		"0.0.0.0":                unspecified,
		"0.1.2.3":                unspecified,
		"::":                     unspecified,
		"10.0.0.1":               private,
		"172.16.0.1":             private,
		"172.31.255.255":         private,
		"172.32.0.1":             public,
		"192.168.1.1":            private,
		"::ffff:192.168.1.1":     private,
		"fc00::1":                private,
		"fd12:3456::1":           private,
		"fec0::1":                private,
		"100.64.0.1":             shared,
		"100.127.255.255":        shared,
		"100.128.0.1":            public,
		"169.254.169.254":        linkLocal,
		"::ffff:169.254.169.254": linkLocal,
		"64:ff9b::a9fe:a9fe":     linkLocal, // 169.254.169.254 over NAT64
		"169.254.170.2":          linkLocal,
		"fe80::1":                linkLocal,
		"fe80::1%eth0":           linkLocal,
		"2606:4700::1111%eth0":   linkLocal,
		"fd00:ec2::254":          metadata,
		"168.63.129.16":          metadata,
		"100.100.100.200":        metadata,
		"192.0.0.192":            metadata,
		"224.0.0.1":              multicast,
		"239.255.255.255":        multicast,
		"ff02::1":                multicast,
		"255.255.255.255":        reserved,
		"240.0.0.1":              reserved,
		"192.0.2.1":              reserved,
		"198.51.100.1":           reserved,
		"203.0.113.1":            reserved,
		"198.18.0.1":             reserved,
		"2001:db8::1":            reserved,
		"2001::1":                reserved, // Teredo
		"2002:7f00:1::1":         reserved, // 127.0.0.1 over 6to4
		"::127.0.0.1":            reserved, // the old compatible form
		"64:ff9b:1::7f00:1":      reserved, // NAT64 of the network's own
		"100::1":                 reserved,
		"4000::1":                reserved,
	} {
		if got := classify(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

func TestAllow(t *testing.T) {
	a, err := ParseAllow([]string{"10.1.0.0/16", "192.168.7.7", "[fd12::7]", "git.internal.example", "Other.Example.:8443", "169.254.1.0/24"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		addr, host, port string
		ok               bool
	}{
		{"10.1.2.3", "any.example", "443", true},
		{"::ffff:10.1.2.3", "any.example", "443", true},
		{"10.2.2.3", "any.example", "443", false},
		{"192.168.7.7", "any.example", "22", true},
		{"192.168.7.8", "any.example", "22", false},
		{"fd12::7", "any.example", "22", true},
		{"10.9.9.9", "git.internal.example", "22", true},
		{"127.0.0.1", "git.internal.example", "22", true},
		{"100.64.0.9", "git.internal.example", "22", true},
		{"169.254.169.254", "git.internal.example", "80", false}, // a name does not open metadata services
		{"fd00:ec2::254", "git.internal.example", "80", false},
		{"0.0.0.0", "git.internal.example", "80", false},
		{"10.9.9.9", "sub.git.internal.example", "22", false},
		{"10.9.9.9", "other.example", "8443", true},
		{"10.9.9.9", "other.example", "443", false},
		{"169.254.1.9", "any.example", "80", true}, // a range does, when it says so
		{"8.8.8.8", "any.example", "443", true},
	} {
		if got := a.permits(netip.MustParseAddr(c.addr), c.host, c.port); (got == public) != c.ok {
			t.Errorf("%s as %s:%s: %q, want allowed=%v", c.addr, c.host, c.port, got, c.ok)
		}
	}
	for _, bad := range []string{"", "10.1.2.3/16", "10.1.2.3.4", "a b", "-x.example", "git.example:0", "git.example:99999", "http://git.example", "*.example", "fe80::1%eth0", "0x7f.1", "2130706433"} {
		if _, err := ParseAllow([]string{bad}); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzAllow: an entry that is taken opens no metadata service unless it is an
// address or range that says so.
func FuzzAllow(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "git.example", "git.example:22", "[::1]", "0177.0.0.1", "::ffff:169.254.169.254"} {
		f.Add(s)
	}
	meta := netip.MustParseAddr("169.254.169.254")
	f.Fuzz(func(t *testing.T, entry string) {
		a, err := ParseAllow([]string{entry})
		if err != nil {
			return
		}
		host, port, _ := strings.Cut(entry, ":")
		if len(a.prefixes) == 0 && a.permits(meta, canonicalHost(host), port) == public {
			t.Fatalf("%q opens %s", entry, meta)
		}
	})
}
