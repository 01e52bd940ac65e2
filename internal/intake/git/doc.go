// Package git makes deposits of a Git repository: it asks a source what has
// changed, streams what is new into sealed objects, and proves them whole
// before they count. It keeps no repository.
//
// It depends on evidence, escrow and its own sub-packages. Objects go where
// the [Vault] it is given puts them; nothing else is written.
package git
