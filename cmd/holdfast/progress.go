package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress shows long work: one line that is redrawn on a terminal, nothing
// elsewhere, so that logs stay readable.
type progress struct {
	w     io.Writer
	what  string
	width int
	start time.Time
	drawn time.Time
}

// newProgress shows progress on standard error if that is a terminal.
func newProgress(s *streams, what string) *progress {
	f, ok := s.err.(*os.File)
	if s.json || !ok || !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 40 {
		width = 80
	}
	return &progress{w: f, what: what, width: width, start: time.Now()}
}

const redraw = 100 * time.Millisecond

// step shows what is being done and how much of it.
func (p *progress) step(doing string, bytes int64) {
	if p.w == nil || time.Since(p.drawn) < redraw {
		return
	}
	p.draw(fmt.Sprintf("%s: %s %s", p.what, doing, size(bytes)))
}

// of shows a bar with rate and time left.
func (p *progress) of(done, total int64) {
	if p.w == nil || total <= 0 || (time.Since(p.drawn) < redraw && done < total) {
		return
	}
	elapsed := time.Since(p.start).Seconds()
	rate := float64(done) / max(elapsed, 0.001)
	left := ""
	if rate > 0 && done < total {
		left = (time.Duration(float64(total-done)/rate) * time.Second).Round(time.Second).String() + " left"
	}
	const cells = 24
	full := int(done * cells / total)
	p.draw(fmt.Sprintf("%s [%s%s] %3d%%  %s/s  %s", p.what, strings.Repeat("#", full), strings.Repeat(".", cells-full), done*100/total, size(int64(rate)), left))
}

func (p *progress) draw(line string) {
	p.drawn = time.Now()
	if runes := []rune(line); len(runes) >= p.width {
		line = string(runes[:p.width-1])
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s", line)
}

// done removes the line.
func (p *progress) done() {
	if p.w != nil {
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
