package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress shows long work: one line that is redrawn on a terminal, a plain
// line now and then elsewhere, so that logs stay readable.
type progress struct {
	w     io.Writer // nil shows nothing
	plain bool      // lines, since it is not a terminal
	what  string
	width int
	start time.Time
	drawn time.Time
}

// newProgress shows progress on standard error if that is a terminal.
func newProgress(s *streams, what string) *progress {
	f, ok := s.err.(*os.File)
	now := time.Now()
	if s.json {
		return &progress{}
	}
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &progress{w: s.err, plain: true, what: what, start: now, drawn: now}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 40 {
		width = 80
	}
	return &progress{w: f, what: what, width: width, start: now}
}

// How often the line is drawn again, and how often a plain line is written:
// short work writes none.
const (
	redraw     = 100 * time.Millisecond
	plainEvery = 30 * time.Second
)

// due reports whether it is time to show something.
func (p *progress) due() bool {
	every := redraw
	if p.plain {
		every = plainEvery
	}
	return p.w != nil && time.Since(p.drawn) >= every
}

// step shows what is being done and how much of it.
func (p *progress) step(doing string, bytes int64) {
	if !p.due() {
		return
	}
	p.draw(fmt.Sprintf("%s: %s %s", p.what, doing, size(bytes)))
}

// of shows a bar with rate and time left.
func (p *progress) of(done, total int64) {
	last := p.w != nil && !p.plain && done >= total
	if total <= 0 || !p.due() && !last {
		return
	}
	elapsed := time.Since(p.start).Seconds()
	rate := float64(done) / max(elapsed, 0.001)
	left := ""
	if rate > 0 && done < total {
		left = (time.Duration(float64(total-done)/rate) * time.Second).Round(time.Second).String() + " left"
	}
	if p.plain {
		p.draw(fmt.Sprintf("%s: %d%%, %s of %s, %s/s  %s", p.what, done*100/total, size(done), size(total), size(int64(rate)), left))
		return
	}
	const cells = 24
	full := int(done * cells / total)
	p.draw(fmt.Sprintf("%s [%s%s] %3d%%  %s/s  %s", p.what, strings.Repeat("#", full), strings.Repeat(".", cells-full), done*100/total, size(int64(rate)), left))
}

func (p *progress) draw(line string) {
	p.drawn = time.Now()
	if p.plain {
		fmt.Fprintln(p.w, strings.TrimRight(line, " "))
		return
	}
	if runes := []rune(line); len(runes) >= p.width {
		line = string(runes[:p.width-1])
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", line)
}

// done removes the line.
func (p *progress) done() {
	if p.w != nil && !p.plain {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// size writes bytes for people, in binary units.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
