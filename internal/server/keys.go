package server

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Keys are the installation's own keys. None of them opens a deposit.
type Keys struct {
	Ledger      note.Signer         // signs checkpoints
	LedgerKey   string              // its verifier key, for clients to pin
	Identity    *age.HybridIdentity // source credentials and sync state are sealed to it
	Signer      ssh.Signer          // signs the manifests of pulled deposits
	SigningLine string              // its public key, one authorized_keys line
}

// The files of the keys directory.
const (
	ledgerKeyFile = "ledger.key"
	ledgerPubFile = "ledger.pub"
	identityFile  = "server.key"
	signingFile   = "server.sign"
)

func keyFiles() []string {
	return []string{ledgerKeyFile, ledgerPubFile, identityFile, signingFile}
}

// loadKeys reads the keys of an installation, or makes them when it is new and
// create allows it; fresh says which. A directory with some of the files is
// refused: a ledger that goes on with another key would be a second ledger.
func loadKeys(dir, origin string, random io.Reader, create bool) (k *Keys, fresh bool, err error) {
	var missing []string
	names := keyFiles()
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
		} else if err != nil {
			return nil, false, diskError(err, "key %s", filepath.Join(dir, name))
		}
	}
	switch len(missing) {
	case 0:
	case len(names):
		if !create {
			return nil, false, escrow.Errorf(escrow.Missing, "there are no keys in %s", dir).
				WithHint("begin the installation once with 'holdfast init', then let every process see its keys; set 'keys' to where they are")
		}
		fresh = true
		if err := makeKeys(dir, origin, random); err != nil {
			return nil, false, err
		}
	default:
		return nil, false, escrow.Errorf(escrow.Missing, "keys directory %s lacks %s", dir, strings.Join(missing, ", ")).
			WithHint("restore the missing files from a backup; new ones would start a second ledger")
	}
	k, err = readKeys(dir, origin)
	return k, fresh, err
}

// makeKeys makes the directory with all four files, or nothing: it gets its
// name when everything in it is on the disk.
func makeKeys(dir, origin string, random io.Reader) (err error) {
	skey, vkey, err := note.GenerateKey(random, origin)
	if err != nil {
		return fmt.Errorf("make the ledger's key: %w", err)
	}
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		return fmt.Errorf("make the server's identity: %w", err)
	}
	_, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return fmt.Errorf("make the server's signing key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "holdfast server")
	if err != nil {
		return fmt.Errorf("make the server's signing key: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return diskError(err, "keys directory %s cannot be made", dir)
	}
	unfinished := dir + ".new"
	defer func() {
		if err != nil {
			err = diskError(errors.Join(err, os.RemoveAll(unfinished)), "keys directory %s cannot be made", dir)
		}
	}()
	if err := os.RemoveAll(unfinished); err != nil { // of a start that died here
		return err
	}
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data string
	}{{identityFile, identity.String() + "\n"}, {signingFile, string(pem.EncodeToMemory(block))}, {ledgerKeyFile, skey + "\n"}, {ledgerPubFile, vkey + "\n"}} {
		if err := writeNew(filepath.Join(unfinished, f.name), []byte(f.data)); err != nil {
			return err
		}
	}
	if err := syncDir(unfinished); err != nil {
		return err
	}
	if err := os.Rename(unfinished, dir); err != nil { // replaces an empty directory and no other
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// diskError gives what the file system refused a code, and its reason to
// people.
func diskError(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return escrow.Wrap(err, escrow.Full, "%s: no room left on its file system", what).WithHint("make room, then start again")
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return escrow.Wrap(err, escrow.Unavailable, "%s: not allowed", what).WithHint("give the account that runs holdfast read and write access to it")
	}
	return escrow.Wrap(err, escrow.Unavailable, "%s", what).WithHint("check the path, the disk and its mount")
}

func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func keyFileError(err error, path string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return escrow.Errorf(escrow.Missing, "key %s is not there", path).WithHint("restore the keys directory from a backup")
	}
	return diskError(err, "key %s", path)
}

// readKeys reads the keys; an origin of "" takes the ledger as it is.
func readKeys(dir, origin string) (*Keys, error) {
	read := func(name string) (string, error) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return "", escrow.Errorf(escrow.Missing, "%s has no %s", dir, name).
				WithHint("check that this is an installation's data directory; a lost key comes from a backup")
		}
		if err != nil {
			return "", keyFileError(err, filepath.Join(dir, name))
		}
		return strings.TrimSpace(string(data)), nil
	}
	var texts [4]string
	for i, name := range keyFiles() {
		var err error
		if texts[i], err = read(name); err != nil {
			return nil, err
		}
	}
	k := &Keys{LedgerKey: texts[1]}
	var err error
	// What a parser says about a key file may quote it, so it is not passed on.
	if k.Ledger, err = note.NewSigner(texts[0]); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s is not a note signer key", filepath.Join(dir, ledgerKeyFile))
	}
	if origin != "" && k.Ledger.Name() != origin {
		return nil, escrow.Errorf(escrow.Conflict, "this installation's ledger is %q, but the configuration says origin %q", k.Ledger.Name(), origin).
			WithHint("a ledger never changes its name; set origin to %q", k.Ledger.Name())
	}
	shown, err := note.NewVerifier(k.LedgerKey)
	if err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s is not a note verifier key", filepath.Join(dir, ledgerPubFile))
	}
	if shown.Name() != k.Ledger.Name() || shown.KeyHash() != k.Ledger.KeyHash() {
		return nil, escrow.Errorf(escrow.Damaged, "%s does not belong to %s", filepath.Join(dir, ledgerPubFile), ledgerKeyFile).
			WithHint("restore both from the same backup")
	}
	if k.Identity, err = age.ParseHybridIdentity(texts[2]); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s is not an age identity", filepath.Join(dir, identityFile))
	}
	if k.Signer, err = ssh.ParsePrivateKey([]byte(texts[3] + "\n")); err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s is not an SSH private key", filepath.Join(dir, signingFile))
	}
	k.SigningLine = evidence.FormatPublicKey(k.Signer.PublicKey())
	return k, nil
}
