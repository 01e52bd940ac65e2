// Package observed reads files of what was observed, JSON and CSV, for
// figures that anybody can check without a server. The formats are in
// docs/sla.md. Whatever the bytes, it never panics, and says where a fault
// is: line and column.
//
// It may import sla and escrow. It does no I/O and keeps no state.
package observed

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/sla"
)

// MaxFile bounds a file in bytes.
const MaxFile = 64 << 20

// MaxLocations bounds the places that look at one component.
const MaxLocations = 1000

// Read reads one file. What begins with { is JSON, everything else CSV, whose
// header says what it has. name is only used to say where a problem is. zone
// is that of the policy: times without an offset are on its clock, unless a
// JSON file names its own zone. The observations are nil when any problem is
// an error.
func Read(name string, data []byte, zone *time.Location) (*sla.Observations, problem.List) {
	fail := func(at int, hint, format string, args ...any) (*sla.Observations, problem.List) {
		return nil, problem.List{{File: name, Pos: position(data, at), Severity: problem.Error, Rule: "observations", Message: fmt.Sprintf(format, args...), Hint: hint}}
	}
	if len(data) > MaxFile {
		return fail(0, "split it", "the file has more than %d bytes", MaxFile)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		at := 0
		for r, n := utf8.DecodeRune(data); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(data[at:]) {
			at += n
		}
		return fail(at, "save it as UTF-8", "the file is not UTF-8")
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return readCSV(name, data, zone)
	}
	root, at, err := readJSON(data)
	if err != nil {
		return fail(at, "", "%v", err)
	}
	format := ""
	for i, key := range root.keys {
		switch key {
		case "format":
			format = root.items[i].text
		case "time_zone":
			z, err := time.LoadLocation(root.items[i].text)
			if err != nil || root.items[i].text == "" || root.items[i].text == "Local" {
				return fail(root.items[i].at, "write an IANA name such as Europe/Amsterdam", "there is no time zone %.60q", root.items[i].text)
			}
			zone = z
		}
	}
	if format != sla.ObservationsFormat {
		return fail(root.at, "begin it with \"format\": \""+sla.ObservationsFormat+"\"", "this is not a file of observations: its format is %.60q", format)
	}
	out := &sla.Observations{}
	b := &binder{file: name, data: data, zone: zone}
	b.object(elem(out), root, "", "the document")
	if len(b.problems) == 0 {
		b.conflicts(root, out)
	}
	if len(out.Locations) > MaxLocations {
		b.fail(root, "locations", "", "%d locations, at most %d", len(out.Locations), MaxLocations)
	}
	if len(b.problems) > 0 {
		return nil, b.problems.Sort()
	}
	return out, nil
}

// Join puts the observations of several files together.
func Join(list ...*sla.Observations) *sla.Observations {
	out := &sla.Observations{}
	places := map[string]int{}
	for _, o := range list {
		if o.Component != "" {
			out.Component = o.Component
		}
		for _, l := range o.Locations {
			i, ok := places[l.ID]
			if !ok {
				i = len(out.Locations)
				places[l.ID] = i
				out.Locations = append(out.Locations, sla.Location{ID: l.ID})
			}
			out.Locations[i].Intervals = append(out.Locations[i].Intervals, l.Intervals...)
		}
		out.Counts = append(out.Counts, o.Counts...)
		out.Latency = append(out.Latency, o.Latency...)
		out.Exclusions = append(out.Exclusions, o.Exclusions...)
		out.Contests = append(out.Contests, o.Contests...)
		out.Impacts = append(out.Impacts, o.Impacts...)
		out.Fees = append(out.Fees, o.Fees...)
		out.Credited = append(out.Credited, o.Credited...)
		out.Calendars = append(out.Calendars, o.Calendars...)
		out.Tickets = append(out.Tickets, o.Tickets...)
	}
	return out
}
