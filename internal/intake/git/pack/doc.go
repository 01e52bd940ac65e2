// Package pack proves that a Git pack is whole before anybody relies on it:
// every object's id is computed anew, every delta is resolved, and every id an
// object names is in the pack or among those deposited before. It reads the
// pack through an io.ReaderAt and writes nothing. It depends on escrow, object,
// the reader of LFS pointers and a DEFLATE decoder.
package pack
