package wire

import (
	"strings"

	"holdfast/internal/intake/git/object"
)

// capabilities is what a server says it can do.
type capabilities struct {
	version int // 0, 1 or 2
	values  map[string][]string
}

// maxCapabilities bounds the capabilities of one server.
const maxCapabilities = 1000

// add records "name" or "name=value".
func (c *capabilities) add(text string) error {
	if text == "" {
		return nil
	}
	if c.values == nil {
		c.values = make(map[string][]string)
	}
	name, value, _ := strings.Cut(text, "=")
	if len(c.values) >= maxCapabilities || len(c.values[name]) >= maxCapabilities {
		return tooMuch("more than %d capabilities", maxCapabilities)
	}
	c.values[name] = append(c.values[name], value)
	return nil
}

func (c *capabilities) has(name string) bool { return len(c.values[name]) > 0 }

// offers reports whether a word is in the list that a v2 command carries, as
// "unborn" is in "ls-refs=unborn".
func (c *capabilities) offers(command, word string) bool {
	for _, v := range c.values[command] {
		for w := range strings.FieldsSeq(v) {
			if w == word {
				return true
			}
		}
	}
	return false
}

// format is the object format of the repository: sha1 unless the server says
// otherwise.
func (c *capabilities) format() (object.Format, error) {
	v := c.values["object-format"]
	if len(v) == 0 {
		return object.SHA1, nil
	}
	f, err := object.ParseFormat(v[0])
	if err != nil {
		return 0, malformed("%v", err)
	}
	return f, nil
}
