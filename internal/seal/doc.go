// Package seal is the cryptography of Holdfast: sealed objects, release
// identities shared among trustees, approvals that are re-encryptions, and
// the resharing of an identity to other trustees.
//
// It does no I/O, keeps no state and takes time and randomness for the
// sharing as arguments. It may depend on the standard library, evidence,
// escrow, age, circl, and x/crypto/ssh for the type of a signing key. (age
// draws its own file keys from crypto/rand.)
package seal
