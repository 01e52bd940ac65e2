// Package evidence holds Holdfast's published formats and everything a third
// party needs to check them offline: canonical documents, share texts, key
// manifests, approval statements, deposit manifests, checkpoints, proofs and
// receipts.
//
// It opens no file and no socket, holds no state, and takes the time as an
// argument. It may depend on the standard library, x/mod/sumdb, x/crypto and
// sshsig only, never on a package under internal.
package evidence
