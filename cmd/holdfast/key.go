package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// keyCmd makes and shows the keys of one person.
type keyCmd struct {
	New  keyNewCmd  `cmd:"" help:"Make the keys of a person: decryption key, signing key and contact card."`
	Show keyShowCmd `cmd:"" help:"Show the fingerprints of keys and contact cards, to compare over another channel."`
}

type keyNewCmd struct {
	Party      string `help:"Organisation, as the agreement calls it." required:""`
	Person     string `help:"Person, as the agreement calls them." required:""`
	Out        string `help:"Directory for the files; nothing in it is overwritten." required:"" type:"path"`
	Passphrase string `name:"passphrase-file" help:"File with the passphrase that protects both keys; without it you are asked on the terminal." type:"existingfile" xor:"protection"`
	Plain      bool   `help:"Write the keys without a passphrase." xor:"protection"`
	Paper      bool   `help:"Also write a recovery sheet to print."`
}

func (keyNewCmd) Help() string {
	return `Writes PERSON.key (age identity), PERSON.sign (OpenSSH Ed25519), PERSON.contact (the card to
give to others). Both keys stay on this machine; only the card is for others. Stock age and
ssh-keygen read the keys.`
}

func (c *keyNewCmd) Run(_ context.Context, s *streams) error {
	if !evidence.IsName(c.Party) || !evidence.IsName(c.Person) {
		return escrow.Errorf(escrow.Invalid, "party %q and person %q must be names of lower-case letters, digits, '-' and '_'", c.Party, c.Person)
	}
	pass, err := c.newPassphrase()
	if err != nil {
		return err
	}
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	now := time.Now()
	card, err := evidence.SignContact(evidence.Contact{Party: c.Party, Person: c.Person, Recipient: identity.Recipient().String(), Created: evidence.At(now)}, signer)
	if err != nil {
		return err
	}
	keyFile, err := lock(identityFile(c.Party, c.Person, identity, now), pass)
	if err != nil {
		return err
	}
	signFile, err := marshalSigner(private, c.Party+"/"+c.Person, pass)
	if err != nil {
		return err
	}
	base := filepath.Join(c.Out, c.Person)
	files := []newFile{
		{base + identityExt, keyFile, 0o600},
		{base + signerExt, signFile, 0o600},
		{base + contactExt, append(card, '\n'), 0o644},
	}
	if c.Paper {
		files = append(files, newFile{base + ".paper.txt", paperSheet(c.Party, c.Person, identity, now), 0o600})
	}
	if err := newFiles(files); err != nil {
		return err
	}
	return c.print(s, identity, signer, files)
}

// newPassphrase returns the passphrase for new keys, "" for none.
func (c *keyNewCmd) newPassphrase() (string, error) {
	if c.Plain {
		return "", nil
	}
	if c.Passphrase != "" {
		return passphrase("the new keys", c.Passphrase)
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", escrow.Errorf(escrow.Invalid, "there is no terminal to ask for a passphrase on").WithHint("give --passphrase-file, or --plain for keys without one")
	}
	defer tty.Close()
	var lines [2]string
	for i, prompt := range []string{"new passphrase: ", "the same again: "} {
		fmt.Fprint(tty, prompt)
		line, err := term.ReadPassword(int(tty.Fd()))
		fmt.Fprintln(tty)
		if err != nil {
			return "", escrow.Errorf(escrow.Invalid, "the terminal does not answer")
		}
		lines[i] = string(line)
	}
	switch {
	case lines[0] != lines[1]:
		return "", escrow.Errorf(escrow.Invalid, "the two passphrases differ")
	case lines[0] == "":
		return "", escrow.Errorf(escrow.Invalid, "the passphrase is empty").WithHint("use --plain for keys without one")
	}
	return lines[0], nil
}

func identityFile(party, person string, id *age.HybridIdentity, now time.Time) []byte {
	return fmt.Appendf(nil, "# holdfast key of %s/%s\n# created: %s\n# public key: %s\n%s\n", party, person, evidence.At(now), id.Recipient(), id)
}

// lock protects a key file with a passphrase the way age -p does.
func lock(plain []byte, pass string) ([]byte, error) {
	if pass == "" {
		return plain, nil
	}
	r, err := age.NewScryptRecipient(pass)
	if err != nil {
		return nil, fmt.Errorf("protect key: %w", err)
	}
	var buf bytes.Buffer
	a := armor.NewWriter(&buf)
	w, err := age.Encrypt(a, r)
	if err != nil {
		return nil, fmt.Errorf("protect key: %w", err)
	}
	if _, err := w.Write(plain); err != nil {
		return nil, fmt.Errorf("protect key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("protect key: %w", err)
	}
	if err := a.Close(); err != nil {
		return nil, fmt.Errorf("protect key: %w", err)
	}
	return buf.Bytes(), nil
}

func marshalSigner(private ed25519.PrivateKey, comment, pass string) ([]byte, error) {
	var block *pem.Block
	var err error
	if pass == "" {
		block, err = ssh.MarshalPrivateKey(private, comment)
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, comment, []byte(pass))
	}
	if err != nil {
		return nil, fmt.Errorf("write signing key: %w", err)
	}
	return pem.EncodeToMemory(block), nil
}

// paperSheet is a page to print and put in a safe. The identity is written
// once as one line to copy and once in groups to read, each group of a line
// numbered, and followed by what tells a typing error.
func paperSheet(party, person string, id *age.HybridIdentity, now time.Time) []byte {
	secret := id.String()
	var b strings.Builder
	fmt.Fprintf(&b, "HOLDFAST RECOVERY SHEET\n=======================\n\n")
	fmt.Fprintf(&b, "Decryption key of   %s/%s\nMade on             %s\n", party, person, evidence.At(now).Format("2006-01-02"))
	print := evidence.Fingerprint(id.Recipient().String())
	fmt.Fprintf(&b, "Fingerprint         %s\n", evidence.Digits(print))
	fmt.Fprintf(&b, "\nWho has this sheet can do what this key can. Print it, put it in a sealed\nenvelope in a safe, and delete this file.\n\n")
	fmt.Fprintf(&b, "The key, one line without blanks:\n\n%s\n\nThe same in groups of four, ten to a line:\n\n", secret)
	for i := 0; i < len(secret); i += 4 {
		if i%40 == 0 {
			if i > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "%2d  ", i/40+1)
		}
		fmt.Fprintf(&b, " %s", secret[i:min(i+4, len(secret))])
	}
	fmt.Fprintf(&b, "\n\nTo use it again: type the key into a text file on one line, and give that file\nas --key. A typing error is noticed: the line carries a checksum. Check the\nresult with 'holdfast key show FILE': the fingerprint must be the one above.\nStock age (1.3 or later) reads the file too.\n\nThis sheet does not hold the signing key. To act again after losing it, open\nthe share with this key and ask for a resharing to new keys.\n")
	return []byte(b.String())
}

// shownKey is what is shown of a key or card.
type shownKey struct {
	Party       string   `json:"party,omitempty"`
	Person      string   `json:"person,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Digits      string   `json:"digits,omitempty"`
	SigningKey  string   `json:"signing_key,omitempty"`
	Files       []string `json:"files"`
}

func (k shownKey) print(s *streams, verb string) {
	who := k.Party + "/" + k.Person
	if who == "/" {
		who = k.Files[0]
	}
	fmt.Fprintf(s.out, "%-10s%s\n", verb, who)
	if k.Digits != "" {
		fmt.Fprintf(s.out, "  digits    %s\n", k.Digits)
		groups := evidence.Groups(k.Fingerprint)
		fmt.Fprintf(s.out, "  sha256    %s\n            %s\n", groups[:39], groups[40:])
	}
	if k.SigningKey != "" {
		fmt.Fprintf(s.out, "  signs as  %s\n", k.SigningKey)
	}
}

func (c *keyNewCmd) print(s *streams, id *age.HybridIdentity, signer ssh.Signer, files []newFile) error {
	print := evidence.Fingerprint(id.Recipient().String())
	k := shownKey{Party: c.Party, Person: c.Person, Fingerprint: print, Digits: evidence.Digits(print), SigningKey: ssh.FingerprintSHA256(signer.PublicKey())}
	for _, f := range files {
		k.Files = append(k.Files, f.path)
	}
	if s.json {
		return s.printJSON(k)
	}
	k.print(s, "made")
	for i, f := range k.Files {
		fmt.Fprintf(s.out, "  %-10s%s\n", []string{"secret", "secret", "card", "paper"}[i], f)
	}
	if c.Plain {
		fmt.Fprintf(s.out, "  caution   the keys are not protected by a passphrase\n")
	}
	if c.Paper {
		fmt.Fprintf(s.out, "  caution   print the recovery sheet, then delete the file\n")
	}
	return nil
}

type keyShowCmd struct {
	Files      []string `arg:"" help:"Contact cards, key files, or files with one age recipient." type:"existingfile"`
	Passphrase string   `name:"passphrase-file" help:"File with the passphrase of protected key files." type:"existingfile"`
}

func (keyShowCmd) Help() string {
	return `The digits are for the telephone: eight groups of four, the same in every language. Read them
to one another over a channel that does not go through the server.`
}

func (c *keyShowCmd) Run(_ context.Context, s *streams) error {
	var list []shownKey
	for _, path := range c.Files {
		k, err := c.show(path)
		if err != nil {
			return err
		}
		list = append(list, k)
	}
	if s.json {
		return s.printJSON(list)
	}
	for _, k := range list {
		k.print(s, "key")
	}
	return nil
}

func (c *keyShowCmd) show(path string) (shownKey, error) {
	data, err := readFile(path, maxKeyFile)
	if err != nil {
		return shownKey{}, err
	}
	k := shownKey{Files: []string{path}}
	text := strings.TrimSpace(string(data))
	switch {
	case strings.HasPrefix(text, "{"):
		card, err := readContact(path)
		if err != nil {
			return shownKey{}, err
		}
		key, err := evidence.ParsePublicKey(card.Key)
		if err != nil {
			return shownKey{}, err
		}
		k.Party, k.Person, k.SigningKey = card.Party, card.Person, ssh.FingerprintSHA256(key)
		k.Fingerprint = evidence.Fingerprint(card.Recipient)
	case strings.HasPrefix(text, "age1pq1"):
		if _, err := age.ParseHybridRecipient(text); err != nil {
			return shownKey{}, escrow.Errorf(escrow.Invalid, "%s is not a valid recipient: it was changed or mistyped", path)
		}
		k.Fingerprint = evidence.Fingerprint(text)
	case strings.HasPrefix(text, "-----BEGIN OPENSSH PRIVATE KEY-----"):
		signer, err := readSigner(path, c.Passphrase)
		if err != nil {
			return shownKey{}, err
		}
		k.SigningKey = ssh.FingerprintSHA256(signer.PublicKey())
		return k, nil
	default:
		id, err := readIdentity(path, c.Passphrase)
		if err != nil {
			return shownKey{}, err
		}
		k.Fingerprint = evidence.Fingerprint(id.Recipient().String())
	}
	k.Digits = evidence.Digits(k.Fingerprint)
	return k, nil
}
