package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/escrow"
)

// ErrNotOurRef is wrapped when the server no longer has what it offered: a
// ref moved between the listing and the fetch. List again and retry.
var ErrNotOurRef = errors.New("the server no longer offers an object it listed")

// ErrShallow is wrapped when the source itself lacks history.
var ErrShallow = errors.New("the source is a shallow repository")

// ErrLimit is wrapped when a server sent more than a limit allows.
var ErrLimit = errors.New("limit exceeded")

// errIdle ends a connection on which nothing arrived for too long.
var errIdle = errors.New("no data arrived in time")

// errProtocol is wrapped by every complaint about what a server said.
var errProtocol = errors.New("not understood")

// remoteError is what the server itself said went wrong. Its text is the
// server's and is cleaned before anybody sees it.
type remoteError struct{ text string }

func (e *remoteError) Error() string { return "the server said: " + e.text }

func (e *remoteError) Is(target error) bool {
	return target == ErrNotOurRef && strings.Contains(e.text, "not our ref")
}

// printable makes a server's text fit for one line of a log or a page.
func printable(text string) string {
	const longest = 300
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return text
}

// scrubbed is an error whose text has the secrets taken out while its cause
// stays reachable for errors.Is.
type scrubbed struct {
	text  string
	cause error
}

func (e *scrubbed) Error() string { return e.text }
func (e *scrubbed) Unwrap() error { return e.cause }

// fail turns what went wrong while talking to the source into the error that
// leaves this package: with a code, a hint, the source's name, and no secret.
func (c *Conn) fail(doing string, err error) error {
	if err == nil {
		return nil
	}
	if c.carrier != nil {
		err = c.carrier.explain(err)
	}
	if cause := context.Cause(c.ctx); cause != nil && !errors.Is(err, cause) {
		err = cause // a closed connection is the effect, not the cause
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok && e.Code != "" {
		clean := *e
		clean.Message = c.scrub.Replace(fmt.Sprintf("source %s: %s: %s", c.target.display, doing, e.Message))
		if e.Err != nil {
			clean.Err = &scrubbed{c.scrub.Replace(e.Err.Error()), e.Err}
		}
		return &clean
	}
	code, hint := classify(err)
	return &escrow.Error{
		Code:    code,
		Message: c.scrub.Replace(fmt.Sprintf("source %s: %s: %v", c.target.display, doing, err)),
		Hint:    hint,
		Err:     &scrubbed{"", err},
	}
}

func classify(err error) (escrow.Code, string) {
	remote, isRemote := errors.AsType[*remoteError](err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return escrow.Unavailable, "nothing was kept; try again"
	case errors.Is(err, ErrNotOurRef):
		return escrow.Unavailable, "a ref moved at the source while it was read; try again"
	case errors.Is(err, ErrShallow):
		return escrow.Invalid, "a shallow repository cannot be deposited whole; fetch its history first (git fetch --unshallow) or name the repository it came from"
	case errors.Is(err, ErrLimit):
		return escrow.Invalid, "if the source is right, raise the limit named here; refs can be left out of a source"
	case errors.Is(err, errPackDamaged):
		return escrow.Damaged, "the pack changed on its way or at the source; try again, and run git fsck at the source if it happens twice"
	case errors.Is(err, errProtocol), errors.Is(err, errPacket):
		return escrow.Invalid, "the address does not answer as a Git server does; check the URL"
	case isRemote && isNotFound(remote.text):
		return escrow.NotFound, "check the path, and that the credentials may read the repository"
	case isRemote && strings.Contains(remote.text, "corruption"):
		return escrow.Unavailable, "the source's own repository is damaged or lacks objects; run git fsck there"
	case isCertificate(err):
		return escrow.Unauthenticated, "nothing was sent; the server's certificate must be valid for the host name and come from an authority that is trusted here"
	case errors.Is(err, errIdle):
		return escrow.Unavailable, "the source stopped answering; try again later"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return escrow.Unavailable, "the connection was cut; try again"
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return escrow.Unavailable, "check the host name and the network; try again later"
	}
	return escrow.Unavailable, "try again later"
}

func isCertificate(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// isNotFound knows the ways servers say that there is no such repository.
// None of them has a code.
func isNotFound(text string) bool {
	text = strings.ToLower(text)
	for _, known := range []string{"not found", "not exported", "does not appear to be a git repository", "no such file or directory", "could not be found"} {
		if strings.Contains(text, known) {
			return true
		}
	}
	return false
}
