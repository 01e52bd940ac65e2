package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// The files of one person's keys, beside one another: NAME.key is an age
// identity file, NAME.sign an OpenSSH private key, NAME.contact the public
// card. Stock age and ssh-keygen read them.
const (
	identityExt = ".key"
	signerExt   = ".sign"
	contactExt  = ".contact"
)

const maxKeyFile = 64 << 10

// ownKeys is embedded by every verb that acts as a person.
type ownKeys struct {
	Key        string `help:"Your key file (NAME.key). NAME.sign and NAME.contact are expected beside it." required:"" type:"existingfile"`
	Sign       string `help:"Your signing key, when it is not beside the key file." type:"existingfile"`
	Passphrase string `name:"passphrase-file" help:"File with the passphrase of your keys; without it you are asked on the terminal." type:"existingfile"`
}

func (o ownKeys) identity() (*age.HybridIdentity, error) { return readIdentity(o.Key, o.Passphrase) }

func (o ownKeys) signer() (ssh.Signer, error) {
	path := o.Sign
	if path == "" {
		path = strings.TrimSuffix(o.Key, identityExt) + signerExt
	}
	return readSigner(path, o.Passphrase)
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, escrow.Errorf(escrow.Missing, "%s does not exist", path)
	}
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	case int64(len(data)) > limit:
		return nil, escrow.Errorf(escrow.Invalid, "%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// isSealed tells an age file, armored or not, from other texts.
func isSealed(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte(armor.Header)) || bytes.HasPrefix(data, []byte("age-encryption.org/"))
}

// readIdentity reads an age identity file with one post-quantum identity,
// asking for a passphrase when it is protected by one.
func readIdentity(path, passphraseFile string) (*age.HybridIdentity, error) {
	data, err := readFile(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	if isSealed(data) {
		if data, err = unlock(path, data, passphraseFile); err != nil {
			return nil, err
		}
	}
	ids, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		// age's message may quote the file, which holds a secret.
		return nil, escrow.Errorf(escrow.Invalid, "%s is not an age identity file", path).WithHint("use the NAME.key file that 'holdfast key new' or 'age-keygen -pq' made")
	}
	if len(ids) != 1 {
		return nil, escrow.Errorf(escrow.Invalid, "%s holds %d identities, want one", path, len(ids))
	}
	id, ok := ids[0].(*age.HybridIdentity)
	if !ok {
		return nil, escrow.Errorf(escrow.Invalid, "%s holds a classic identity", path).WithHint("make a post-quantum one with 'holdfast key new' or 'age-keygen -pq'")
	}
	return id, nil
}

func unlock(path string, data []byte, passphraseFile string) ([]byte, error) {
	pass, err := passphrase(path, passphraseFile)
	if err != nil {
		return nil, err
	}
	id, err := age.NewScryptIdentity(pass)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "the passphrase is empty")
	}
	var src io.Reader = bytes.NewReader(data)
	if !bytes.HasPrefix(data, []byte("age-encryption.org/")) {
		src = armor.NewReader(bytes.NewReader(data))
	}
	r, err := age.Decrypt(src, id)
	if err != nil {
		return nil, wrongPassphrase(path)
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, escrow.Errorf(escrow.Damaged, "%s is damaged", path).WithHint("use a copy, or the paper recovery sheet")
	}
	return plain, nil
}

func wrongPassphrase(path string) error {
	return escrow.Errorf(escrow.WrongKey, "the passphrase does not open %s", path).WithHint("try again, or use the paper recovery sheet")
}

// readSigner reads an OpenSSH Ed25519 private key.
func readSigner(path, passphraseFile string) (ssh.Signer, error) {
	data, err := readFile(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(data)
	if _, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		pass, perr := passphrase(path, passphraseFile)
		if perr != nil {
			return nil, perr
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(data, []byte(pass)); err != nil {
			return nil, wrongPassphrase(path)
		}
	}
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%s is not an OpenSSH private key", path).WithHint("use the NAME.sign file that 'holdfast key new' made")
	}
	if t := signer.PublicKey().Type(); t != ssh.KeyAlgoED25519 {
		return nil, escrow.Errorf(escrow.Invalid, "%s is a key of type %s, want %s", path, t, ssh.KeyAlgoED25519)
	}
	return signer, nil
}

// passphrase reads the first line of a file, or asks on the terminal.
func passphrase(what, file string) (string, error) {
	if file != "" {
		data, err := readFile(file, 4<<10)
		if err != nil {
			return "", err
		}
		line, _, _ := strings.Cut(string(data), "\n")
		if line = strings.TrimSuffix(line, "\r"); line == "" {
			return "", escrow.Errorf(escrow.Invalid, "the passphrase file %s begins with an empty line", file)
		}
		return line, nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", escrow.Errorf(escrow.Invalid, "%s needs a passphrase and there is no terminal to ask on", what).WithHint("give --passphrase-file")
	}
	defer tty.Close()
	fmt.Fprintf(tty, "passphrase of %s: ", what)
	pass, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(tty)
	if err != nil {
		return "", escrow.Errorf(escrow.Invalid, "the terminal does not answer")
	}
	return string(pass), nil
}

// readContact reads and verifies a contact card.
func readContact(path string) (*evidence.Contact, error) {
	data, err := readFile(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	c, err := evidence.ParseContact(data)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%s: %w", path, err).WithHint("ask the person for the card again; it must not be edited")
	}
	return c, nil
}

// readContacts reads every card in a directory.
func readContacts(dir string) ([]evidence.Contact, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+contactExt))
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	if len(paths) == 0 {
		return nil, escrow.Errorf(escrow.Missing, "%s holds no contact card (NAME%s)", dir, contactExt)
	}
	var list []evidence.Contact
	for _, p := range paths {
		c, err := readContact(p)
		if err != nil {
			return nil, err
		}
		for _, other := range list {
			if other.Party == c.Party && other.Person == c.Person {
				return nil, escrow.Errorf(escrow.Conflict, "%s holds two cards of %s/%s", dir, c.Party, c.Person).WithHint("find out which is right before going on")
			}
		}
		list = append(list, *c)
	}
	return list, nil
}

// newFiles writes files that must not exist yet, all or none.
func newFiles(files []newFile) error {
	for _, f := range files {
		if _, err := os.Lstat(f.path); err == nil {
			return escrow.Errorf(escrow.Conflict, "%s exists already and is not overwritten", f.path).WithHint("move it away, or name another place")
		}
	}
	var made []string
	for _, f := range files {
		err := os.MkdirAll(filepath.Dir(f.path), 0o700)
		if err == nil {
			err = writeNew(f)
		}
		if err != nil {
			for _, path := range made {
				err = errors.Join(err, os.Remove(path))
			}
			if errors.Is(err, fs.ErrExist) {
				return escrow.Errorf(escrow.Conflict, "%s exists already and is not overwritten", f.path)
			}
			return escrow.Errorf(escrow.Invalid, "write %s: %w", f.path, err)
		}
		made = append(made, f.path)
	}
	return nil
}

type newFile struct {
	path string
	data []byte
	mode fs.FileMode
}

func writeNew(f newFile) error {
	w, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = w.Write(f.data)
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		return errors.Join(err, os.Remove(f.path))
	}
	return nil
}
