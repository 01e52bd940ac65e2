package observed_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow/agreement/problem"
	"holdfast/internal/sla"
	"holdfast/internal/sla/observed"
)

func amsterdam(t testing.TB) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func read(t testing.TB, text string) (*sla.Observations, problem.List) {
	t.Helper()
	return observed.Read("f", []byte(text), amsterdam(t))
}

func at(t *testing.T, text string) sla.Instant {
	t.Helper()
	i, err := sla.ParseInstant(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// head begins a JSON file.
const head = `{"format": "sla-observations/v1", `

func TestBothFormatsSayTheSame(t *testing.T) {
	want := &sla.Observations{
		Locations: []sla.Location{{ID: "ams", Intervals: []sla.Interval{
			{Span: sla.Span{From: at(t, "2026-08-31T22:00:00Z"), To: at(t, "2026-09-10T08:00:00Z")}, State: sla.Up},
			{Span: sla.Span{From: at(t, "2026-09-10T08:00:00Z"), To: at(t, "2026-09-10T09:00:00.250Z")}, State: sla.Down, Evidence: []string{"check/1", "check/2"}}}}},
		Counts: []sla.Count{{Span: sla.Span{From: at(t, "2026-09-01T00:00:00Z"), To: at(t, "2026-09-01T00:05:00Z")}, Requests: 10, Failed: 3}},
		Exclusions: []sla.Exclusion{{ID: "m1", Kind: "planned_maintenance", Span: sla.Span{From: at(t, "2026-09-10T08:00:00Z"), To: at(t, "2026-09-10T09:00:00Z")},
			AnnouncedAt: at(t, "2026-09-01T00:00:00Z")}},
		Tickets: []sla.Ticket{{ID: "T1", Severity: "p1", ReportedAt: at(t, "2026-09-02T08:00:00Z"), AcknowledgedAt: at(t, "2026-09-02T08:10:00Z"),
			Updates: []sla.Instant{at(t, "2026-09-02T09:00:00Z"), at(t, "2026-09-02T10:00:00Z")},
			Pauses: []sla.Pause{{Span: sla.Span{From: at(t, "2026-09-02T11:00:00Z"), To: at(t, "2026-09-02T12:00:00Z")}, Reason: "waits for the customer", Who: "desk"},
				{Span: sla.Span{From: at(t, "2026-09-02T13:00:00Z"), To: at(t, "2026-09-02T14:00:00Z")}, Reason: "again", Who: "desk"}}}},
	}
	got, problems := read(t, head+`
  "locations": [{"id": "ams", "intervals": [
    {"from": "2026-09-01", "to": "2026-09-10 10:00", "state": "up"},
    {"from": "2026-09-10T10:00:00+02:00", "to": "2026-09-10T11:00:00.250+02:00", "state": "down", "evidence": ["check/1", "check/2"]}]}],
  "counts": [{"from": "2026-09-01T00:00:00Z", "to": "2026-09-01T00:05:00Z", "requests": 10, "failed": 3}],
  "exclusions": [{"id": "m1", "kind": "planned_maintenance", "from": "2026-09-10T08:00:00Z", "to": "2026-09-10T09:00:00Z", "announced_at": "2026-09-01T00:00:00Z"}],
  "tickets": [{"id": "T1", "severity": "p1", "reported_at": "2026-09-02T08:00:00Z", "acknowledged_at": "2026-09-02T08:10:00Z",
    "updates": ["2026-09-02T09:00:00Z", "2026-09-02T10:00:00Z"],
    "pauses": [{"from": "2026-09-02T11:00:00Z", "to": "2026-09-02T12:00:00Z", "reason": "waits for the customer", "who": "desk"},
      {"from": "2026-09-02T13:00:00Z", "to": "2026-09-02T14:00:00Z", "reason": "again", "who": "desk"}]}]}`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("JSON: %s", d)
	}
	var parts []*sla.Observations
	for _, text := range []string{
		"\xef\xbb\xbflocation,from,to,state,evidence\nams,2026-09-01,2026-09-10 10:00,up,\nams,2026-09-10 10:00,2026-09-10T11:00:00.250+02:00,down,check/1 check/2\n",
		"FROM;To;requests;failed\r\n2026-09-01T00:00:00Z;2026-09-01T00:05:00Z;10;3\r\n",
		"id,kind,announced_at,from,to\nm1,planned_maintenance,2026-09-01T00:00:00Z,2026-09-10T08:00:00Z,2026-09-10T09:00:00Z\n",
		"ticket,severity,reported_at,acknowledged_at,updates,pause_from,pause_to,pause_reason,pause_who\n" +
			"T1,P1,2026-09-02T08:00:00Z,2026-09-02T08:10:00Z,2026-09-02T09:00:00Z 2026-09-02T10:00:00Z,2026-09-02T11:00:00Z,2026-09-02T12:00:00Z,waits for the customer,desk\n" +
			"T1,,,,,2026-09-02T13:00:00Z,2026-09-02T14:00:00Z,again,desk\n",
	} {
		o, problems := read(t, text)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		parts = append(parts, o)
	}
	if d := cmp.Diff(want, observed.Join(parts...)); d != "" {
		t.Errorf("CSV: %s", d)
	}
}

func TestRefused(t *testing.T) {
	const row = `{"from": "2026-09-01T00:00:00Z", "to": "2026-09-02T00:00:00Z", "state": "up"}`
	intervals := func(rows ...string) string {
		return head + "\"locations\": [{\"id\": \"a\", \"intervals\": [\n" + strings.Join(rows, ",\n") + "\n]}]}"
	}
	deep := head + `"locations": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}"
	many := "{"
	for i := range 100 {
		many += fmt.Sprintf("\"k%d\": 0,\n", i)
	}
	many += `"z": 0}`
	for name, x := range map[string]struct{ text, want string }{
		"empty":                 {"", "f:1:1: error: the file is empty"},
		"only a mark":           {"\xef\xbb\xbf", "f:1:1: error: the file is empty"},
		"not UTF-8":             {"location,from,to,state\n\xff", "f:2:1: error: the file is not UTF-8"},
		"no table":              {"hello\n", "f:1:1: error: this is neither a JSON file of observations nor a table"},
		"another format":        {`{"format": "x"}`, "is no"},
		"cut off":               {head, "the document ends too early"},
		"something after it":    {head + `"component": "c"} {}`, "something follows"},
		"key twice":             {head + "\n\"component\": \"a\",\n \"component\": \"b\"}", `f:3:2: error: the key "component" is there twice`},
		"unknown key":           {head + "\n\"locatoins\": []}", `f:2:1: error: unknown key "locatoins" in the document`},
		"unknown key inside":    {intervals(`{"from": "2026-09-01", "to": "2026-09-02", "state": "up", "weight": 1}`), "f:2:59: error: unknown key \"weight\""},
		"missing key":           {intervals(`{"from": "2026-09-01", "to": "2026-09-02"}`), `f:2:1: error: the key "state" is missing`},
		"wrong kind":            {head + `"locations": {}}`, "locations is not a list"},
		"a number for a moment": {intervals(`{"from": 1, "to": "2026-09-02", "state": "up"}`), "f:2:10: error: locations[0].intervals[0].from is not a moment"},
		"null":                  {head + `"component": null}`, "component is not a text"},
		"state":                 {intervals(strings.Replace(row, `"up"`, `"maintenance"`, 1)), `"maintenance" is no state`},
		"deep":                  {deep, "nested more than"},
		"many keys":             {many, "more than 64 keys"},
		"zone":                  {head + `"time_zone": "Mars/Olympus"}`, "there is no time zone"},
		"zone of the machine":   {head + `"time_zone": "Local"}`, "there is no time zone"},
		"ends before it starts": {intervals(`{"from": "2026-09-02", "to": "2026-09-01", "state": "up"}`), "f:2:1: error: locations[0].intervals[0]: it ends at 2026-08-31T22:00:00Z, before it begins"},
		"no length":             {intervals(`{"from": "2026-09-02", "to": "2026-09-02", "state": "up"}`), "it has no length"},
		"one error, not two":    {intervals(`{"from": "2026-09-02", "to": "yesterday", "state": "up"}`), "is not a moment"},
		"time that is skipped":  {intervals(`{"from": "2026-03-29 02:30", "to": "2026-04-01", "state": "up"}`), `f:2:10: error: locations[0].intervals[0].from: "2026-03-29 02:30" does not exist in Europe/Amsterdam`},
		"time that comes twice": {intervals(`{"from": "2026-10-25 02:30", "to": "2026-11-01", "state": "up"}`), "write 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00"},
		"finer than kept":       {intervals(`{"from": "2026-09-01T00:00:00.0001Z", "to": "2026-09-02", "state": "up"}`), "finer than a millisecond"},
		"two states at once":    {intervals(row, `{"from": "2026-09-01T12:00:00Z", "to": "2026-09-01T13:00:00Z", "state": "down"}`), "f:3:1: error: this down overlaps the up from 2026-09-01T00:00:00Z until 2026-09-02T00:00:00Z in line 2"},
		"told before":           {intervals(`{"from": "2026-09-01T12:00:00Z", "to": "2026-09-01T13:00:00Z", "state": "unknown"}`, row), "f:3:1: error: this up overlaps the unknown from 2026-09-01T12:00:00Z"},
		"control character":     {head + `"component": "a\u0007"}`, "U+0007"},
		"turned text":           {head + `"component": "a\u202eb"}`, "U+202E"},
		"long text":             {head + `"component": "` + strings.Repeat("a", 2000) + `"}`, "a text of 2000 bytes"},
		"money":                 {head + `"fees": [{"amount": "1000 euro"}]}`, "fees[0].amount"},
		"sketch":                {head + `"latency": [{"from": "2026-09-01", "to": "2026-09-02", "sketch": "?"}]}`, "is not base64"},
		"more failed":           {head + "\"counts\": [\n{\"from\": \"2026-09-01\", \"to\": \"2026-09-02\", \"requests\": 1, \"failed\": 2}]}", "f:2:1: error: 2 failed, but there were only 1"},
		"counted twice":         {head + "\"counts\": [\n{\"from\": \"2026-09-01\", \"to\": \"2026-09-02\", \"requests\": 1, \"failed\": 0},\n{\"from\": \"2026-09-01\", \"to\": \"2026-09-02\", \"requests\": 1, \"failed\": 0}]}", "f:3:1: error: these counts overlap those"},
		"below zero":            {head + `"counts": [{"from": "2026-09-01", "to": "2026-09-02", "requests": -1, "failed": 0}]}`, "is not a whole number"},
		"a fraction":            {head + `"counts": [{"from": "2026-09-01", "to": "2026-09-02", "requests": 1e3, "failed": 0}]}`, "is not a whole number"},

		"CSV unknown column":        {"location,from,to,state,weight\n", `f:1:24: error: unknown column "weight"`},
		"CSV column twice":          {"location,from,to,state,state\n", "is there twice"},
		"CSV missing column":        {"from,to,state\n", `the column "location" is missing`},
		"CSV short row":             {"location,from,to,state\na,b\n", "f:2:1: error: wrong number of fields"},
		"CSV quotes":                {"location,from,to,state\n\"a,2026-09-01,2026-09-02,up\n", "error"},
		"CSV empty cell":            {"location,from,to,state\n,2026-09-01,2026-09-02,up\n", "f:2:1: error: location is empty"},
		"CSV ends before":           {"location,from,to,state\na,2026-09-02,2026-09-01,up\n", "f:2:14: error: it ends at"},
		"CSV time that is skipped":  {"location,from,to,state\na,2026-03-29 02:30,2026-04-01,up\n", "f:2:3: error: from: \"2026-03-29 02:30\" does not exist"},
		"CSV time that comes twice": {"location,from,to,state\na,2026-10-25 02:30,2026-11-01,up\n", "exists twice"},
		"CSV state":                 {"location,from,to,state\na,2026-09-01,2026-09-02,UP\n", `f:2:25: error: "UP" is no state`},
		"CSV two states at once":    {"location,from,to,state\na,2026-09-01,2026-09-03,up\nb,2026-09-01,2026-09-03,down\na,2026-09-02,2026-09-03,down\n", "f:4:1: error: this down overlaps the up from 2026-08-31T22:00:00Z until 2026-09-02T22:00:00Z in line 2"},
		"CSV counted twice":         {"from,to,requests,failed\n2026-09-01,2026-09-02,5,1\n2026-09-01,2026-09-02,5,1\n", "f:3:1: error: these counts overlap those"},
		"CSV number":                {"from,to,requests,failed\n2026-09-01,2026-09-02,99999999999999999999,1\n", "f:2:23: error: requests"},
		"CSV ticket twice":          {"ticket,severity,reported_at\nT,p1,2026-09-01\nT,p1,2026-09-01\n", "f:3:1: error: the ticket \"T\" is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := read(t, x.text)
			if got != nil || !problems.Any(problem.Error) {
				t.Fatalf("it was read: %v", got)
			}
			want := x.want
			if name == "another format" {
				want = `its format is "x"`
			}
			if !strings.Contains(problems.String(), want) {
				t.Errorf("got %swant %s", problems, want)
			}
			if name == "one error, not two" && len(problems) != 1 {
				t.Errorf("one fault gives %d problems:\n%s", len(problems), problems)
			}
		})
	}
}

// What is told twice changes nothing, and what nobody told stays unknown.
func TestRepeatedAndMissing(t *testing.T) {
	got, problems := read(t, "location,from,to,state\na,2026-09-01,2026-09-02,up\na,2026-09-01,2026-09-02,up\na,2026-09-03,2026-09-04,down\na,2026-09-01 12:00,2026-09-02 12:00,up\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	list, err := got.Locations[0].Tidy()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].To != at(t, "2026-09-02T10:00:00Z") || list[1].From != at(t, "2026-09-02T22:00:00Z") {
		t.Errorf("%v", list)
	}
}

// A file of any size ends soon, and with few words.
func TestHuge(t *testing.T) {
	_, problems := observed.Read("f", make([]byte, observed.MaxFile+1), time.UTC)
	if !strings.Contains(problems.String(), "the file has more than") {
		t.Error(problems)
	}
	var wrong, places, evidence, tickets bytes.Buffer
	wrong.WriteString("location,from,to,state\n")
	places.WriteString("location,from,to,state\n")
	evidence.WriteString("location,from,to,state,evidence\n")
	tickets.WriteString("ticket,severity,reported_at\n")
	from := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	for i := range 100_000 {
		wrong.WriteString("a,x,y,z\n")
		fmt.Fprintf(&places, "p%d,2026-09-01,2026-09-02,up\n", i)
		fmt.Fprintf(&evidence, "a,%s,%s,up,e%d\n", from.Add(time.Duration(i)*time.Second).Format(time.RFC3339), from.Add(time.Duration(i+1)*time.Second).Format(time.RFC3339), i)
		fmt.Fprintf(&tickets, "t%d,p1,2026-09-01\n", i)
	}
	if _, problems = observed.Read("f", wrong.Bytes(), time.UTC); len(problems) == 0 || len(problems) > 60 {
		t.Errorf("%d problems", len(problems))
	}
	if _, problems = observed.Read("f", places.Bytes(), time.UTC); !strings.Contains(problems.String(), "more than 1000 locations") {
		t.Error(problems)
	}
	o, problems := observed.Read("f", evidence.Bytes(), time.UTC)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	list, err := o.Locations[0].Tidy()
	if err != nil || len(list) != 1 || len(list[0].Evidence) != 100_000 {
		t.Errorf("%d intervals: %v", len(list), err)
	}
	if o, problems = observed.Read("f", tickets.Bytes(), time.UTC); len(problems) > 0 || len(o.Tickets) != 100_000 {
		t.Error(problems)
	}
}

// sane holds whatever bytes were read.
func sane(t *testing.T, data []byte) {
	o, problems := observed.Read("f", data, amsterdam(t))
	if (o == nil) != problems.Any(problem.Error) {
		t.Fatalf("observations %v beside %v", o, problems)
	}
	for _, p := range problems {
		if p.Pos.Line < 1 || p.Pos.Column < 1 || p.Pos.Line > bytes.Count(data, []byte("\n"))+1 {
			t.Fatalf("%v is nowhere in the file", p)
		}
	}
	if o == nil {
		return
	}
	for _, l := range o.Locations {
		if _, err := l.Tidy(); err != nil {
			t.Fatalf("what was accepted is refused later: %v", err)
		}
	}
	for _, c := range o.Counts {
		if c.Failed > c.Requests || c.Valid() != nil {
			t.Fatalf("%v was accepted", c)
		}
	}
	for _, x := range o.Exclusions {
		if x.Valid() != nil {
			t.Fatalf("%v was accepted", x)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add(`"locations": [{"id": "a", "intervals": [{"from": "2026-09-01", "to": "2026-09-02", "state": "up"}]}]}`)
	f.Add(`"counts": [{"from": "2026-09-01", "to": "2026-09-02", "requests": 5, "failed": 1, "evidence": ["x"]}], "time_zone": "Asia/Gaza"}`)
	f.Add(`"exclusions": [{"id": "x", "kind": "beta", "from": "2026-10-25 02:30", "to": "2026-10-25 03:30"}]}`)
	f.Add(`"fees": [{"amount": "EUR 1000.00"}], "latency": [{"from": "2026-09-01", "to": "2026-09-02", "sketch": "AAAA"}]}`)
	f.Add(`"tickets": [{"id": "T", "severity": "p1", "reported_at": "2026-09-01", "pauses": [{"from": "2026-09-02", "to": "2026-09-01"}]}]}`)
	f.Add(`"a": [[[[[[[[[[[[[[[[[`)
	f.Fuzz(func(t *testing.T, rest string) { sane(t, []byte(head+rest)) })
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("location,from,to,state,evidence\na,2026-09-01,2026-09-02,up,x y\n"))
	f.Add([]byte("from;to;requests;failed\n2026-09-01;2026-09-02;5;1\n"))
	f.Add([]byte("id,kind,from,to\nx,beta,2026-03-29 02:30,2026-03-29 03:30\n"))
	f.Add([]byte("ticket,severity,reported_at,pause_from,pause_to,pause_reason,pause_who\nT,p1,2026-09-01,2026-09-01,2026-09-02,r,w\nT,,,2026-09-03,2026-09-04,r,w\n"))
	f.Add([]byte("state\n\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) { sane(t, data) })
}
