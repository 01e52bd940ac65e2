package seal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/math/polynomial"

	"holdfast/evidence"
)

// Sharing is Shamir's over the scalar field of ristretto255, made verifiable
// with Pedersen commitments s·G + r·H. Feldman commitments s·G would do the
// same with one scalar less, but a quantum computer reads s from them; the
// published commitments would undo the post-quantum encryption they protect.
// Pedersen commitments hide s from everybody, for ever; only their binding is
// classical, and that must hold only while people deal and combine.

const (
	generatorDST    = "holdfast/v1/pedersen-h"
	randomScalarDST = "holdfast/v1/random-scalar"
)

// generatorH is the second generator; its encoding is [evidence.PedersenH].
func generatorH() group.Element {
	return group.Ristretto255.HashToElement(nil, []byte(generatorDST))
}

// randomScalar reads 64 bytes, so that the reduction has no bias. circl's own
// RandomScalar ignores the reader it is given.
func randomScalar(rand io.Reader) (group.Scalar, error) {
	var raw [64]byte
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return nil, fmt.Errorf("random scalar: %w", err)
	}
	return group.Ristretto255.HashToScalar(raw[:], []byte(randomScalarDST)), nil
}

func scalarOf(n int) group.Scalar {
	return group.Ristretto255.NewScalar().SetUint64(uint64(n))
}

func parseScalar(b evidence.Bytes32) (group.Scalar, error) {
	s := group.Ristretto255.NewScalar()
	if err := s.UnmarshalBinary(b[:]); err != nil {
		return nil, errors.New("not a canonical scalar of ristretto255")
	}
	return s, nil
}

func parsePoint(b evidence.Bytes32) (group.Element, error) {
	e := group.Ristretto255.NewElement()
	if err := e.UnmarshalBinary(b[:]); err != nil {
		return nil, errors.New("not a point of ristretto255")
	}
	return e, nil
}

func parsePoints(list []evidence.Bytes32) ([]group.Element, error) {
	points := make([]group.Element, len(list))
	for i, b := range list {
		p, err := parsePoint(b)
		if err != nil {
			return nil, fmt.Errorf("commitment %d: %w", i+1, err)
		}
		points[i] = p
	}
	return points, nil
}

// encode cannot fail for values of this group.
func encode(v interface{ MarshalBinary() ([]byte, error) }) evidence.Bytes32 {
	raw, err := v.MarshalBinary()
	if err != nil || len(raw) != 32 {
		panic(fmt.Sprintf("seal: ristretto255 encoding of %d bytes: %v", len(raw), err))
	}
	return evidence.Bytes32(raw)
}

func encodePoints(list []group.Element) []evidence.Bytes32 {
	out := make([]evidence.Bytes32, len(list))
	for i, p := range list {
		out[i] = encode(p)
	}
	return out
}

// dealt is the dealer's secret of one part: the polynomial whose constant is
// the secret, and the one that blinds its commitments.
type dealt struct {
	values []group.Scalar
	blinds []group.Scalar
}

// newDealt draws polynomials of degree threshold−1. The constants are drawn
// too unless given.
func newDealt(rand io.Reader, threshold int, value, blind group.Scalar) (dealt, error) {
	d := dealt{make([]group.Scalar, threshold), make([]group.Scalar, threshold)}
	for i := range threshold {
		var err error
		if d.values[i], err = randomScalar(rand); err != nil {
			return dealt{}, err
		}
		if d.blinds[i], err = randomScalar(rand); err != nil {
			return dealt{}, err
		}
	}
	if value != nil {
		d.values[0], d.blinds[0] = value, blind
	}
	return d, nil
}

func (d dealt) commitments() []evidence.Bytes32 {
	h := generatorH()
	out := make([]evidence.Bytes32, len(d.values))
	for i := range d.values {
		out[i] = encode(commit(h, d.values[i], d.blinds[i]))
	}
	return out
}

func (d dealt) at(index int) (share, blind group.Scalar) {
	x := scalarOf(index)
	return polynomial.New(d.values).Evaluate(x), polynomial.New(d.blinds).Evaluate(x)
}

// commit returns value·G + blind·H.
func commit(h group.Element, value, blind group.Scalar) group.Element {
	c := group.Ristretto255.NewElement().MulGen(value)
	return c.Add(c, group.Ristretto255.NewElement().Mul(h, blind))
}

// evaluate returns the commitment to the polynomial's value at index.
func evaluate(commitments []group.Element, index int) group.Element {
	x := scalarOf(index)
	sum := group.Ristretto255.Identity()
	for _, c := range slices.Backward(commitments) { // Horner
		sum.Mul(sum, x)
		sum.Add(sum, c)
	}
	return sum
}

// errNotCommitted says that a share is well formed but wrong.
var errNotCommitted = errors.New("does not fit the published commitments")

// verify checks one share against the commitments of its part.
func verify(commitments []evidence.Bytes32, index int, share, blind evidence.Bytes32) error {
	points, err := parsePoints(commitments)
	if err != nil {
		return err
	}
	value, err := parseScalar(share)
	if err != nil {
		return fmt.Errorf("share: %w", err)
	}
	r, err := parseScalar(blind)
	if err != nil {
		return fmt.Errorf("blind: %w", err)
	}
	if !commit(generatorH(), value, r).IsEqual(evaluate(points, index)) {
		return errNotCommitted
	}
	return nil
}

// lagrange returns the coefficients by which shares at the given indexes add
// up to the polynomial's constant. The indexes are different and not zero.
func lagrange(indexes []int) []group.Scalar {
	nodes := make([]group.Scalar, len(indexes))
	for i, n := range indexes {
		nodes[i] = scalarOf(n)
	}
	zero := group.Ristretto255.NewScalar()
	out := make([]group.Scalar, len(indexes))
	for i := range nodes {
		out[i] = polynomial.LagrangeBase(uint(i), nodes, zero)
	}
	return out
}
