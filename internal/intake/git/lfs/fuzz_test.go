package lfs

import (
	"net/url"
	"strings"
	"testing"

	"holdfast/evidence"
	"holdfast/internal/intake/git/lfs/pointer"
)

// FuzzBatch: whatever the answer, each wanted object has either an action or
// a reason, and the token goes to the endpoint's origin only.
func FuzzBatch(f *testing.F) {
	oid := evidence.Digest(nil)
	f.Add([]byte(`{"transfer":"basic","objects":[{"oid":"` + oid + `","actions":{"download":{"href":"https://git.example/o","header":{"A":"b"}}}}]}`))
	f.Add([]byte(`{"objects":[{"oid":"` + oid + `","authenticated":true,"actions":{"download":{"href":"https://cdn.example/o"}}}]}`))
	f.Add([]byte(`{"objects":[{"oid":"` + oid + `","error":{"code":404,"message":"x"}}]}`))
	f.Add([]byte(`{"objects":[{"oid":"` + oid + `"},{"oid":"` + oid + `","actions":{"download":{"href":"http://git.example/o"}}}]}`))
	e, err := FromHTTP("https://git.example/r", "", "", "tok-CANARY")
	if err != nil {
		f.Fatal(err)
	}
	wanted := []pointer.Pointer{{OID: oid}, {OID: evidence.Digest([]byte("x")), Size: 1}}
	f.Fuzz(func(t *testing.T, data []byte) {
		actions, reasons, err := decodeBatch(data, e, wanted)
		if err != nil {
			return
		}
		if len(actions)+len(reasons) != len(wanted) {
			t.Fatalf("%d actions and %d reasons", len(actions), len(reasons))
		}
		for _, p := range wanted {
			a, ok := actions[p.OID]
			if ok == (reasons[p.OID] != "") {
				t.Fatalf("%s: action %v, reason %q", p.OID, a, reasons[p.OID])
			}
			if ok && a.url.Scheme != "https" {
				t.Fatalf("from https to %s", a.url)
			}
			if ok && origin(a.url) != origin(e.URL) && a.header.Get("Authorization") == e.Header.Get("Authorization") {
				t.Fatalf("the token goes to %s", a.url)
			}
		}
	})
}

// FuzzAuthenticate: what an ssh source prints gives an https address, or none.
func FuzzAuthenticate(f *testing.F) {
	f.Add([]byte(`{"href":"https://lfs.example/r","header":{"Authorization":"x"},"expires_in":1}`))
	f.Add([]byte(`{"href":"http://127.0.0.1/r"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseAuthenticate(data)
		if err != nil {
			return
		}
		if e.URL.Host == "" || e.URL.User != nil || e.URL.RawQuery != "" {
			t.Fatalf("%v", e.URL)
		}
		for name, values := range e.Header {
			if name == "Host" || strings.ContainsAny(name+values[0], "\r\n") {
				t.Fatalf("header %q: %q", name, values)
			}
		}
	})
}

// FuzzConfigURL: never panics, and never leads the token off its origin.
func FuzzConfigURL(f *testing.F) {
	f.Add("[lfs]\nurl = https://git.example/lfs\n")
	f.Add("[lfs]url=\"https://evil.example\"")
	home, err := url.Parse("https://git.example/r")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := FromHTTP(home.String(), ConfigURL([]byte(text)), "", "token")
		if err != nil || origin(e.URL) != origin(home) {
			t.Fatalf("%q leads to %v, %v", text, e, err)
		}
	})
}
