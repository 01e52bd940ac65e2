package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"holdfast/internal/escrow"
)

// Finding is one thing that git's rules say against an object, with the
// object exactly as it was deposited. Old repositories have some.
type Finding struct {
	Error bool   // git's level: error, else warning
	Text  string // git's words, with the object's type and id
}

// maxFindings bounds the findings that a report lists.
const maxFindings = 200

// fsck reads every object again from the disk, unless asked to be quick, and
// follows every reference.
func (b *builder) fsck(ctx context.Context) error {
	v := &verdict{report: &b.report}
	out := &lines{take: v.line}
	args := []string{"fsck", "--full", "--strict", "--no-dangling", "--no-reflogs", "--no-progress"}
	if b.opts.Quick {
		args = append(args, "--connectivity-only")
	}
	err := b.git.command(ctx, pipes{out: out, err: out}, args...)
	out.flush()
	failed, ok := errors.AsType[*gitError](err)
	if err != nil && !ok {
		return err
	}
	switch {
	case len(v.missing) > 0:
		return escrow.Errorf(escrow.Missing, "objects that the repository needs are in no deposit: %s", list(v.missing)).
			WithHint("restore an earlier deposit, and tell the depositor which one is broken")
	case len(v.damaged) > 0:
		return escrow.Errorf(escrow.Damaged, "git finds damage: %s", list(v.damaged)).
			WithHint("restore again to another disk; if it stays, restore an earlier deposit")
	case err != nil && b.report.FindingCount == 0:
		return escrow.Wrap(err, escrow.Damaged, "git fsck ended with status %d and no reason", failed.status)
	}
	return nil
}

// verdict sorts git fsck's lines.
type verdict struct {
	report           *Report
	missing, damaged []string
}

func (v *verdict) line(text string) {
	level, rest, _ := strings.Cut(text, " ")
	text = printable(text, 300)
	switch {
	case level == "missing":
		v.missing = append(v.missing, printable(rest, 100))
	case level == "notice:", level == "dangling", level == "unreachable", text == "":
	case level == "broken", strings.HasPrefix(strings.TrimSpace(text), "to "):
		// "broken link from A" and "to B" on the next line; B is "missing" too.
	case level == "error" && isRule(rest), level == "warning" && isRule(rest):
		v.finding(level == "error", rest)
	case level == "error:" && strings.HasSuffix(rest, ": not a commit"), level == "error:" && strings.HasPrefix(rest, "HEAD points to something strange"):
		// The source had it so; the list of refs has been compared already.
		v.finding(true, rest)
	default:
		v.damaged = append(v.damaged, text)
	}
}

func (v *verdict) finding(isError bool, text string) {
	v.report.FindingCount++
	if len(v.report.Findings) < maxFindings {
		v.report.Findings = append(v.report.Findings, Finding{Error: isError, Text: printable(text, 300)})
	}
}

// isRule recognises "in tag 0123…: missingTaggerEntry: invalid format - …": a
// named rule of git-fsck about the content of an object that is whole.
func isRule(rest string) bool {
	fields := strings.SplitN(rest, " ", 5)
	if len(fields) < 4 || fields[0] != "in" {
		return false
	}
	switch fields[1] {
	case "blob", "tree", "commit", "tag":
	default:
		return false
	}
	name, ok := strings.CutSuffix(fields[3], ":")
	return ok && name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// lines calls take for every line written, without its end. Lines are cut at
// a length that none of git's has.
type lines struct {
	take func(string)
	buf  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		l.buf.Write(p[:i])
		l.flush()
		p = p[i+1:]
	}
	l.buf.Write(p[:min(len(p), max(0, 16<<10-l.buf.Len()))])
	return n, nil
}

func (l *lines) flush() {
	if l.buf.Len() > 0 {
		l.take(l.buf.String())
		l.buf.Reset()
	}
}

func (f Finding) String() string {
	if f.Error {
		return fmt.Sprintf("error %s", f.Text)
	}
	return fmt.Sprintf("warning %s", f.Text)
}
