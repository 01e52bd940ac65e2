package agreement

import (
	"bytes"
	"encoding/json"
	"fmt"

	"holdfast/internal/escrow/agreement/bind"
)

// SchemaID is the address the schema of the language is known by.
const SchemaID = "https://holdfast.example/schema/agreement/v1"

// Schema returns the JSON Schema of the language, for editors and for other
// programs that write agreements.
func Schema() ([]byte, error) {
	s := bind.Schema(Agreement{})
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = SchemaID
	s["title"] = "Holdfast agreement, version 1"
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return buf.Bytes(), nil
}
