package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/evidence"
	"holdfast/internal/ledger"
)

// An independent client of the C2SP formats mirrors the whole ledger over
// HTTP, checks every entry against the checkpoint, and verifies a proof.
func TestIndependentClientMirrorsTheLedger(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		size := 66_000 // three levels of tiles
		if e.dialect == ledger.Postgres || testing.Short() {
			size = 3_000
		}
		entries := e.fill(t, size, 5000)
		witness := newCosigner(t, "witness.example/w1")
		if _, err := e.log.Publish(t.Context(), e.write); err != nil {
			t.Fatal(err)
		}
		e.cosign(t, e.policy(t, witness), witness, evidence.Pin{Origin: origin})
		server := httptest.NewServer(ledger.Handler(e.log, func(r *http.Request, err error) {
			t.Errorf("%s: %v", r.URL.Path, err)
		}))
		defer server.Close()

		fetcher, err := torchwood.NewTileFetcher(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		client, err := torchwood.NewClient(fetcher)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := fetcher.ReadEndpoint(t.Context(), "checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		policy := torchwoodPolicy(t, e.vkey, witness)
		c, _, err := torchwood.VerifyCheckpoint(signed, policy)
		if err != nil {
			t.Fatal(err)
		}
		if c.N != int64(size) || c.Origin != origin {
			t.Fatalf("checkpoint of %s at size %d", c.Origin, c.N)
		}
		next := int64(0)
		for i, entry := range client.AllEntries(t.Context(), c.Tree, 0) {
			if i != next || !bytes.Equal(entry, entries[i].Commitment[:]) {
				t.Fatalf("entry %d, want %d, is %x", i, next, entry)
			}
			next++
		}
		if err := client.Err(); err != nil {
			t.Fatal(err)
		}
		if next != c.N {
			t.Fatalf("%d entries came over, want %d", next, c.N)
		}
		entry, p, err := e.log.ProveWitnessed(t.Context(), int64(size)/3, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(entry.Commitment[:]), []byte(p.String())); err != nil {
			t.Errorf("the independent client refuses a proof: %v", err)
		}
	})
}

// torchwoodPolicy wants the origin, the ledger's key and the witness.
func torchwoodPolicy(t testing.TB, vkey string, witness note.Signer) torchwood.Policy {
	t.Helper()
	logKey, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := evidence.WitnessKey(witness)
	if err != nil {
		t.Fatal(err)
	}
	witnessKey, err := torchwood.NewCosignatureVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	return torchwood.ThresholdPolicy(3, torchwood.OriginPolicy(origin),
		torchwood.SingleVerifierPolicy(logKey), torchwood.SingleVerifierPolicy(witnessKey))
}

func TestTilesOverHTTP(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e *engine) {
		entries := e.fill(t, 600, 100)
		handler := ledger.Handler(e.log, func(r *http.Request, err error) { t.Errorf("%s: %v", r.URL.Path, err) })
		get := func(method, path string) *http.Response {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			return w.Result()
		}
		for _, test := range []struct {
			path   string
			status int
			length int
		}{
			{"/checkpoint", 200, -1},
			{"/tile/0/000", 200, 8192},
			{"/tile/0/001", 200, 8192},
			{"/tile/0/002.p/88", 200, 88 * 32},
			{"/tile/0/002.p/1", 200, 32},   // an older, narrower one
			{"/tile/0/000.p/255", 200, -1}, // one that is full by now
			{"/tile/1/000.p/2", 200, 64},
			{"/tile/1/000.p/1", 200, 32},
			{"/tile/entries/000", 200, 256 * 34},
			{"/tile/entries/002.p/88", 200, 88 * 34},
			{"/tile/0/002.p/89", 404, -1},
			{"/tile/0/002", 404, -1},
			{"/tile/0/003.p/1", 404, -1},
			{"/tile/1/000.p/3", 404, -1},
			{"/tile/1/000", 404, -1},
			{"/tile/2/000.p/1", 404, -1},
			{"/tile/7/000.p/1", 404, -1},
			{"/tile/entries/002", 404, -1},
			{"/tile/8/000.p/1", 404, -1},
			{"/tile/-1/000", 404, -1},
			{"/tile/data/000", 404, -1},
			{"/tile/0/0", 404, -1},
			{"/tile/00/000", 404, -1},
			{"/tile/0/000.p/0", 404, -1},
			{"/tile/0/000.p/256", 404, -1},
			{"/tile/0/x000/000", 404, -1},
			{"/tile/0/x999/x999/x999/x999/x999/x999/999", 404, -1},
			{"/tile/0/" + strings.Repeat("x999/", 40) + "999", 404, -1},
			{"/tile/0/../0/000", 404, -1},
			{"/", 404, -1},
			{"/leaf", 404, -1},
		} {
			r := get(http.MethodGet, test.path)
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			if r.StatusCode != test.status || test.length >= 0 && len(body) != test.length {
				t.Errorf("%s: status %d with %d bytes, want %d with %d", test.path, r.StatusCode, len(body), test.status, test.length)
			}
			cache := r.Header.Get("Cache-Control")
			if immutable := strings.Contains(cache, "immutable"); immutable != (test.status == 200 && test.path != "/checkpoint") {
				t.Errorf("%s: Cache-Control %q", test.path, cache)
			}
			head := get(http.MethodHead, test.path)
			if rest, _ := io.ReadAll(head.Body); head.StatusCode != test.status || test.status == 200 && len(rest) != 0 {
				t.Errorf("HEAD %s: status %d with %d bytes", test.path, head.StatusCode, len(rest))
			}
		}
		tile, err := io.ReadAll(get(http.MethodGet, "/tile/0/002.p/88").Body)
		if err != nil {
			t.Fatal(err)
		}
		want := tlog.RecordHash(entries[520].Commitment[:])
		if got := tile[8*32 : 9*32]; !bytes.Equal(got, want[:]) {
			t.Errorf("hash of entry 520 is %x, want %s", got, want)
		}
		if r := get(http.MethodPost, "/checkpoint"); r.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST: status %d", r.StatusCode)
		}
	})
}

type brokenView struct{}

func (brokenView) Published(context.Context) ([]byte, error) {
	return nil, errors.New("disk at /secret/path is on fire")
}
func (brokenView) Tile(context.Context, tlog.Tile) ([]byte, error) {
	return nil, errors.New("disk at /secret/path is on fire")
}

func TestHandlerTellsTheOperatorNotTheCaller(t *testing.T) {
	told := 0
	handler := ledger.Handler(brokenView{}, func(*http.Request, error) { told++ })
	for _, path := range []string{"/checkpoint", "/tile/0/000"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %q", path, w.Code, w.Body)
		}
	}
	if told != 2 {
		t.Errorf("told %d times, want 2", told)
	}
}
