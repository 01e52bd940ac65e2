// Package gittest builds real Git repositories and serves them with stock git
// for tests and benchmarks: over http with a forced protocol version, git://,
// ssh and OpenSSH's own server, with faults on demand. It needs git installed
// and is linked into no program that ships.
package gittest
