package wire_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/object"
	"holdfast/internal/intake/git/wire"
)

// server is one way to reach a repository, made to speak one protocol.
type server struct {
	name    string
	version int
	open    func(t *testing.T, r *gittest.Repo) wire.Endpoint
}

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}

func config() wire.Config { return wire.Config{Dial: dial, AllowLocal: true} }

func servers() []server {
	var list []server
	for _, v := range []gittest.Version{gittest.V2, gittest.V1, gittest.V0} {
		name := []string{"v0", "v1", "v2"}[v]
		list = append(list, server{"http " + name, int(v), func(t *testing.T, r *gittest.Repo) wire.Endpoint {
			s := gittest.ServeHTTP(t, r.Root(), gittest.HTTPOptions{Version: v, User: "x-access-token", Token: "t0ken"})
			return wire.Endpoint{URL: s.URL + "/" + r.Name(), Token: "t0ken"}
		}}, server{"git " + name, int(v), func(t *testing.T, r *gittest.Repo) wire.Endpoint {
			return wire.Endpoint{URL: gittest.ServeDaemon(t, r.Root(), v) + "/" + r.Name()}
		}}, server{"ssh " + name, int(v), func(t *testing.T, r *gittest.Repo) wire.Endpoint {
			s := gittest.ServeSSH(t, r.Root(), gittest.SSHOptions{Version: v})
			return wire.Endpoint{URL: s.URL("/" + r.Name()), Key: wire.Secret(s.ClientKey), HostKeys: s.HostKeys[0]}
		}})
	}
	return append(list, server{"openssh v2", 2, func(t *testing.T, r *gittest.Repo) wire.Endpoint {
		s := gittest.OpenSSH(t, true)
		return wire.Endpoint{URL: s.URL(r.Dir), Key: wire.Secret(s.ClientKey), HostKeys: strings.Join(s.HostKeys, "\n")}
	}}, server{"openssh v0", 0, func(t *testing.T, r *gittest.Repo) wire.Endpoint {
		s := gittest.OpenSSH(t, false)
		return wire.Endpoint{URL: s.URL(r.Dir), Key: wire.Secret(s.ClientKey), HostKeys: strings.Join(s.HostKeys, "\n")}
	}}, server{"local", 2, func(t *testing.T, r *gittest.Repo) wire.Endpoint {
		return wire.Endpoint{URL: r.Dir}
	}}, server{"file url", 2, func(t *testing.T, r *gittest.Repo) wire.Endpoint {
		return wire.Endpoint{URL: "file://" + r.Dir}
	}})
}

// eachServer runs f for every way and both object formats.
func eachServer(t *testing.T, f func(t *testing.T, s server, r *gittest.Repo)) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, s := range servers() {
			t.Run(format+" "+s.name, func(t *testing.T) { f(t, s, gittest.NewRepo(t, format)) })
		}
	}
}

// someServers is eachServer without the ways that share all their code with
// another one.
func someServers(t *testing.T, f func(t *testing.T, s server, r *gittest.Repo)) {
	for _, s := range servers() {
		switch s.name {
		case "http v2", "http v0", "git v0", "ssh v2", "local":
			t.Run(s.name, func(t *testing.T) { f(t, s, gittest.NewRepo(t, "sha1")) })
		}
	}
}

func open(t *testing.T, e wire.Endpoint, cfg wire.Config) *wire.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	c, err := wire.Open(ctx, e, cfg)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); cancel() })
	return c
}

func list(t *testing.T, c *wire.Conn) *wire.Listing {
	t.Helper()
	l, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// oids returns the distinct ids of the refs.
func oids(refs []object.Ref) []object.OID {
	var list []object.OID
	seen := make(map[object.OID]bool)
	for _, r := range refs {
		if !seen[r.OID] {
			seen[r.OID] = true
			list = append(list, r.OID)
		}
	}
	return list
}

func parse(t *testing.T, f object.Format, text string) object.OID {
	t.Helper()
	o, err := object.ParseOID(f, text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
