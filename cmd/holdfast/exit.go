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
	if e, ok := errors.AsType[*client.Error](err); ok {
		return escrow.Code(e.Code)
	}
	if errors.Is(err, client.ErrUnreachable) {
		return escrow.Unavailable
	}
	return escrow.CodeOf(err)
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok {
		return e.Hint
	}
	return ""
}

// report prints err and what to do next, and returns the exit code.
func report(w io.Writer, err error) int {
	if !errors.Is(err, errFindings) {
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
