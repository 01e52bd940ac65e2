// Package object holds the words every part of the Git intake speaks: object
// formats, object ids, refs, and the rules a ref name must keep. It depends on
// the standard library only and does no I/O.
package object
