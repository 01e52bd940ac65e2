package probe_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/internal/probe"
	"holdfast/internal/sla"
)

func TestRefusedTargets(t *testing.T) {
	for _, tt := range []struct{ where, target string }{
		{"target", `{"kind":"http","url":"http://a.example","color":1}`},
		{"target", `{"kind":"http","url":"http://a.example"} x`},
		{"kind", `{"kind":"gopher"}`},
		{"kind", `{"kind":"tcp","address":"a.example:1","url":"http://a"}`},
		{"kind", `{"kind":"tcp","address":"a.example:1","schedule":"* * * * *","every":"1m"}`},
		{"url", `{"kind":"http","url":"ftp://a.example"}`},
		{"url", `{"kind":"http","url":"http://user:secret@a.example"}`},
		{"url", `{"kind":"http","url":"http://a.example:99999"}`},
		{"url", `{"kind":"http","url":"http://[fe80::1%25eth0]/"}`},
		{"url", `{"kind":"http","url":"http://a b.example/"}`},
		{"url", `{"kind":"http","url":"http://a.example\r\nX: y/"}`},
		{"headers", `{"kind":"http","url":"http://a.example","headers":{"X-A\r\nB":"c"}}`},
		{"headers", `{"kind":"http","url":"http://a.example","headers":{"X-A":"c\r\nEvil: yes"}}`},
		{"headers", `{"kind":"http","url":"http://a.example","headers":{"Content-Length":"7"}}`},
		{"headers", `{"kind":"http","url":"http://a.example","headers":{"Host":"a/b"}}`},
		{"every", `{"kind":"tcp","address":"a.example:1","every":"1s"}`},
		{"timeout", `{"kind":"tcp","address":"a.example:1","every":"10s","timeout":"11s"}`},
		{"timeout", `{"kind":"tcp","address":"a.example:1","timeout":"-1s"}`},
		{"address", `{"kind":"tcp","address":"a.example"}`},
		{"address", `{"kind":"tcp","address":"a.example:0"}`},
		{"address", `{"kind":"icmp","address":""}`},
		{"type", `{"kind":"dns","address":"a.example","type":"AXFR"}`},
		{"server", `{"kind":"dns","address":"a.example","server":"nothing"}`},
		{"ca", `{"kind":"tls","address":"a.example:443","ca":"junk"}`},
		{"family", `{"kind":"tls","address":"a.example:443","family":"5"}`},
		{"expect.status[0]", `{"kind":"http","url":"http://a.example","expect":{"status":["fine"]}}`},
		{"expect.body[0]", `{"kind":"http","url":"http://a.example","expect":{"body":[{}]}}`},
		{"expect.body[0]", `{"kind":"http","url":"http://a.example","expect":{"body":[{"matches":"("}]}}`},
		{"expect.headers[0].name", `{"kind":"http","url":"http://a.example","expect":{"headers":[{"name":"a b"}]}}`},
		{"expect.json[0].path", `{"kind":"http","url":"http://a.example","expect":{"json":[{"path":"$["}]}}`},
		{"expect.json[0].path", `{"kind":"http","url":"http://a.example","expect":{"json":[{"path":"$..*..*..*"}]}}`},
		{"max_body", `{"kind":"http","url":"http://a.example","max_body":1000000000}`},
		{"schedule", `{"kind":"push","schedule":"61 * * * *"}`},
		{"schedule", `{"kind":"push","schedule":"0 2 * * *","zone":"Mars/Base"}`},
		{"schedule", `{"kind":"push","schedule":"TZ=UTC 0 2 * * *"}`},
		{"schedule", `{"kind":"push","schedule":"0 0 31 2 *"}`},
		{"schedule", `{"kind":"push","schedule":"0 2 * * *","every":"1m"}`},
	} {
		_, err := probe.Parse([]byte(tt.target))
		if err == nil || !strings.Contains(err.Error(), tt.where) {
			t.Errorf("%s: %v, want one about %s", tt.target, err, tt.where)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%s: the message has several lines", tt.target)
		}
	}
}

// TestHeard is about reports at times on the clock of a zone.
func TestHeard(t *testing.T) {
	target, err := probe.Target{Kind: probe.Push, Schedule: "30 2 * * *", Zone: "Europe/Amsterdam", Grace: probe.Duration(10 * time.Minute)}.Checked()
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, tt := range []struct {
		name, watched, last, now string
		state                    sla.State
		since                    string
	}{
		{"nothing heard, nothing due", "2026-07-01T10:00:00Z", "", "2026-07-01T20:00:00Z", sla.Unknown, "2026-07-01T10:00:00Z"},
		{"never heard", "2026-07-01T10:00:00Z", "", "2026-07-02T00:40:00Z", sla.Down, "2026-07-02T00:40:00Z"},
		{"summer", "2026-06-01T00:00:00Z", "2026-07-01T00:31:00Z", "2026-07-02T00:39:59Z", sla.Up, "2026-07-01T00:31:00Z"},
		{"late", "2026-06-01T00:00:00Z", "2026-07-01T00:31:00Z", "2026-07-02T00:40:00Z", sla.Down, "2026-07-02T00:40:00Z"},
		{"over the clock put back", "2026-06-01T00:00:00Z", "2026-10-25T01:31:00Z", "2026-10-26T01:39:00Z", sla.Up, "2026-10-25T01:31:00Z"},
		{"after the clock put back", "2026-06-01T00:00:00Z", "2026-10-25T01:31:00Z", "2026-10-26T01:41:00Z", sla.Down, "2026-10-26T01:40:00Z"},
	} {
		var last probe.Beat
		if tt.last != "" {
			last.At = at(tt.last)
		}
		state, since, err := probe.Heard(target, at(tt.watched), last, at(tt.now))
		if err != nil || state != tt.state || !since.Equal(at(tt.since)) {
			t.Errorf("%s: %s since %s (%v), want %s since %s", tt.name, state, since, err, tt.state, tt.since)
		}
	}
	every, err := probe.Target{Kind: probe.Push, Every: probe.Duration(time.Hour), Grace: probe.Duration(time.Minute)}.Checked()
	if err != nil {
		t.Fatal(err)
	}
	state, since, _ := probe.Heard(every, at("2026-07-01T00:00:00Z"), probe.Beat{At: at("2026-07-01T10:00:00Z")}, at("2026-07-01T11:30:00Z"))
	if state != sla.Down || !since.Equal(at("2026-07-01T11:01:00Z")) {
		t.Errorf("every: %s since %s", state, since)
	}
	state, _, _ = probe.Heard(every, at("2026-07-01T00:00:00Z"), probe.Beat{At: at("2026-07-01T10:00:00Z"), Failed: true}, at("2026-07-01T10:30:00Z"))
	if state != sla.Down {
		t.Errorf("a report of a failure: %s", state)
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{
		`{"kind":"http","url":"https://Bücher.example/health?token=x","headers":{"Authorization":"Bearer x"},"expect":{"status":["200-299"],"json":[{"path":"$.a","equals":1}]}}`,
		`{"kind":"tcp","address":"[::1]:80","every":"30s","timeout":"5s"}`,
		`{"kind":"dns","address":"_sip._tcp.example.org","type":"TXT","server":"192.0.2.1:53"}`,
		`{"kind":"push","schedule":"*/5 8-18 * * 1-5","zone":"Europe/Amsterdam"}`,
		`{"kind":"icmp","address":"2001:db8::1"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		target, err := probe.Parse(data)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("the message has several lines: %q", err)
			}
			return
		}
		out, err := json.Marshal(target)
		if err != nil {
			t.Fatal(err)
		}
		again, err := probe.Parse(out)
		if err != nil {
			t.Fatalf("what was accepted is refused when written: %v\n%s", err, out)
		}
		if diff := cmp.Diff(target, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("it changes when read again:\n%s", diff)
		}
		if _, err := json.Marshal(target.Shown()); err != nil {
			t.Fatal(err)
		}
	})
}
