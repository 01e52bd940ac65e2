// Package bind ties the Go types of a language to its text: one set of struct
// tags says how a text is read into the types, how the types are rendered for
// hashing, what the JSON Schema is and what the reference manual says, so that
// the four cannot drift apart.
//
// The tags of a field:
//
//	key:"name"            the key in the text; the options follow after commas:
//	                      required, list (one value may stand for a list of
//	                      one), inline (the keys of an embedded struct)
//	doc:"…"               what the key means, for the schema and the manual
//	enum:"a b c"          the words that are possible
//	is:"id"               the form of a text: line (the default), text (several
//	                      lines), id, path (ids separated by /), digest, url,
//	                      expression
//	id:"party"            the value names a new thing of this kind
//	ref:"party self"      the value names a thing of one of these kinds, or is
//	                      one of these words when they begin with an equals
//	                      sign: ref:"party =self"
//	min:"1"               the smallest whole number
//	keys:"p1 p2"          the possible keys of a map
//	later:"…"             the key is read, checked and signed, but nothing acts
//	                      on it yet; says what will
//
// A struct with the field _ struct{} `choice:"…"` takes exactly one of its
// keys.
//
// The package may depend on its siblings problem, quantity and yamltext. It
// does no I/O and keeps no state.
package bind
