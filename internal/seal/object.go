package seal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"filippo.io/age"

	"holdfast/internal/escrow"
)

// postQuantum is the label by which age keeps classic recipients out of a
// post-quantum file.
const postQuantum = "postquantum"

// Writer seals an object into an age file. It keeps the file key until
// [FileKey.Forget], so that what was sealed can be checked as it is stored.
type Writer struct {
	w   io.WriteCloser
	key *FileKey
}

// NewWriter writes the header of a sealed object to dst. Every recipient must
// be post-quantum; age would refuse a mixture, but not a purely classic list.
func NewWriter(dst io.Writer, recipients ...age.Recipient) (*Writer, error) {
	if len(recipients) == 0 {
		return nil, escrow.Errorf(escrow.Invalid, "an object needs at least one recipient")
	}
	key := new(FileKey)
	list := make([]age.Recipient, len(recipients))
	for i, r := range recipients {
		list[i] = &keyCatcher{r, key}
	}
	w, err := age.Encrypt(dst, list...)
	if err != nil {
		key.Forget()
		return nil, fmt.Errorf("seal object: %w", err)
	}
	return &Writer{w, key}, nil
}

// Write seals p. Bytes may reach the destination only with a later call.
func (w *Writer) Write(p []byte) (int, error) { return w.w.Write(p) }

// Close seals the last chunk; without it the object is not whole. It does not
// close the destination.
func (w *Writer) Close() error { return w.w.Close() }

// Key returns the key of this one object. The caller must Forget it.
func (w *Writer) Key() *FileKey { return w.key }

// keyCatcher passes a file key on to a recipient and remembers it.
type keyCatcher struct {
	age.Recipient
	key *FileKey
}

func (c *keyCatcher) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	r, ok := c.Recipient.(age.RecipientWithLabels)
	if !ok {
		return nil, nil, errClassic()
	}
	stanzas, labels, err := r.WrapWithLabels(fileKey)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(labels, postQuantum) {
		return nil, nil, errClassic()
	}
	c.key.remember(fileKey)
	return stanzas, labels, nil
}

func errClassic() error {
	return escrow.Errorf(escrow.Invalid, "the recipient is not post-quantum").
		WithHint("use a recipient that begins with age1pq1, as 'holdfast key new' and 'age-keygen -pq' make them")
}

// FileKey is the key of one sealed object, held in memory while the object is
// checked.
type FileKey struct {
	mu  sync.Mutex
	key []byte
}

// ErrForgotten says that a file key was dropped already.
var ErrForgotten = errors.New("the file key was forgotten")

func (k *FileKey) remember(key []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.key = slices.Clone(key)
}

// OpenAt opens the sealed object of the given size in r and returns its
// plaintext and the plaintext's length. The reader may be used concurrently.
// Errors about the object are [escrow.Damaged]; [ErrForgotten] after Forget.
func (k *FileKey) OpenAt(r io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	k.mu.Lock()
	key := slices.Clone(k.key)
	k.mu.Unlock()
	if len(key) == 0 {
		return nil, 0, ErrForgotten
	}
	// The identity is used while the header is read, not longer.
	defer clear(key)
	return openAt(r, OpenOptions{Name: "the object just sealed", Size: size}, age.NewInjectedFileKeyIdentity(key))
}

// Forget overwrites the key. Go may have copied it elsewhere in memory, so
// this shortens the time it is there and promises no more.
func (k *FileKey) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.key)
	k.key = nil
}
