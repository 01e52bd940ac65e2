// Package files makes deposits of directories: it reads trees in parallel,
// cuts large files where their content says so, and seals what is not held
// yet as compressed packs with a sealed list of what is in them.
//
// It depends on evidence, escrow and its own sub-packages. Objects go where
// the [Vault] it is given puts them; nothing else is written.
//
// A deposit is a stream of bytes. The stream of a FULL deposit is a tar
// archive of everything, that of an INCREMENTAL one is the chunks that no
// deposit of its chain holds yet. The stream is cut into zstd frames, frames
// are gathered in packs, and every pack is one age file: decrypting the packs
// in order and decompressing them gives the stream. The list says where in
// which stream each file's chunks lie; see docs/formats.md.
package files
