// Package client is the typed client of a Holdfast server: the command line
// and the tests use it, and so can any third party.
//
// It imports evidence and the standard library. It trusts the server with
// nothing it can check itself: a client remembers the checkpoint it saw last
// and refuses a ledger that went back or forked.
package client
