package main

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// forPeople keeps what others wrote, in names, reasons and findings, from
// steering the terminal it is shown on. What goes into a file or a pipe stays
// as it is.
func forPeople(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &plainWriter{w}
	}
	return w
}

// plainWriter writes whole texts, as the verbs do, without what is neither a
// printable character nor white space of one line and the next.
type plainWriter struct{ w io.Writer }

func (p *plainWriter) Write(b []byte) (int, error) {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' || r == '\t' {
			return r
		}
		return '?'
	}, string(b))
	if _, err := io.WriteString(p.w, text); err != nil {
		return 0, err
	}
	return len(b), nil
}
