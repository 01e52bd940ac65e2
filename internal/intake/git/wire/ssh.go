package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/internal/escrow"
)

// dialSSH runs git-upload-pack on the host, if the host shows a pinned key.
func dialSSH(ctx context.Context, t *target, cfg Config, dog *watchdog) (transport, error) {
	client, err := connectSSH(ctx, t, cfg)
	if err != nil {
		return nil, err
	}
	s, err := startUploadPack(ctx, client, t, dog)
	if err != nil {
		client.Close()
		return nil, err
	}
	return s, nil
}

// RunSSH runs one command on the host of an ssh source, with the deploy key
// and the pinned host keys, and returns what it printed, at most 64 KiB.
// git-lfs asks for credentials that way.
func RunSSH(ctx context.Context, e Endpoint, cfg Config, command string) ([]byte, error) {
	t, err := e.target()
	if err != nil {
		return nil, err
	}
	if t.scheme != schemeSSH {
		return nil, invalid("source %s: no command can be run there", t.display).WithHint("only ssh sources run commands")
	}
	cfg.Limits = cfg.Limits.withDefaults()
	c := &Conn{target: t, limits: cfg.Limits, scrub: e.scrubber()}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	defer c.cancel(nil)
	c.dog = &watchdog{limit: cfg.Limits.Idle, cancel: c.cancel}
	client, err := connectSSH(c.ctx, t, cfg)
	if err != nil {
		return nil, c.fail("connecting", err)
	}
	defer client.Close()
	defer context.AfterFunc(c.ctx, func() { client.Close() })()
	var out, said beginning
	out.limit, said.limit = 64<<10, 4<<10
	c.dog.guard(func() {
		var session *ssh.Session
		if session, err = client.NewSession(); err != nil {
			return
		}
		defer session.Close()
		session.Stdout, session.Stderr = &out, &said
		err = session.Run(command)
	})
	if text := printable(said.String()); err != nil && text != "" {
		err = &remoteError{text}
	}
	return out.text, c.fail("running a command", err)
}

// connectSSH makes the connection and does the handshake.
func connectSSH(ctx context.Context, t *target, cfg Config) (*ssh.Client, error) {
	conn, err := cfg.dial(ctx, t.addr)
	if err != nil {
		return nil, err
	}
	// The handshake reads the connection itself; a deadline bounds it, and
	// closing the connection when the context ends stops it.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(cfg.Limits.Dial))
	sshConn, channels, requests, err := ssh.NewClientConn(conn, t.addr, &ssh.ClientConfig{
		User:              t.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(t.signer)},
		HostKeyAlgorithms: algorithms(t.hostKeys),
		HostKeyCallback:   pinned(t.hostKeys),
		ClientVersion:     "SSH-2.0-" + strings.ReplaceAll(cfg.agent(), " ", "_"),
	})
	stop()
	if err != nil {
		conn.Close()
		return nil, sshError(err)
	}
	conn.SetDeadline(time.Time{})
	return ssh.NewClient(sshConn, channels, requests), nil
}

func startUploadPack(ctx context.Context, client *ssh.Client, t *target, dog *watchdog) (s *stream, err error) {
	// A server that accepts the connection and then says nothing.
	stop := context.AfterFunc(ctx, func() { client.Close() })
	defer stop()
	dog.guard(func() {
		var session *ssh.Session
		if session, err = client.NewSession(); err != nil {
			return
		}
		// A server may refuse the variable: it then speaks protocol v0.
		_ = session.Setenv("GIT_PROTOCOL", "version=2")
		var in io.Reader
		var out io.WriteCloser
		if in, err = session.StdoutPipe(); err != nil {
			return
		}
		if out, err = session.StdinPipe(); err != nil {
			return
		}
		said := &beginning{limit: 4 << 10}
		session.Stderr = said
		if err = session.Start(service + " " + shellQuote(t.path)); err != nil {
			return
		}
		s = newStream(ctx, in, out, func() { client.Close() }, said.String, dog)
	})
	return s, err
}

// shellQuote makes path one word of the shell that the server runs.
func shellQuote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// algorithms limits the handshake to the types of the pinned keys. Without
// it a server with several keys may show one that is not pinned, and an
// honest server would look like a false one.
func algorithms(keys []ssh.PublicKey) []string {
	var names []string
	for _, k := range keys {
		if k.Type() == ssh.KeyAlgoRSA {
			names = append(names, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		names = append(names, k.Type())
	}
	return names
}

var errHostKey = errors.New("the host shows another key than the pinned one")

func pinned(keys []ssh.PublicKey) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, shown ssh.PublicKey) error {
		var want []string
		for _, k := range keys {
			if bytes.Equal(k.Marshal(), shown.Marshal()) {
				return nil
			}
			want = append(want, k.Type()+" "+ssh.FingerprintSHA256(k))
		}
		return fmt.Errorf("%w: shown %s %s, pinned %s", errHostKey, shown.Type(), ssh.FingerprintSHA256(shown), strings.Join(want, ", "))
	}
}

func sshError(err error) error {
	text := err.Error()
	switch {
	case errors.Is(err, errHostKey):
		return escrow.Errorf(escrow.Unauthenticated, "%w", err).
			WithHint("nothing was sent; if the host changed its key, compare the new fingerprint with what the host publishes and pin it")
	case strings.Contains(text, "no common algorithm for host key"):
		return escrow.Errorf(escrow.Unauthenticated, "the host has no key of the pinned type").
			WithHint("nothing was sent; pin a key of a type that the host has")
	case strings.Contains(text, "unable to authenticate"):
		return escrow.Errorf(escrow.Unauthenticated, "the host does not take the deploy key").
			WithHint("add the public half of the key to the repository as a read-only deploy key")
	}
	return fmt.Errorf("ssh: %w", err)
}
