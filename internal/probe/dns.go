package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Resolver answers questions about names. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// maxAnswers bounds what is kept of an answer.
const maxAnswers = 50

// checkDNS asks for the records of a name. A server that is named is asked
// over TCP, which every server must answer (RFC 7766), so that the guard of
// the way out sees the connection.
func (p *Prober) checkDNS(ctx context.Context, t Target, r *Result) {
	resolver := p.resolver
	seen := &dialing{}
	if t.Server != "" {
		resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := p.dial(ctx, t.Server, t.Family, seen)
			if err != nil { // the resolver would keep its text only
				seen.fail(err)
			}
			return conn, err
		}}
	}
	answers, err := ask(ctx, resolver, t)
	r.Address = seen.address
	r.Notes = append(r.Notes, seen.finish()...)
	if err != nil {
		if failed := seen.failed(); failed != nil {
			err = failed
		}
		r.fail(classify(ctx, err))
		return
	}
	slices.Sort(answers)
	for i, want := range t.Expect.Answers {
		if !slices.ContainsFunc(answers, func(a string) bool {
			return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(want, "."))
		}) {
			r.fail(BadAnswer, fmt.Sprintf("expect.answers[%d]: %s is not among %d answers", i, want, len(answers)))
			break
		}
	}
	for _, a := range answers[:min(len(answers), maxAnswers)] {
		r.Answers = append(r.Answers, clean(a))
	}
}

func ask(ctx context.Context, res Resolver, t Target) (out []string, err error) {
	name := t.Address + "." // as it is: no search list
	switch t.Type {
	case "A", "AAAA":
		network := "ip4"
		if t.Type == "AAAA" {
			network = "ip6"
		}
		list, err := res.LookupNetIP(ctx, network, name)
		for _, a := range list {
			out = append(out, a.Unmap().String())
		}
		return out, err
	case "CNAME":
		s, err := res.LookupCNAME(ctx, name)
		return []string{s}, err
	case "MX":
		list, err := res.LookupMX(ctx, name)
		for _, m := range list {
			out = append(out, m.Host)
		}
		return out, err
	case "NS":
		list, err := res.LookupNS(ctx, name)
		for _, n := range list {
			out = append(out, n.Host)
		}
		return out, err
	case "TXT":
		return res.LookupTXT(ctx, name)
	}
	return nil, fmt.Errorf("records of type %.20q are not asked for", t.Type)
}
