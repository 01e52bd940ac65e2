package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/document"
	htmldoc "holdfast/internal/document/html"
	"holdfast/internal/document/pdf"
	"holdfast/internal/document/text"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/export"
)

// fetchAll fetches everything for one party.
func (st *stage) fetchAll(party string, look func(channel, where, content string)) {
	st.documents(party, look)
	for _, r := range getRoutes() {
		channel := r.channel
		for _, path := range st.paths(r.path) {
			status, body := st.get(path, st.tokens[party])
			if status >= 500 {
				st.t.Errorf("%s %s: %d %s", party, path, status, body)
			}
			if status >= 400 { // what was asked for is said back
				asked, err := url.PathUnescape(path)
				if err != nil {
					st.t.Fatal(err)
				}
				for _, segment := range slices.Concat(strings.Split(path, "/"), strings.Split(asked, "/")) {
					if len(segment) > 3 {
						body = strings.ReplaceAll(body, segment, "")
					}
				}
			}
			look(channel, path, body)
			if r.unpack != nil {
				r.unpack(st.t, status, body, func(what, content string) { look(channel, path+" "+what, content) })
			}
		}
	}
	dir := filepath.Join(st.t.TempDir(), party)
	k, err := st.admin.ServerKeys(st.t.Context())
	if err != nil {
		st.t.Fatal(err)
	}
	// Who may not have the objects is stopped at the first; what was fetched
	// until then is looked at as well.
	_, err = export.Fetch(st.t.Context(), st.clients[party], export.Server{LedgerKey: k.Ledger, SigningKey: k.Signing}, export.Want{Arrangement: st.agreement.ID, Dir: dir})
	if c := code(err); err != nil && c != escrow.Forbidden && c != escrow.NotFound {
		st.t.Errorf("export for %s: %v", party, err)
	}
	if err != nil {
		look("export", "error", err.Error())
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		look("export", filepath.Base(path), string(data))
		look("export", "name", path)
		return err
	})
	if err != nil {
		st.t.Error(err)
	}
}

// documents are the parts a party reads and what it is told in plain words, in
// both languages and every form.
func (st *stage) documents(party string, look func(channel, where, content string)) {
	show := func(name string, again bool, make func() (*document.Document, error)) {
		forms := st.rendered[name]
		if forms == nil {
			d, err := make()
			if err != nil {
				st.t.Errorf("%s for %s: %v", name, party, err)
				return
			}
			forms = map[string]string{"page": string(htmldoc.Render(d)), "document": string(text.Render(d, 0))}
			if !again && string(d.Lang) == string(st.agreement.Language) {
				// Of a part, TestPDFHidesTheSame holds the file against the words.
				file, err := pdf.Render(d, time.Time{})
				if err != nil {
					st.t.Error(err)
					return
				}
				forms["document"] += string(file) + pdfText(st.t, file)
			}
			if again {
				st.rendered[name] = forms
			}
		}
		for channel, content := range forms {
			look(channel, name, content)
		}
	}
	for _, lang := range phrase.Langs() {
		for id, r := range st.parts {
			if slices.Contains(r.readers(), party) {
				show("part "+id+" in "+string(lang), true, func() (*document.Document, error) { return document.Part(st.agreement, id, lang) })
			}
		}
		show("summary in "+string(lang), false, func() (*document.Document, error) { return document.Summary(st.agreement, party, lang) })
		if st.customer(party) {
			show("service levels in "+string(lang), false, func() (*document.Document, error) { return document.SLA(st.agreement, party, lang) })
		}
	}
}

func pdfText(t testing.TB, file []byte) string {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		return ""
	}
	cmd := exec.Command("pdftotext", "-", "-")
	cmd.Stdin = bytes.NewReader(file)
	out, err := cmd.Output()
	if err != nil {
		t.Error(err)
	}
	return string(out)
}

func (st *stage) get(path, token string) (int, string) {
	st.t.Helper()
	ctx, cancel := context.WithTimeout(st.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, st.url+path, nil)
	if err != nil {
		st.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		st.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		st.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// paths fills in a route for everything that there is, also for what the
// caller should not find.
func (st *stage) paths(route string) []string {
	values := map[string][]string{"arrangement": {st.agreement.ID}, "version": {"1"}, "epoch": {"1"}, "number": {"1"}, "case": st.cases,
		"name": {strings.Repeat("0", 64)}, "notice": {}, "destruction": {"d1"}, "target": {"portaal", "api", "licence-server"}, "person": {}, "digest": slices.Sorted(maps.Keys(st.copies))}
	for _, m := range st.expanded.Modules {
		values["module"] = append(values["module"], url.PathEscape(m.ID))
	}
	for _, c := range st.expanded.Compartments {
		values["compartment"] = append(values["compartment"], url.PathEscape(c.ID))
	}
	for _, p := range st.expanded.Parts {
		values["part"] = append(values["part"], url.PathEscape(p.ID))
	}
	for party := range st.roles {
		values["notice"] = append(values["notice"], "n"+party)
		values["party"] = append(values["party"], party)
		values["person"] = append(values["person"], st.people[party].name)
	}
	paths := []string{route}
	if strings.HasSuffix(route, "{version}") || strings.HasSuffix(route, "remarks") {
		values["version"] = append(values["version"], "2") // the one that was refused
	}
	if len(st.copies) == 0 && strings.Contains(route, "{digest}") {
		values["part"] = values["part"][:1]
	}
	for {
		from := strings.Index(paths[0], "{")
		if from < 0 {
			return paths
		}
		name := paths[0][from+1 : strings.Index(paths[0], "}")]
		if len(values[name]) == 0 {
			if name == "digest" || name == "case" {
				values[name] = []string{strings.Repeat("0", 64)}
			} else {
				st.t.Fatalf("route %s: nothing is known to fill in for {%s}", route, name)
			}
		}
		var next []string
		for _, p := range paths {
			for _, v := range values[name] {
				next = append(next, strings.Replace(p, "{"+name+"}", v, 1))
			}
		}
		paths = next
	}
}

// unpackCopy looks inside what JSON carries in base64.
func unpackCopy(t testing.TB, status int, body string, look func(what, content string)) {
	var got struct {
		Copy []byte `json:"copy"`
	}
	if status != http.StatusOK {
		return
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Error(err)
	}
	look("copy", string(got.Copy))
}
