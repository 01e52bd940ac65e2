package gittest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"testing"
)

// Version is the protocol a server is made to speak. A server that knows
// only an older protocol ignores what the client asks for.
type Version int

// The three protocols. V2 is what every current server speaks.
const (
	V0 Version = 0
	V1 Version = 1
	V2 Version = 2
)

func (v Version) env() string {
	if v == V0 {
		return ""
	}
	return fmt.Sprintf("version=%d", v)
}

// HTTPOptions says how the server behaves.
type HTTPOptions struct {
	Version Version
	User    string // with Token, the user name that is asked for; any when empty
	Token   string // the password every request must carry
}

// HTTPHandler serves the repositories below root by stock git http-backend.
func HTTPHandler(root string, o HTTPOptions) (http.Handler, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.Token != "" {
			user, token, ok := r.BasicAuth()
			if !ok || token != o.Token || o.User != "" && user != o.User {
				w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
				http.Error(w, "credentials, please", http.StatusUnauthorized)
				return
			}
		}
		env := []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent"}
		if v := o.Version.env(); v != "" {
			env = append(env, "GIT_PROTOCOL="+v)
		}
		r.Header.Del("Git-Protocol")
		(&cgi.Handler{Path: git, Args: []string{"-c", "safe.directory=*", "http-backend"}, Env: env, Stderr: io.Discard}).ServeHTTP(w, r)
	}), nil
}

// Middleware stands between the client and the Git server, to break things.
type Middleware func(http.Handler) http.Handler

// ServeHTTP starts a server for the test and returns its URL. The first
// middleware is the one the client meets.
func ServeHTTP(tb testing.TB, root string, o HTTPOptions, between ...Middleware) *httptest.Server {
	tb.Helper()
	Need(tb, "git")
	h, err := HTTPHandler(root, o)
	if err != nil {
		tb.Fatal(err)
	}
	for i := len(between) - 1; i >= 0; i-- {
		h = between[i](h)
	}
	s := httptest.NewServer(h)
	s.Config.ErrorLog = nil
	tb.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}
