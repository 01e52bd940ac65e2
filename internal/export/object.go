package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// object fetches one object under a temporary name and gives it its own only
// when every byte is there and hashes to it. What arrived before an earlier
// fetch broke off is not fetched again.
func (f *fetcher) object(ctx context.Context, o evidence.ObjectEntry) error {
	final := filepath.Join(f.want.Dir, ObjectPath(o.Name))
	if (&Export{Dir: f.want.Dir}).CheckObject(o) == nil {
		return nil
	}
	part := filepath.Join(filepath.Dir(final), partPrefix+o.Name)
	spoilt, err := f.fetchTo(ctx, part, o)
	if err != nil {
		if spoilt {
			err = errors.Join(err, ignoreMissing(os.Remove(part)))
		}
		return err
	}
	return os.Rename(part, final)
}

// fetchTo fills a temporary file. spoilt says that what is in it is of no use.
func (f *fetcher) fetchTo(ctx context.Context, part string, o evidence.ObjectEntry) (spoilt bool, err error) {
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, escrow.Wrap(err, escrow.Invalid, "%s", part)
	}
	defer func() {
		if cerr := file.Close(); err == nil && cerr != nil {
			err = cannotWrite(cerr, part)
		}
	}()
	h := sha256.New()
	have, err := io.Copy(h, file)
	if err == nil && have >= o.Size { // it would be under its name if it were right
		h.Reset()
		have = 0
		_, err = file.Seek(0, io.SeekStart)
		err = errors.Join(err, file.Truncate(0))
	}
	if err != nil {
		return true, escrow.Wrap(err, escrow.Invalid, "%s", part)
	}
	body, err := f.client.ObjectFrom(ctx, f.want.Arrangement, o.Name, have)
	if err != nil {
		return have == 0, err
	}
	defer body.Close()
	source := &failing{r: io.LimitReader(body, o.Size-have+1)}
	n, err := io.Copy(io.MultiWriter(file, h), source)
	n += have
	if err := errors.Join(err, file.Sync()); err != nil {
		f.mu.Lock()
		f.begun = f.begun || n > 0
		f.mu.Unlock()
		if source.err == nil {
			return true, cannotWrite(err, part)
		}
		return n == 0, escrow.Wrap(err, escrow.Unavailable, "object %s broke off after %d of %d bytes", o.Name, n, o.Size).WithHint("run the same command again; it goes on where it stopped")
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != o.Size || got != o.Name {
		return true, escrow.Errorf(escrow.Damaged, "the server sent %d bytes with digest %s as object %s of %d bytes", n, got, o.Name, o.Size)
	}
	return false, nil
}
