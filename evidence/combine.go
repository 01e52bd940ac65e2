package evidence

import _ "embed"

//go:embed combine.py
var combineScript string // written once, by the compiler

// CombineScript is combine.py: a program of the Python standard library that
// puts a release identity together from share texts. It goes into every
// export, so that a release needs neither Holdfast nor anybody's server.
func CombineScript() string { return combineScript }
