package escrow

import (
	"errors"
	"fmt"
	"runtime"
)

// Code says what kind of thing went wrong. It decides the HTTP status, the
// exit code of the command line and whether a job is tried again; nothing
// else in the program does.
type Code string

// The codes. A new one needs a status in the API, an exit code in the
// command line and a line in docs/errors.md.
const (
	Invalid         Code = "invalid"         // the input breaks a rule; the caller must change it
	Unauthenticated Code = "unauthenticated" // no token, or one that is wrong, expired or revoked
	Forbidden       Code = "forbidden"       // known, but not allowed to do this
	NotFound        Code = "not_found"       // no such thing, or none the caller may see
	Conflict        Code = "conflict"        // the thing is in another state than the request assumes
	BelowQuorum     Code = "below_quorum"    // fewer valid shares or approvals than the agreement asks
	WrongKey        Code = "wrong_key"       // intact, but sealed to another key
	Damaged         Code = "damaged"         // bytes differ from what was recorded
	Missing         Code = "missing"         // something that was recorded is not there
	Full            Code = "full"            // no room: disk or quota
	Unavailable     Code = "unavailable"     // the other side or a resource does not answer; trying later may help
	Internal        Code = "internal"        // a fault of the program; details are in the log only
)

// Error is the one error type that crosses a boundary of the program. Message
// may be shown to the person who asked: it names the thing and its id and
// never holds a secret. Hint says what to do next.
type Error struct {
	Code    Code
	Message string
	Hint    string
	Err     error // cause, for the log; not shown outside
}

func (e *Error) Error() string {
	if e.Err != nil {
		if cause := e.Err.Error(); cause != "" {
			return e.Message + ": " + cause
		}
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// WithHint returns a copy of e that tells what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// Errorf makes an [Error]. A %w in the format keeps the cause reachable by
// errors.Is and errors.As; the cause's text then is part of the message, so
// wrap this way only what may be shown.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: textless{errors.Unwrap(err)}.orNil()}
}

// Wrap gives err a code and a message that may be shown; err itself is kept
// for the log.
func Wrap(err error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// CodeOf returns the code of the outermost [Error] in err's chain, Internal
// for any other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// PanicText is what a log may say of a recovered panic. Only what the runtime
// itself says is quoted: any other value may hold whatever the program was
// working on, secrets included. The stack says where it was.
func PanicText(v any) string {
	if e, ok := v.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("a value of type %T", v)
}

// textless keeps a cause reachable whose text is in the message already.
type textless struct{ error }

func (t textless) Error() string { return "" }
func (t textless) Unwrap() error { return t.error }

func (t textless) orNil() error {
	if t.error == nil {
		return nil
	}
	return t
}
