package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"holdfast/client"
)

func against(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{URL: s.URL, Token: "hf_CANARY"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestServerDoesNotSteerTheTerminal: what a server says is shown without the
// characters that could hide or move what is on a screen.
func TestServerDoesNotSteerTheTerminal(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"status":409,"code":"conflict","detail":"\u001b[2Jall is well\u009b2K\u202e","hint":"\u0007x"}`))
	})
	_, err := c.Modules(t.Context(), "demo")
	e, ok := errors.AsType[*client.Error](err)
	if !ok || strings.ContainsAny(e.Detail+e.Hint, "\x1b\u009b\u202e\a") || !strings.Contains(e.Detail, "all is well") {
		t.Errorf("%q", err)
	}
}

// TestTokenGoesNowhereElse: a redirect is refused, and plain http to another
// machine too.
func TestTokenGoesNowhereElse(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	if _, err := c.Modules(t.Context(), "demo"); err == nil || asked || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("asked %v, %v", asked, err)
	}
	for _, url := range []string{"http://escrow.example", "ftp://localhost", "https://user:CANARY@escrow.example", "escrow.example", "http://localhost.evil.example"} {
		if _, err := client.New(client.Options{URL: url, Token: "t"}); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestEndlessListEnds: a server that lists the same page for ever is found out.
func TestEndlessListEnds(t *testing.T) {
	c := against(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[{"number":1}]`)) })
	if _, err := c.Deposits(t.Context(), "demo", "code"); err == nil || !strings.Contains(err.Error(), "was listed after") {
		t.Errorf("%v", err)
	}
}
