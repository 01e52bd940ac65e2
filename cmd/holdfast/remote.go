package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// remote is embedded by every verb that talks to a server.
type remote struct {
	Server    string `help:"Server, such as https://escrow.example." env:"HOLDFAST_SERVER" required:""`
	TokenFile string `help:"File that holds the bearer token." env:"HOLDFAST_TOKEN_FILE" required:"" type:"existingfile"`
	Pins      string `help:"Directory that remembers the ledgers seen (default: in the user's configuration)." env:"HOLDFAST_PINS" type:"path"`
}

// scoped is remote for verbs about one arrangement.
type scoped struct {
	remote
	Arrangement string `short:"a" help:"Arrangement id." env:"HOLDFAST_ARRANGEMENT" required:""`
}

// connect returns a client for a server whose ledger has been compared with
// what was remembered of it, and what is remembered now.
func (r remote) connect(ctx context.Context, s *streams) (*client.Client, client.Memory, error) {
	token, err := r.token()
	if err != nil {
		return nil, client.Memory{}, err
	}
	c, err := client.New(client.Options{URL: r.Server, Token: token})
	if err != nil {
		return nil, client.Memory{}, escrow.Errorf(escrow.Invalid, "%w", err).
			WithHint("name the server as https://HOST; plain http is for a server on this machine only")
	}
	memory, err := r.checkLedger(ctx, s, c)
	return c, memory, err
}

// maxToken bounds a token file.
const maxToken = 4 << 10

// token reads the bearer token. What else may be in the file is not quoted.
func (r remote) token() (string, error) {
	data, err := readFile(r.TokenFile, maxToken)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", escrow.Errorf(escrow.Invalid, "%s holds no token", r.TokenFile).
			WithHint("give the file that 'holdfast token issue --out' wrote, one line beginning with hf_")
	}
	return token, nil
}

// checkLedger compares the server's ledger with the memory of it and updates
// the memory.
func (r remote) checkLedger(ctx context.Context, s *streams, c *client.Client) (client.Memory, error) {
	path, err := r.memoryPath()
	if err != nil {
		return client.Memory{}, err
	}
	var before client.Memory
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(data, &before); err != nil {
			return client.Memory{}, escrow.Errorf(escrow.Damaged, "memory of the ledger %s cannot be read: %w", path, err).
				WithHint("restore the file, or remove it and compare the ledger's key again over another channel")
		}
	case !errors.Is(err, fs.ErrNotExist):
		return client.Memory{}, escrow.Wrap(err, escrow.Invalid, "memory of the ledger %s", path)
	}
	after, _, err := c.CheckLedger(ctx, before)
	if err != nil {
		return client.Memory{}, ledgerError(err)
	}
	if before.Key == "" {
		fmt.Fprintf(s.err, "first contact with %s: ledger key %s is remembered; compare it over another channel\n", r.Server, after.Key)
	}
	if after == before {
		return after, nil
	}
	return after, r.remember(path, after)
}

func (r remote) memoryPath() (string, error) {
	dir := r.Pins
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return "", escrow.Wrap(err, escrow.Invalid, "no configuration directory").WithHint("name one with --pins")
		}
		dir = filepath.Join(config, "holdfast", "pins")
	}
	return filepath.Join(dir, evidence.Digest([]byte(serverName(r.Server)))[:32]+".json"), nil
}

// serverName writes a server's address in one way, so that the memory of it
// is not escaped by a slash or a capital letter.
func serverName(address string) string {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil {
		return address
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	return u.String()
}

func (r remote) remember(path string, m client.Memory) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return writeAtomically(path, data)
}

// writeAtomically replaces a file of the memory. A crash must leave the old
// memory or the new one, never half of either: an empty memory would believe
// anything.
func writeAtomically(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return escrow.Wrap(err, escrow.Invalid, "remember in %s", path)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".pin-*")
	if err != nil {
		return escrow.Wrap(err, escrow.Invalid, "remember in %s", path)
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return escrow.Wrap(errors.Join(err, os.Remove(tmp.Name())), escrow.Invalid, "remember in %s", path)
	}
	return nil
}

func ledgerError(err error) error {
	if errors.Is(err, evidence.ErrRollback) || errors.Is(err, evidence.ErrFork) || errors.Is(err, evidence.ErrUnknownKey) {
		return escrow.Wrap(err, escrow.Damaged, "do not trust this server").
			WithHint("keep the file in the pins directory as evidence and call the agent by a number you know")
	}
	return err
}

// result prints a line for people, or v for machines.
func (s *streams) result(v any, format string, args ...any) error {
	if s.json {
		return s.printJSON(v)
	}
	_, err := fmt.Fprintf(s.out, format, args...)
	return err
}

// printJSON writes v for machines.
func (s *streams) printJSON(v any) error {
	enc := json.NewEncoder(s.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
