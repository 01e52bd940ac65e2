package web_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/internal/web"
)

func quick() web.Pace {
	return web.Pace{Grace: 300 * time.Millisecond, Pause: 300 * time.Millisecond, Slowest: 1 << 20}
}

func start(t *testing.T, h http.HandlerFunc) (addr string, log *bytes.Buffer) {
	t.Helper()
	log = new(bytes.Buffer)
	s := httptest.NewServer(web.Wrap(h, slog.New(slog.NewTextHandler(log, nil)), time.Now, quick()))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), log
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestTrickledBodyIsCutOff: a body that stops coming, or comes a byte at a
// time, does not hold a connection for ever.
func TestTrickledBodyIsCutOff(t *testing.T) {
	for name, every := range map[string]time.Duration{"stops": time.Hour, "trickles": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan error, 1)
			addr, _ := start(t, func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				ended <- err
			})
			c := dial(t, addr)
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
			deadline := time.After(5 * time.Second)
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				select {
				case err := <-ended:
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("the body ended with %v", err)
					}
					return
				case <-tick.C:
					_, _ = c.Write([]byte("x")) // the server may have closed it
				case <-deadline:
					t.Fatal("the body is still being read")
				}
			}
		})
	}
}

// TestBodyThatNobodyReadsIsCutOff: throwing away the rest of a refused body
// ends too.
func TestBodyThatNobodyReadsIsCutOff(t *testing.T) {
	addr, _ := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	c := dial(t, addr)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
}

// TestAnswerThatNobodyTakesIsCutOff: a client that asks and does not read.
func TestAnswerThatNobodyTakesIsCutOff(t *testing.T) {
	ended := make(chan error, 1)
	addr, _ := start(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 256 {
			if _, err := w.Write(chunk); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	})
	fmt.Fprintf(dial(t, addr), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("256 MiB went into a connection that nobody reads")
		}
	case <-time.After(10 * time.Second):
		t.Error("the answer is still being written")
	}
}

// TestWorkAfterTheBodyTakesItsTime: once a body is there, its pace is over and
// the handler's context lives on.
func TestWorkAfterTheBodyTakesItsTime(t *testing.T) {
	addr, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		select {
		case <-r.Context().Done():
			http.Error(w, context.Cause(r.Context()).Error(), http.StatusInternalServerError)
		case <-time.After(time.Second):
			fmt.Fprint(w, "done")
		}
	})
	resp, err := http.Post("http://"+addr, "text/plain", strings.NewReader(strings.Repeat("x", 1000)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := bufio.NewReader(resp.Body).ReadString(0); resp.StatusCode != http.StatusOK || body != "done" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// TestPanicIsAnswered and logged with where it was, and the answer shows
// nothing of it.
func TestPanicIsAnswered(t *testing.T) {
	addr, log := start(t, func(http.ResponseWriter, *http.Request) { panic("CANARY") })
	resp, err := http.Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusInternalServerError || strings.Contains(string(body), "CANARY") {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
	if !strings.Contains(string(body), resp.Header.Get("X-Request-Id")) {
		t.Error("the answer does not name the request")
	}
	if !strings.Contains(log.String(), "middleware_test.go") {
		t.Errorf("the log does not say where: %s", log)
	}
}
