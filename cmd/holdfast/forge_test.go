package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"holdfast/internal/intake/git/gittest"
)

// startForge VARIABLE DIR token=TOKEN: starts a forge with Gitea's documented
// interface and the organisation DIR, whose repositories lie there and are
// served by stock git. DIR/list says what it lists: number, name, and open or
// archived. The variable gets its address.
func startForge(ts *testscript.TestScript, args []string) {
	token := strings.TrimPrefix(args[2], "token=")
	dir := ts.MkAbs(args[1])
	backend, err := gittest.HTTPHandler(filepath.Dir(dir), gittest.HTTPOptions{Version: gittest.V2, Token: token})
	ts.Check(err)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v1/version":
			fmt.Fprint(w, `{"version":"1.25.2"}`)
		case r.URL.Path != "/api/v1/orgs/"+args[1]+"/repos":
			backend.ServeHTTP(w, r)
		case r.Header.Get("Authorization") != "token "+token:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			lines, err := os.ReadFile(filepath.Join(dir, "list"))
			if err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			list := []map[string]any{}
			for line := range strings.Lines(string(lines)) {
				f := strings.Fields(line)
				list = append(list, map[string]any{"id": json.Number(f[0]), "full_name": args[1] + "/" + f[1], "clone_url": "http://" + r.Host + "/" + args[1] + "/" + f[1],
					"archived": f[2] == "archived", "private": true, "empty": false, "owner": map[string]any{"login": args[1]}})
			}
			_ = json.NewEncoder(w).Encode(list)
		}
	}))
	ts.Defer(func() {
		s.CloseClientConnections()
		s.Close()
	})
	ts.Setenv(args[0], s.URL)
}
