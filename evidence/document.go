package evidence

import "fmt"

// document is a signed document: one canonical form, and rules of its own.
type document[T any] interface {
	*T
	validate() error
}

// parseDocument reads a document of at most limit bytes strictly: canonical
// bytes only, then its own rules. what names it in errors.
func parseDocument[T any, P document[T]](what string, data []byte, limit int) (*T, error) {
	if len(data) > limit {
		return nil, fmt.Errorf("%s: %d bytes, at most %d", what, len(data), limit)
	}
	d := new(T)
	if err := ParseCanonical(data, d); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if err := P(d).validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return d, nil
}

// renderDocument returns the canonical bytes of a document that keeps its own
// rules.
func renderDocument[T any, P document[T]](what string, d P) ([]byte, error) {
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return Canonical(d)
}
