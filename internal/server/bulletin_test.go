package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
	"holdfast/internal/status"
)

// look fetches a public page without any credential.
func (in *installation) look(path string) (*http.Response, string) {
	in.t.Helper()
	resp, err := http.Get(in.url + path)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		in.t.Fatal(err)
	}
	return resp, string(body)
}

// TestStatusPage: the agent publishes, the supplier tells what it knows, and
// everybody reads that and nothing else.
func TestStatusPage(t *testing.T) {
	eachEngine(t, func(t *testing.T, in *installation) {
		ctx := t.Context()
		agent, supplier, customer := in.as("agent"), in.as("supplier"), in.as("customer")
		page := client.NewStatusPage{At: "orchard", Publisher: "Stichting Continuity", Contact: "mailto:status@continuity.example"}

		if resp, _ := in.look("/status/orchard/"); resp.StatusCode != http.StatusNotFound {
			t.Fatalf("before it is public: %s", resp.Status)
		}
		// The page has to outlive the supplier, so it is not the supplier's.
		for who, c := range map[string]*client.Client{"supplier": supplier, "customer": customer} {
			if err := c.PublishStatus(ctx, arrangementID, page); code(err) != escrow.Forbidden {
				t.Errorf("%s publishes: %v", who, err)
			}
		}
		if _, err := customer.OpenIncident(ctx, arrangementID, client.NewIncident{TitleEN: "x", IncidentWord: client.IncidentWord{Stage: "identified", EN: "x"}}); code(err) != escrow.Forbidden {
			t.Errorf("a customer tells: %v", err)
		}
		for what, bad := range map[string]client.NewStatusPage{
			"an address of another kind": {At: "../x", Publisher: "P"}, "no publisher": {At: "x"}, "a script for a contact": {At: "x", Publisher: "P", Contact: "javascript:alert(1)"},
			"text turned around": {At: "x", Publisher: "a\u202eb"},
		} {
			if err := agent.PublishStatus(ctx, arrangementID, bad); code(err) != escrow.Invalid {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := agent.PublishStatus(ctx, arrangementID, page); err != nil {
			t.Fatal(err)
		}
		resp, body := in.look("/status/orchard/")
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, "Stichting Continuity") || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "style-src 'sha256-") {
			t.Fatalf("%s, policy %q:\n%s", resp.Status, resp.Header.Get("Content-Security-Policy"), body)
		}
		if resp, _ := in.look("/status/orchard"); resp.Request.URL.Path != "/status/orchard/" {
			t.Errorf("without a slash: %s", resp.Request.URL)
		}
		for _, path := range []string{"/status/orchard/nothing.html", "/status/orchard/..%2f", "/status/other/", "/status/%2e%2e/"} {
			if resp, _ := in.look(path); resp.StatusCode == http.StatusOK {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}

		opened, err := supplier.OpenIncident(ctx, arrangementID, client.NewIncident{TitleNL: "Traag", TitleEN: "Slow", Components: []string{"web"},
			IncidentWord: client.IncidentWord{Stage: "investigating", EN: "We look into it.", NextBy: time.Now().Add(30 * time.Minute).Format(time.RFC3339)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, body := in.look("/status/orchard/en.html"); !strings.Contains(body+pageIn(in, "en"), "We look into it.") {
			t.Errorf("what was told is not there:\n%s", body)
		}
		for what, w := range map[string]client.IncidentWord{
			"nothing said":           {Stage: "identified"},
			"a promise that is over": {Stage: "identified", EN: "x", NextBy: "2020-01-01T00:00:00Z"},
			"an end without one":     {Stage: "identified", EN: "x", Ended: time.Now().Format(time.RFC3339)},
			"an end to come":         {Stage: "resolved", EN: "x", Ended: time.Now().Add(time.Hour).Format(time.RFC3339)},
			"an end before it began": {Stage: "resolved", EN: "x", Ended: "2020-01-01T00:00:00Z"},
			"no time":                {Stage: "resolved", EN: "x", Ended: "yesterday"},
		} {
			if _, err := supplier.TellIncident(ctx, arrangementID, opened.ID, w); code(err) != escrow.Invalid {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := supplier.TellIncident(ctx, arrangementID, "nothing", client.IncidentWord{Stage: "resolved", EN: "x"}); code(err) != escrow.NotFound {
			t.Errorf("an incident that is none: %v", err)
		}
		if _, err := supplier.OpenIncident(ctx, arrangementID, client.NewIncident{TitleEN: "x", Components: []string{"nothing"}, IncidentWord: client.IncidentWord{Stage: "identified", EN: "x"}}); code(err) != escrow.Invalid {
			t.Errorf("a component that is none: %v", err)
		}
		ended, err := agent.TellIncident(ctx, arrangementID, opened.ID, client.IncidentWord{Stage: "resolved", NL: "Voorbij.", EN: "Over."})
		if err != nil || ended.Ended == nil {
			t.Fatalf("%+v, %v", ended, err)
		}
		_, data := in.look("/status/orchard/" + status.DataFile)
		told, err := status.Parse([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		if len(told.Incidents) != 1 || len(told.Incidents[0].Updates) != 2 || told.Incidents[0].Ended.IsZero() || told.Overall() != status.Unknown {
			t.Errorf("data: %+v", told)
		}
		// Nothing of the arrangement but what is for everybody.
		for _, word := range []string{"supplier-1", "agent-1", "git.example", "customer", arrangementID + `"`} {
			for _, file := range []string{"", "en.html", "nl.html", "feed-en.atom", "badge-nl.svg", status.DataFile} {
				if _, body := in.look("/status/orchard/" + file); strings.Contains(body, word) {
					t.Errorf("%s says %q", file, word)
				}
			}
		}
		if err := agent.WithdrawStatus(ctx, arrangementID); err != nil {
			t.Fatal(err)
		}
		if resp, _ := in.look("/status/orchard/"); resp.StatusCode != http.StatusNotFound {
			t.Errorf("after it was withdrawn: %s", resp.Status)
		}
	})
}

// pageIn is the page in a language, wherever that lies.
func pageIn(in *installation, lang string) string {
	for _, file := range []string{"", "en.html", "nl.html"} {
		if _, body := in.look("/status/orchard/" + file); strings.Contains(body, `<html lang="`+lang+`"`) {
			return body
		}
	}
	return ""
}
