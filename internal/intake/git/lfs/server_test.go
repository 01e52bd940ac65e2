package lfs_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// server is a small LFS server: the batch API with basic transfers, both
// ways, and a storage host of its own for the content. It serves git-lfs as
// well as the code under test.
type server struct {
	api, storage *httptest.Server
	user, token  string

	mu         sync.Mutex
	content    map[string][]byte
	errors     map[string]int // per-object errors of the batch
	batches    []int          // sizes of the batch requests
	requests   []*http.Request
	downloads  map[string]int
	intercept  func(w http.ResponseWriter, r *http.Request) bool // storage: true when it has answered
	sameHost   bool                                              // downloads come from the API's own host
	noHeader   bool                                              // its actions bring no header
	batchHook  func(w http.ResponseWriter, r *http.Request) bool
	actionHref func(oid, href string) string
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{content: map[string][]byte{}, errors: map[string]int{}, downloads: map[string]int{}, user: "x-access-token", token: "tok-CANARY"}
	s.api = httptest.NewServer(http.HandlerFunc(s.serveAPI))
	s.storage = httptest.NewServer(http.HandlerFunc(s.serveStorage))
	t.Cleanup(s.api.Close)
	t.Cleanup(s.storage.Close)
	return s
}

func (s *server) put(content string) string {
	sum := sha256.Sum256([]byte(content))
	oid := hex.EncodeToString(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content[oid] = []byte(content)
	return oid
}

func (s *server) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Clone(r.Context()))
}

func (s *server) serveAPI(w http.ResponseWriter, r *http.Request) {
	s.note(r)
	user, token, _ := r.BasicAuth()
	switch {
	case strings.HasPrefix(r.URL.Path, "/object/"):
		if s.noHeader && (user != s.user || token != s.token) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.serveObject(w, r)
		return
	case s.batchHook != nil && s.batchHook(w, r):
		return
	case r.Method != http.MethodPost || r.URL.Path != "/group/repo.git/info/lfs/objects/batch":
		http.NotFound(w, r)
		return
	case user != s.user || token != s.token:
		w.Header().Set("Lfs-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/vnd.git-lfs+json") || !strings.HasPrefix(r.Header.Get("Accept"), "application/vnd.git-lfs+json"):
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	var ask struct {
		Operation string   `json:"operation"`
		Transfers []string `json:"transfers"`
		Objects   []struct {
			OID  string `json:"oid"`
			Size int64  `json:"size"`
		} `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || len(ask.Transfers) > 0 && !slices.Contains(ask.Transfers, "basic") {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, len(ask.Objects))
	objects := []any{}
	for _, o := range ask.Objects {
		answer := map[string]any{"oid": o.OID, "size": o.Size}
		content, ok := s.content[o.OID]
		href := s.storage.URL + "/object/" + o.OID + "?signature=SIG-CANARY"
		if s.sameHost {
			href = s.api.URL + "/object/" + o.OID
		}
		if s.actionHref != nil {
			href = s.actionHref(o.OID, href)
		}
		action := map[string]any{"href": href, "header": map[string]string{"X-Storage": "key-CANARY"}}
		if s.noHeader {
			delete(action, "header")
		}
		switch code := s.errors[o.OID]; {
		case code != 0:
			answer["error"] = map[string]any{"code": code, "message": "message-CANARY"}
		case ask.Operation == "upload" && !ok:
			answer["actions"] = map[string]any{"upload": action}
		case ask.Operation == "upload":
		case !ok:
			answer["error"] = map[string]any{"code": 404, "message": "Object does not exist"}
		default:
			_ = content
			answer["actions"] = map[string]any{"download": action}
		}
		objects = append(objects, answer)
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": objects})
}

func (s *server) serveStorage(w http.ResponseWriter, r *http.Request) {
	s.note(r)
	if s.intercept != nil && s.intercept(w, r) {
		return
	}
	if !s.noHeader && r.Header.Get("X-Storage") != "key-CANARY" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.serveObject(w, r)
}

func (s *server) serveObject(w http.ResponseWriter, r *http.Request) {
	oid := strings.TrimPrefix(r.URL.Path, "/object/")
	if r.Method == http.MethodPut {
		data, err := io.ReadAll(r.Body)
		if sum := sha256.Sum256(data); err != nil || hex.EncodeToString(sum[:]) != oid {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		s.put(string(data))
		return
	}
	s.mu.Lock()
	content, ok := s.content[oid]
	s.downloads[oid]++
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content)
}
