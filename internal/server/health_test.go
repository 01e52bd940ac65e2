package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

func fetch(t testing.TB, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// ready waits until the process says that it can work.
func ready(t testing.TB, url string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		status, body := fetch(t, url+"/readyz")
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %s", body)
		}
	}
}

func TestHealthAndMetrics(t *testing.T) { eachEngine(t, checkHealth) }

func checkHealth(t *testing.T, in *installation) {
	in.stop()
	in.config.MetricsListen = "127.0.0.1:0"
	in.start()
	watched := "http://" + in.server.MetricsAddr()
	for _, url := range []string{in.url, watched} {
		if status, body := fetch(t, url+"/healthz"); status != http.StatusOK || body != "ok\n" {
			t.Errorf("healthz: %d %q", status, body)
		}
		ready(t, url)
	}
	// Metrics are not for everybody, and the API is not for the monitoring.
	if status, _ := fetch(t, in.url+"/metrics"); status != http.StatusNotFound {
		t.Errorf("metrics at the public address: %d", status)
	}
	if status, _ := fetch(t, watched+"/api/v1/openapi.json"); status != http.StatusNotFound {
		t.Errorf("the API at the metrics' address: %d", status)
	}
	in.ceremony(1)
	in.source("r1", client.ModuleSource{URL: newSource(t, "sha1").Dir})
	if text := in.sync("r1"); text != "" {
		t.Fatal(text)
	}
	_, _ = fetch(t, in.url+"/made/up/path")
	_, text := fetch(t, watched+"/metrics")
	for _, line := range []string{
		`holdfast_database_up 1`,
		`holdfast_deposits 1`,
		`holdfast_syncs_total{result="deposited"} 1`,
		`holdfast_syncs_total{result="failed"} 0`,
		`holdfast_syncs_running 0`,
		`holdfast_modules_failing 0`,
		`holdfast_queue_worker_up 1`,
		`holdfast_http_requests_total{method="GET",route="none",status="404"} 2`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("metrics lack %q", line)
		}
	}
	if strings.Contains(text, arrangementID) || strings.Contains(text, "made/up") {
		t.Error("metrics name an arrangement or a path that somebody made up")
	}
	documented(t, text)
}

// documented compares the names with the manual.
func documented(t *testing.T, text string) {
	t.Helper()
	manual, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`holdfast_[a-z_]+`)
	var served []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok && strings.HasPrefix(rest, "holdfast_") {
			served = append(served, strings.Fields(rest)[0])
		}
	}
	slices.Sort(served)
	var written []string
	for line := range strings.Lines(string(manual)) {
		if strings.HasPrefix(line, "| `holdfast_") {
			written = append(written, name.FindString(line))
		}
	}
	slices.Sort(written)
	for _, n := range served {
		if !slices.Contains(written, n) {
			t.Errorf("docs/operate.md does not list the metric %s", n)
		}
	}
	for _, n := range written {
		if !slices.Contains(served, n) {
			t.Errorf("docs/operate.md lists %s, which is not served", n)
		}
	}
}

// What is not ready is named, without a word on why.
func TestNotReady(t *testing.T) {
	in := install(t, nil)
	ready(t, in.url)
	objects := in.config.ObjectsDir()
	if err := os.Rename(objects, objects+".away"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // an answer is kept for a second
	status, body := fetch(t, in.url+"/readyz")
	var state struct {
		Ready  bool
		Checks map[string]string
	}
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusServiceUnavailable || state.Ready || state.Checks["locations"] != "objects cannot be stored" || state.Checks["database"] != "ok" {
		t.Errorf("%d %s", status, body)
	}
	if strings.Contains(body, in.config.Data) {
		t.Errorf("the answer shows where things are: %s", body)
	}
	if err := os.Rename(objects+".away", objects); err != nil {
		t.Fatal(err)
	}
	ready(t, in.url)
}

func TestRoles(t *testing.T) {
	for _, tt := range []struct {
		role, database string
		code           escrow.Code
		says           string
	}{
		{"probe", "", escrow.Invalid, "SQLite has one process"},
		{"probe", "postgres://u@127.0.0.1:1/x", escrow.Invalid, "they must reach the same objects"},
		{"web", "", escrow.Invalid, "SQLite has one process"},
		{"worker", "", escrow.Invalid, "SQLite has one process"},
		{"boss", "", escrow.Invalid, `"boss"; choose all, web, worker or probe`},
		{"web", "postgres://u@127.0.0.1:1/x", escrow.Invalid, "they must reach the same objects"},
		{"web at", "postgres://u@127.0.0.1:1/x", escrow.Missing, "there are no keys in"},
	} {
		c := config.Default()
		c.Data, c.Listen, c.Role, c.Database = t.TempDir(), "127.0.0.1:0", config.Role(tt.role), tt.database
		if role, ok := strings.CutSuffix(tt.role, " at"); ok {
			c.Role, c.Locations = config.Role(role), []config.Location{{ID: "a", Kind: config.FileLocation, Path: t.TempDir()}}
		}
		_, err := server.Open(t.Context(), c, server.Options{})
		if escrow.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.role, err)
		}
	}
}
