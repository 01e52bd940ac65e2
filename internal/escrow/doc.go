// Package escrow is the domain: what an arrangement, a deposit, an epoch, a
// case and a permission are, and the pure rules by which they change.
//
// It imports the standard library and evidence only, does no I/O, keeps no
// state and takes the time as an argument. Every other package may speak it.
package escrow
