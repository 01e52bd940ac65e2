package cond

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"holdfast/internal/escrow/agreement/quantity"
)

// evaluation answers the facts of one case.
type evaluation struct {
	Case
	language *Language
	missing  []string
	err      error
}

func (e *evaluation) unknown(key string) ref.Val {
	if !slices.Contains(e.missing, key) {
		e.missing = append(e.missing, key)
	}
	return types.NewUnknown(0, nil)
}

// fact answers one function call.
func (e *evaluation) fact(f Function, args []ref.Val) ref.Val {
	parts := []string{f.storedUnder()}
	for i, a := range args {
		text := string(a.(types.String))
		switch f.args[i] {
		case party:
			// self may be a licence; a party is its licensee then.
			if licensee, ok := e.language.scope.Licences[text]; ok {
				text = licensee
			}
		case priority:
			text = strings.ToLower(text)
		}
		parts = append(parts, text)
	}
	word := ""
	if f.inside {
		word, parts = parts[len(parts)-1], parts[:len(parts)-1]
	}
	key := strings.Join(parts, ".")
	values, known := e.Facts(key)
	if known && len(values) == 1 && values[0] == "unknown" {
		return e.unknown(key)
	}
	if !known {
		if !f.Own {
			return e.unknown(key)
		}
		return nothing(f.Kind)
	}
	v, err := value(f, values, word)
	if err != nil {
		e.err = fmt.Errorf("fact %s: %w", key, err)
		return types.NewErr("%v", e.err)
	}
	return v
}

func (f Function) storedUnder() string {
	if f.key != "" {
		return f.key
	}
	return f.Name
}

// nothing is the value of a fact of Holdfast's own that is not on record.
func nothing(k Kind) ref.Val {
	switch k {
	case Truth:
		return types.False
	case Number:
		return types.IntZero
	case Period:
		return types.Duration{Duration: 0}
	}
	return types.String("none")
}

// value reads the values of a fact as what the function gives.
func value(f Function, values []string, word string) (ref.Val, error) {
	if f.inside {
		return types.Bool(slices.Contains(values, word)), nil
	}
	switch f.Kind {
	case Words:
		return types.DefaultTypeAdapter.NativeToValue(slices.Clone(values)), nil
	case Text:
		if f.key != "" && len(values) == 0 {
			return types.String("none"), nil
		}
		if f.key != "" {
			return types.String(values[len(values)-1]), nil
		}
	}
	if len(values) != 1 {
		return nil, fmt.Errorf("has %d values, want one", len(values))
	}
	switch f.Kind {
	case Truth:
		if values[0] != "true" && values[0] != "false" {
			return nil, fmt.Errorf("%q is neither true nor false", values[0])
		}
		return types.Bool(values[0] == "true"), nil
	case Number:
		n, err := strconv.ParseInt(values[0], 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not a whole number", values[0])
		}
		return types.Int(n), nil
	case Period:
		d, ok := quantity.Period(values[0]).Fixed()
		if !ok {
			return nil, fmt.Errorf("%q is not a period of fixed length, such as 72h or 3d", values[0])
		}
		return types.Duration{Duration: d}, nil
	}
	return types.String(values[0]), nil
}

// businessDays is how long ago n business days were, counted back from the
// moment of the evaluation: age > bd(5) is true when more than five business
// days have passed.
func (e *evaluation) businessDays(n ref.Val) ref.Val {
	if e.BusinessDaysBefore == nil || e.At.IsZero() {
		return e.unknown("the moment and its calendar")
	}
	return types.Duration{Duration: e.At.Sub(e.BusinessDaysBefore(e.At, int(n.(types.Int))))}
}
