package quantity

import (
	"fmt"
	"slices"
	"strings"
)

// Hours is when something is open, such as "mon-fri 08:00-18:00" or "24x7".
// Several spans are separated by commas. Days are in English whatever the
// language of the agreement; times are local to its time zone, and 24:00 is
// the end of a day.
type Hours string

// Grammar describes the type.
func (Hours) Grammar() Grammar {
	return Grammar{
		What:    `opening hours: 24x7, or days and times separated by commas`,
		Example: "mon-fri 08:00-18:00, sat 09:00-12:00",
		Pattern: `^(24x7|DAYS TIME-TIME(, DAYS TIME-TIME){0,13})$`,
	}.expand("DAYS", `(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?`).
		expand("TIME", `([01][0-9]|2[0-3]):[0-5][0-9]|24:00`)
}

func (g Grammar) expand(name, pattern string) Grammar {
	g.Pattern = strings.ReplaceAll(g.Pattern, name, "("+pattern+")")
	return g
}

// Span is one stretch of opening hours on one or more days, in minutes from
// midnight. To is at most 24*60.
type Span struct {
	Days     []int // 0 is Monday
	From, To int
}

// maxSpans bounds the spans of one text: two a day.
const maxSpans = 14

// Spans returns the stretches. "24x7" is one span over all days.
func (h Hours) Spans() ([]Span, error) {
	if h == "24x7" {
		return []Span{{Days: []int{0, 1, 2, 3, 4, 5, 6}, To: 24 * 60}}, nil
	}
	parts := strings.Split(string(h), ", ")
	if len(parts) > maxSpans {
		return nil, fmt.Errorf("%d spans of hours, at most %d", len(parts), maxSpans)
	}
	var spans []Span
	for _, part := range parts {
		s, ok := span(part)
		if !ok {
			return nil, fmt.Errorf("%q is not %s", string(h), h.Grammar().What)
		}
		if s.From >= s.To {
			return nil, fmt.Errorf("%q ends before it begins; write a night as two spans", part)
		}
		spans = append(spans, s)
	}
	return spans, nil
}

// Valid reports what is wrong with the text.
func (h Hours) Valid() error {
	_, err := h.Spans()
	return err
}

func span(s string) (Span, bool) {
	days, times, ok := strings.Cut(s, " ")
	if !ok {
		return Span{}, false
	}
	week := []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
	first, last, ranged := strings.Cut(days, "-")
	if !ranged {
		last = first
	}
	a, b := slices.Index(week, first), slices.Index(week, last)
	if a < 0 || b < 0 {
		return Span{}, false
	}
	out := Span{Days: []int{a}}
	for d := a; d != b; {
		d = (d + 1) % 7
		out.Days = append(out.Days, d)
	}
	from, to, ok := strings.Cut(times, "-")
	if !ok {
		return Span{}, false
	}
	var okFrom, okTo bool
	out.From, okFrom = clock(from)
	out.To, okTo = clock(to)
	return out, okFrom && okTo
}

func clock(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	for _, i := range []int{0, 1, 3, 4} {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	h, m := int(s[0]-'0')*10+int(s[1]-'0'), int(s[3]-'0')*10+int(s[4]-'0')
	if m > 59 || h > 24 || h == 24 && m > 0 {
		return 0, false
	}
	return h*60 + m, true
}
