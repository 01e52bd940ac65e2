// Package agreements holds example agreements, so that the demo needs no files
// beside the program.
package agreements

import _ "embed"

//go:embed demo.yaml
var demo []byte

// Demo returns the agreement that the demo runs on.
func Demo() []byte { return append([]byte(nil), demo...) }
