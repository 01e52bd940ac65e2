package pack

import "holdfast/internal/intake/git/object"

// Head is the header of an entry, for tests.
type Head struct {
	Kind           byte
	Size, Distance int64
	Base           []byte
	Length         int
}

func ParseHead(data []byte, hashSize int) (Head, error) {
	h, n, err := parseHead(data, hashSize)
	return Head{byte(h.kind), h.size, h.distance, h.base, n}, err
}

var (
	DeltaSizes = deltaSizes
	ApplyDelta = applyDelta
	Modules    = parseModules
	Nul        = nul
)

// HashRaw is what the hasher says of bytes without an object's header. The
// collisions that are public are of whole files, and Git's header in front
// takes their property away.
func HashRaw(f object.Format, content []byte) ([]byte, error) {
	h := newHasher(f)
	h.write(content)
	return h.id()
}

func StreamDelta(size int64, base, code []byte) (out []byte, err error) {
	err = streamDelta(size, base, code, func(p []byte) { out = append(out, p...) })
	return out, err
}

// Parsed is what a commit, tree or tag names: kind, name, raw id.
type Parsed struct {
	Kind byte
	Name string
	Raw  string
}

func ParseObject(f object.Format, what byte, data []byte) (named []Parsed, warnings []string, err error) {
	warn := func(text string) { warnings = append(warnings, text) }
	add := func(k byte, name string) func([]byte) error {
		return func(raw []byte) error {
			named = append(named, Parsed{k, name, string(raw)})
			return nil
		}
	}
	switch what {
	case 1:
		err = parseCommit(f, data, add(2, ""), add(1, ""), warn)
	case 2:
		err = parseTree(f, data, func(k kind, name, raw []byte) error { return add(byte(k), string(name))(raw) }, warn)
	case 4:
		err = parseTag(f, data, func(raw []byte, k kind) error { return add(byte(k), "")(raw) }, warn)
	}
	return named, warnings, err
}

// InPass is the largest object the first pass ever handles in memory.
const InPass = maxInPass

// WindowSize is the longest stream inflated in one go.
const WindowSize = maxWindow
