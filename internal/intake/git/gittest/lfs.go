package gittest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// LFS answers the batch API of Git LFS beside a repository.
type LFS struct {
	mu      sync.Mutex
	objects map[string]string
	asked   []string // ids that were downloaded, in order
}

// Add keeps a large file and returns its pointer, to be committed in its place.
func (l *LFS) Add(content string) (pointer, oid string) {
	sum := sha256.Sum256([]byte(content))
	oid = hex.EncodeToString(sum[:])
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.objects == nil {
		l.objects = make(map[string]string)
	}
	l.objects[oid] = content
	return Pointer(oid, len(content)), oid
}

// Remove forgets a large file.
func (l *LFS) Remove(oid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.objects, oid)
}

// Asked returns the ids that were downloaded since the last call.
func (l *LFS) Asked() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.asked
	l.asked = nil
	return asked
}

// Pointer is the text that stands in the repository for a large file.
func Pointer(oid string, size int) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, size)
}

// Middleware serves the API below <repository>/info/lfs. Whoever may read the
// repository may use it.
func (l *LFS) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, rest, ok := strings.Cut(r.URL.Path, "/info/lfs/objects/")
		switch {
		case !ok:
			next.ServeHTTP(w, r)
		case rest == "batch":
			l.batch(w, r)
		default:
			l.mu.Lock()
			content, ok := l.objects[rest]
			l.asked = append(l.asked, rest)
			l.mu.Unlock()
			if !ok {
				http.NotFound(w, r)
				return
			}
			fmt.Fprint(w, content)
		}
	})
}

func (l *LFS) batch(w http.ResponseWriter, r *http.Request) {
	type object struct {
		OID     string         `json:"oid"`
		Size    int            `json:"size"`
		Actions map[string]any `json:"actions,omitempty"`
		Error   map[string]any `json:"error,omitempty"`
	}
	var request, answer struct {
		Objects []object `json:"objects"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	base := "http://" + r.Host + strings.TrimSuffix(r.URL.Path, "batch")
	for _, o := range request.Objects {
		if _, ok := l.objects[o.OID]; ok {
			o.Actions = map[string]any{"download": map[string]any{"href": base + o.OID}}
		} else {
			o.Error = map[string]any{"code": 404, "message": "object does not exist"}
		}
		answer.Objects = append(answer.Objects, o)
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	json.NewEncoder(w).Encode(answer)
}
