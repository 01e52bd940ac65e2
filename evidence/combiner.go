package evidence

import _ "embed"

//go:embed combine.py
var combiner []byte

// Combiner returns the Python program that puts a release key together from
// share texts, with nothing but Python's standard library. It goes into every
// export.
func Combiner() []byte { return append([]byte(nil), combiner...) }
