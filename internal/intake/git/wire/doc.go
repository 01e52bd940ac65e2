// Package wire speaks Git's transfer protocol to a repository's server: which
// refs there are, and a pack of what they hold. It knows protocols v2, v1 and
// v0 over http(s), ssh, git:// and a local path, keeps no repository, streams
// packs, and takes nothing from the server without a limit.
//
// It depends on object, escrow (for errors) and x/crypto/ssh. It opens
// sockets only with the dial function it is given.
package wire
