// Package egress is the one way out: every connection that Holdfast opens
// because somebody configured an address goes through a [Guard], which looks
// at the address really connected to, each time. Names that resolve to
// private networks, redirects into them and answers that change between two
// look-ups lead nowhere.
//
// It depends on escrow and the standard library only.
package egress
