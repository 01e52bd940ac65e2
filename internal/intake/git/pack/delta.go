package pack

import "errors"

// What can be wrong with a delta.
var (
	errDeltaCut    = errors.New("delta is cut short")
	errDeltaBase   = errors.New("delta is for a base of another size")
	errDeltaRange  = errors.New("delta copies from outside its base")
	errDeltaResult = errors.New("delta does not make the size it declares")
	errDeltaCode   = errors.New("delta holds the reserved instruction 0")
	errDeltaSize   = errors.New("delta declares a size that no computer holds")
)

// deltaSizes reads the two sizes a delta begins with.
func deltaSizes(delta []byte) (base, result int64, rest []byte, err error) {
	if base, delta, err = deltaSize(delta); err != nil {
		return 0, 0, nil, err
	}
	if result, delta, err = deltaSize(delta); err != nil {
		return 0, 0, nil, err
	}
	return base, result, delta, nil
}

func deltaSize(delta []byte) (int64, []byte, error) {
	var n int64
	for i, shift := 0, 0; i < len(delta); i, shift = i+1, shift+7 {
		c := delta[i]
		if shift > 56 {
			return 0, nil, errDeltaSize
		}
		n |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, delta[i+1:], nil
		}
	}
	return 0, nil, errDeltaCut
}

// applyDelta runs the instructions, which follow a delta's sizes, and fills
// result exactly.
func applyDelta(result, base, code []byte) error {
	out := 0
	for i := 0; i < len(code); {
		c := code[i]
		i++
		if c&0x80 == 0 {
			n := int(c)
			if n == 0 {
				return errDeltaCode
			}
			if n > len(code)-i {
				return errDeltaCut
			}
			if n > len(result)-out {
				return errDeltaResult
			}
			out += copy(result[out:], code[i:i+n])
			i += n
			continue
		}
		at, n, used, err := deltaCopy(c, code[i:])
		if err != nil {
			return err
		}
		i += used
		if at > len(base) || n > len(base)-at {
			return errDeltaRange
		}
		if n > len(result)-out {
			return errDeltaResult
		}
		out += copy(result[out:], base[at:at+n])
	}
	if out != len(result) {
		return errDeltaResult
	}
	return nil
}

// streamDelta runs the instructions and hands the result to emit piece by
// piece, for results that nobody needs in memory. size is what was declared.
func streamDelta(size int64, base, code []byte, emit func([]byte)) error {
	for i := 0; i < len(code); {
		c := code[i]
		i++
		var piece []byte
		if c&0x80 == 0 {
			n := int(c)
			if n == 0 {
				return errDeltaCode
			}
			if n > len(code)-i {
				return errDeltaCut
			}
			piece = code[i : i+n]
			i += n
		} else {
			at, n, used, err := deltaCopy(c, code[i:])
			if err != nil {
				return err
			}
			i += used
			if at > len(base) || n > len(base)-at {
				return errDeltaRange
			}
			piece = base[at : at+n]
		}
		if size -= int64(len(piece)); size < 0 {
			return errDeltaResult
		}
		emit(piece)
	}
	if size != 0 {
		return errDeltaResult
	}
	return nil
}

// deltaCopy reads the operands of a copy instruction.
func deltaCopy(c byte, code []byte) (at, n, used int, err error) {
	for bit := range 7 {
		if c&(1<<bit) == 0 {
			continue
		}
		if used == len(code) {
			return 0, 0, 0, errDeltaCut
		}
		if bit < 4 {
			at |= int(code[used]) << (8 * bit)
		} else {
			n |= int(code[used]) << (8 * (bit - 4))
		}
		used++
	}
	if n == 0 {
		n = 0x10000
	}
	return at, n, used, nil
}
