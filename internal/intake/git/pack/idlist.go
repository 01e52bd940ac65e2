package pack

import (
	"bytes"
	"fmt"

	"holdfast/internal/intake/git/object"
)

// ParseIDs takes raw as a list of ids, which must be sorted and distinct. raw
// must not be changed afterwards.
func ParseIDs(f object.Format, raw []byte) (IDs, error) {
	n := f.Size()
	if n == 0 || len(raw)%n != 0 {
		return IDs{}, fmt.Errorf("%d bytes are no list of %s ids", len(raw), f)
	}
	for i := n; i < len(raw); i += n {
		if bytes.Compare(raw[i-n:i], raw[i:i+n]) >= 0 {
			return IDs{}, fmt.Errorf("id %d is out of order", i/n)
		}
	}
	return IDs{format: f, raw: raw}, nil
}

// UnionIDs returns all ids of the lists, which must be of format f.
func UnionIDs(f object.Format, lists ...IDs) IDs {
	switch len(lists) {
	case 0:
		return IDs{format: f}
	case 1:
		return lists[0]
	}
	half := len(lists) / 2
	return mergeIDs(UnionIDs(f, lists[:half]...), UnionIDs(f, lists[half:]...))
}

func mergeIDs(a, b IDs) IDs {
	n := a.format.Size()
	out := make([]byte, 0, len(a.raw)+len(b.raw))
	x, y := a.raw, b.raw
	for len(x) > 0 && len(y) > 0 {
		switch c := bytes.Compare(x[:n], y[:n]); {
		case c < 0:
			out, x = append(out, x[:n]...), x[n:]
		case c > 0:
			out, y = append(out, y[:n]...), y[n:]
		default:
			out, x, y = append(out, x[:n]...), x[n:], y[n:]
		}
	}
	out = append(append(out, x...), y...)
	return IDs{format: a.format, raw: out}
}
