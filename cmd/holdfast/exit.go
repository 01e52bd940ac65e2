package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// The exit codes, documented in docs/errors.md. Continuity drills run from
// scripts, so a code never changes its meaning.
const (
	exitOK          = 0
	exitFailed      = 1   // something was checked and found wanting, or failed in a way no other code names
	exitUsage       = 2   // the command line could not be understood
	exitInvalid     = 3   // an input breaks a rule
	exitDenied      = 4   // not known or not allowed
	exitNotFound    = 5   // no such thing
	exitConflict    = 6   // the thing is in another state
	exitQuorum      = 7   // fewer valid shares or approvals than needed
	exitWrongKey    = 8   // intact, but sealed to another key
	exitDamaged     = 9   // bytes differ from what was recorded
	exitMissing     = 10  // something recorded is not there
	exitFull        = 11  // disk or quota
	exitUnavailable = 12  // the other side does not answer
	exitInterrupted = 130 // stopped by a signal
)

// errFindings says that a check ran to its end and printed what it found:
// there is nothing to add but the exit code.
var errFindings = errors.New("findings")

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFindings):
		return exitFailed
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	switch codeOf(err) {
	case escrow.Invalid:
		return exitInvalid
	case escrow.Unauthenticated, escrow.Forbidden:
		return exitDenied
	case escrow.NotFound:
		return exitNotFound
	case escrow.Conflict:
		return exitConflict
	case escrow.BelowQuorum:
		return exitQuorum
	case escrow.WrongKey:
		return exitWrongKey
	case escrow.Damaged:
		return exitDamaged
	case escrow.Missing:
		return exitMissing
	case escrow.Full:
		return exitFull
	case escrow.Unavailable:
		return exitUnavailable
	}
	return exitFailed
}

// codeOf finds the code of an error of this program or of a server's answer.
func codeOf(err error) escrow.Code {
	code, _ := reason(err)
	return code
}

// hintOf says what to do next: what the error itself says, or what usually
// mends an error of its code.
func hintOf(err error) string {
	code, hint := reason(err)
	if hint != "" || errors.Is(err, context.Canceled) {
		return hint
	}
	return usualMend(code)
}

// reason returns the code and hint of the outermost error that has a code:
// what wraps a server's answer knows more about it than the answer.
func reason(err error) (escrow.Code, string) {
	if code, hint, ok := outermost(err); ok {
		return code, hint
	}
	return escrow.CodeOf(err), ""
}

// outermost looks for an error with a code, from outside in and, among errors
// that were joined, from first to last.
func outermost(err error) (escrow.Code, string, bool) {
	switch e := err.(type) {
	case *client.Error:
		return escrow.Code(e.Code), e.Hint, true
	case *escrow.Error:
		return e.Code, e.Hint, true
	case interface{ Unwrap() error }:
		if code, hint, ok := outermost(e.Unwrap()); ok {
			return code, hint, true
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if code, hint, ok := outermost(inner); ok {
				return code, hint, true
			}
		}
	}
	if errors.Is(err, client.ErrUnreachable) {
		return escrow.Unavailable, "", true
	}
	return "", "", false
}

func usualMend(c escrow.Code) string {
	switch c {
	case escrow.Invalid:
		return "change what the message names and try again"
	case escrow.Unauthenticated:
		return "ask the agent of the arrangement for a token"
	case escrow.Forbidden:
		return "let the party do it that may"
	case escrow.NotFound:
		return "check the id"
	case escrow.Conflict:
		return "look at its state, then try again"
	case escrow.BelowQuorum:
		return "collect the shares or approvals that are missing"
	case escrow.WrongKey:
		return "use the key it is sealed to"
	case escrow.Damaged:
		return "bring the data back from another copy; do not go on with these"
	case escrow.Missing:
		return "bring it back from another copy"
	case escrow.Full:
		return "make room and try again; nothing was acknowledged"
	case escrow.Unavailable:
		return "check the address and that the other side runs, or try again later"
	}
	return ""
}

// report prints err and what to do next, and returns the exit code.
func report(w io.Writer, err error) int {
	switch {
	case errors.Is(err, errFindings):
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(w, "holdfast: stopped by a signal\n")
	default:
		fmt.Fprintf(w, "holdfast: %v\n", err)
		if hint := hintOf(err); hint != "" {
			fmt.Fprintf(w, "  what to do: %s\n", hint)
		}
	}
	return exitCode(err)
}

func usage(w io.Writer, err error) int {
	fmt.Fprintf(w, "holdfast: %v\n  what to do: see 'holdfast --help'\n", err)
	return exitUsage
}
