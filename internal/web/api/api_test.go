package api_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"holdfast/internal/escrow"
	"holdfast/internal/web"
	"holdfast/internal/web/api"
)

// record collects refused attempts; it can be made to fail.
type record struct {
	acts []escrow.Act
	err  error
}

func (r *record) Record(_ context.Context, act escrow.Act) error {
	r.acts = append(r.acts, act)
	return r.err
}

func serve(t *testing.T, who escrow.Actor, token escrow.Token, authErr error) (http.Handler, *huma.OpenAPI, *record, *bytes.Buffer) {
	t.Helper()
	mux := http.NewServeMux()
	rec := &record{}
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	doc := api.Register(mux, api.Services{
		Authenticate: func(context.Context, string) (escrow.Actor, escrow.Token, error) { return who, token, authErr },
		Recorder:     rec,
		Now:          time.Now,
		Log:          logger,
	})
	return web.Wrap(mux, logger, time.Now, web.DefaultPace()), doc, rec, &log
}

// public are the operations that need no token, each for a reason.
func public() []string {
	// Anybody must be able to check the ledger and to witness it; none of
	// them shows an act, and a cosignature proves itself.
	return []string{"ledger-key", "ledger-consistency", "cosign"}
}

func operations(doc *huma.OpenAPI) map[string]*huma.Operation {
	all := map[string]*huma.Operation{}
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op != nil {
				all[op.OperationID] = op
			}
		}
	}
	return all
}

// TestEveryOperationHasOneDoor: an operation without an action would be open
// to everybody, so each must be listed as public on purpose.
func TestEveryOperationHasOneDoor(t *testing.T) {
	_, doc, _, _ := serve(t, escrow.Actor{}, escrow.Token{}, nil)
	ops := operations(doc)
	if len(ops) < 25 {
		t.Fatalf("only %d operations", len(ops))
	}
	for id, op := range ops {
		action, _ := op.Metadata["action"].(escrow.Action)
		if open := slices.Contains(public(), id); open != (action == "") {
			t.Errorf("%s: action %q, listed as public: %v", id, action, open)
		}
		if action != "" && !slices.Contains(escrow.Actions(), action) {
			t.Errorf("%s: unknown action %q", id, action)
		}
		for _, part := range strings.Split(op.Path, "/") {
			name, isParam := strings.CutPrefix(part, "{")
			if name = strings.TrimSuffix(name, "}"); isParam && !slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "path" && p.Name == name }) {
				t.Errorf("%s: nothing reads the path parameter %s", id, name)
			}
		}
		if strings.Contains(op.Path, "{module}") && !strings.Contains(op.Path, "{arrangement}") {
			t.Errorf("%s: a module without its arrangement cannot be authorised", id)
		}
	}
}

// TestNoTokenNoAnswer asks every operation without a token, and as somebody
// of another arrangement: nothing is reached. The services are nil, so
// anything that got through would panic.
func TestNoTokenNoAnswer(t *testing.T) {
	refused := escrow.Errorf(escrow.Unauthenticated, "no valid token")
	stranger := escrow.Actor{Party: "x", Role: escrow.Agent, Arrangement: "other"}
	for name, c := range map[string]struct {
		actor escrow.Actor
		err   error
		want  []int
	}{
		"without a token": {err: refused, want: []int{http.StatusUnauthorized}},
		"stranger":        {actor: stranger, want: []int{http.StatusNotFound}},
	} {
		h, doc, rec, _ := serve(t, c.actor, escrow.Token{}, c.err)
		n := 0
		for id, op := range operations(doc) {
			if slices.Contains(public(), id) {
				continue
			}
			path := strings.NewReplacer("{arrangement}", "mine", "{module}", "code", "{compartment}", "m", "{epoch}", "1", "{number}", "1",
				"{case}", "c", "{token}", "t", "{index}", "0", "{name}", strings.Repeat("0", 64)).Replace(op.Path)
			r := httptest.NewRequest(op.Method, path, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want := c.want
			if c.err == nil && !strings.Contains(op.Path, "{arrangement}") {
				want = []int{http.StatusForbidden} // about the installation, whose existence is no secret
			}
			if !slices.Contains(want, w.Code) {
				t.Errorf("%s: %s %s answered %d %s", name, op.Method, path, w.Code, w.Body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("%s: %s answered %q", name, id, got)
			}
			n++
		}
		if c.err == nil && len(rec.acts) != min(n, 20) { // of one token in a minute
			t.Errorf("%s: %d refusals, %d recorded", name, n, len(rec.acts))
		}
	}
}

// TestRefusalThatCannotBeRecorded is not answered as if it had been.
func TestRefusalThatCannotBeRecorded(t *testing.T) {
	h, _, rec, _ := serve(t, escrow.Actor{Party: "x", Role: escrow.Host, Arrangement: "mine"}, escrow.Token{}, nil)
	rec.err = errors.New("disk is away: CANARY")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/arrangements/mine/modules/code/sync", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "CANARY") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestModuleTokenStaysInItsModule: a CI machine's token deposits into one
// module and does nothing else, whatever its party may do.
func TestModuleTokenStaysInItsModule(t *testing.T) {
	actor := escrow.Actor{Party: "vendor", Role: escrow.Supplier, Arrangement: "mine"}
	h, _, _, _ := serve(t, actor, escrow.Token{Module: "code"}, nil)
	for _, path := range []string{
		"PUT /api/v1/arrangements/mine/modules/code/source",
		"PUT /api/v1/arrangements/mine/modules/code/credential",
		"GET /api/v1/arrangements/mine/modules/other/base",
		"POST /api/v1/arrangements/mine/modules/other/deposits",
		"POST /api/v1/arrangements/mine/epochs",
		"GET /api/v1/arrangements/mine",
	} {
		method, url, _ := strings.Cut(path, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, url, strings.NewReader("{}")))
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestLogHoldsNoSecrets: neither tokens nor queries nor bodies are logged.
func TestLogHoldsNoSecrets(t *testing.T) {
	h, _, _, log := serve(t, escrow.Actor{}, escrow.Token{}, escrow.Errorf(escrow.Unauthenticated, "no valid token"))
	r := httptest.NewRequest(http.MethodPut, "/api/v1/arrangements/mine/modules/code/credential?x=CANARY", strings.NewReader(`{"kind":"token","secret":"CANARY"}`))
	r.Header.Set("Authorization", "Bearer hf_CANARY")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body, _ := io.ReadAll(w.Result().Body)
	if strings.Contains(log.String(), "CANARY") || strings.Contains(string(body), "CANARY") {
		t.Errorf("log %s\nbody %s", log, body)
	}
	if !strings.Contains(log.String(), "status=401") {
		t.Errorf("the request is not in the log: %s", log)
	}
}

// TestRefusalsDoNotFillTheLedger: one token's refusals are recorded up to a
// bound, and the next one that is says how many were not.
func TestRefusalsDoNotFillTheLedger(t *testing.T) {
	now := time.Now()
	rec := &record{}
	mux := http.NewServeMux()
	api.Register(mux, api.Services{
		Authenticate: func(context.Context, string) (escrow.Actor, escrow.Token, error) {
			return escrow.Actor{Party: "x", Role: escrow.Host, Arrangement: "mine", Token: "t"}, escrow.Token{}, nil
		},
		Recorder: rec, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	})
	attempt := func() {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/arrangements/mine/modules/code/sync", nil))
		if w.Code != http.StatusForbidden {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for range 500 {
		attempt()
	}
	recorded := len(rec.acts)
	if recorded == 0 || recorded > 50 {
		t.Errorf("of 500 refusals %d were recorded", recorded)
	}
	now = now.Add(2 * time.Minute)
	attempt()
	last, _ := rec.acts[len(rec.acts)-1].Data.(map[string]any)
	if len(rec.acts) != recorded+1 || last["refusals_not_recorded_before"] != 500-recorded {
		t.Errorf("%d acts, the last says %v", len(rec.acts), last)
	}
}

// TestRefusedBodyIsNotEchoed: a secret that does not fit its schema comes back
// in no answer, and the answer has the form of every other refusal.
func TestRefusedBodyIsNotEchoed(t *testing.T) {
	h, _, _, log := serve(t, escrow.Actor{Party: "vendor", Role: escrow.Supplier, Arrangement: "mine"}, escrow.Token{}, nil)
	for _, body := range []string{
		`{"kind":"password","secret":"CANARY"}`,
		`{"kind":"token","secret":["CANARY"]}`,
		`{"kind":"token","secret":"CANARY` + strings.Repeat("x", 40000) + `"}`,
		`{"kind":"token","secret":"CANARY","other":"CANARY"}`,
		`{"kind":"token","secret":"CANARY"`,
	} {
		r := httptest.NewRequest(http.MethodPut, "/api/v1/arrangements/mine/modules/code/credential", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 || strings.Contains(w.Body.String(), "CANARY") || strings.Contains(log.String(), "CANARY") {
			t.Errorf("%.40s: %d %.300s", body, w.Code, w.Body)
		}
		if !strings.Contains(w.Body.String(), `"code":"invalid"`) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.40s: %s %.300s", body, w.Header().Get("Content-Type"), w.Body)
		}
	}
}
