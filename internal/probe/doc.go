// Package probe checks from outside whether a service works: HTTP(S) with
// assertions, TCP, TLS, DNS, ICMP, and whether a job that is expected has
// reported. One check is one [Result] with what was really seen: each hop with
// its address, certificate and times.
//
// What a check says about the target is up or down. What it says about the
// prober itself, a socket that is not permitted, a policy that forbids the
// address, a network that is gone, is unknown.
//
// It may import escrow, sla and the guard of intake/egress, which every
// connection goes through. Network, clock and resolver are given to it.
package probe
