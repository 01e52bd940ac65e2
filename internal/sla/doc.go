// Package sla is the arithmetic of service levels: availability as time,
// credits as the contract says, clocks of support, deadlines of claims, each
// figure with its working down to the evidence.
//
// A policy is what the sla of an agreement says (package agreement). What was
// observed comes as [Interval] values per location, never as single checks.
// Everything is integers (milliseconds, millionths of a percent) and exact
// fractions; only latency sketches hold floating-point numbers, and their
// error bound is part of every figure made of them.
//
// It may import escrow and its sub-packages. It does no I/O, knows no clock
// and keeps no state; the zone of the contract, not of the machine, decides.
package sla
