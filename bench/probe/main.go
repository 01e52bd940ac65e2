// Command probe measures what it costs to check many HTTP targets: the
// scheduler, the prober, the engine that keeps what was seen and its database,
// as a server runs them. bench/probe.sh runs it beside Prometheus and its
// blackbox exporter.
//
//	probe targets LISTEN                 the targets; /stats tells what was asked
//	probe watch URL N EVERY FOR DIR      checks N targets of URL for a time
//	probe usage PID…                     processor seconds and peak memory so far
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/egress"
	"holdfast/internal/probe"
	"holdfast/internal/probe/schedule"
	"holdfast/internal/sla"
	"holdfast/internal/store"
	"holdfast/internal/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 2 && args[0] == "targets":
		err = targets(ctx, args[1])
	case len(args) == 6 && args[0] == "watch":
		err = watched(ctx, args[1], args[2], args[3], args[4], args[5])
	case len(args) > 1 && args[0] == "usage":
		err = usage(args[1:])
	default:
		err = errors.New("usage: probe targets LISTEN | watch URL N EVERY FOR DIR | usage PID…")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// stats is what the targets saw.
type stats struct {
	Requests int `json:"requests"`
	Targets  int `json:"targets"`
	Fewest   int `json:"fewest"`
	Most     int `json:"most"`
}

func targets(ctx context.Context, listen string) error {
	var mu sync.Mutex
	asked := map[string]int{}
	mux := http.NewServeMux()
	mux.HandleFunc("/t/", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		fmt.Fprintln(w, "all is well")
	})
	mux.HandleFunc("/stats", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		s := stats{Targets: len(asked)}
		for _, n := range asked {
			if s.Requests == 0 || n < s.Fewest {
				s.Fewest = n
			}
			s.Requests, s.Most = s.Requests+n, max(s.Most, n)
		}
		if r.Method == http.MethodDelete {
			clear(asked)
		}
		json.NewEncoder(w).Encode(s)
	})
	srv := &http.Server{Addr: listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { <-ctx.Done(); srv.Close() }()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type plain struct{}

func (plain) Seal(b []byte) ([]byte, error)                           { return b, nil }
func (plain) Open(b []byte) ([]byte, error)                           { return b, nil }
func (plain) Watched([]byte, string, string) (watch.Measuring, error) { return watch.Measuring{}, nil }

type database struct{ db *store.DB }

func (d database) View(ctx context.Context, fn func(watch.Tx) error) error {
	return d.db.View(ctx, func(tx *store.Tx) error { return fn(tx) })
}

func (d database) Update(ctx context.Context, fn func(watch.Tx) ([]escrow.Act, error)) ([]evidence.Entry, error) {
	return d.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) { return fn(tx) })
}

// result is what was measured.
type result struct {
	Checks  int     `json:"checks"`
	Due     int     `json:"due"`
	Up      int     `json:"up"`
	Missed  int     `json:"missed"`
	P50     float64 `json:"late_p50_ms"`
	P99     float64 `json:"late_p99_ms"`
	Max     float64 `json:"late_max_ms"`
	Flush   float64 `json:"slowest_write_ms"`
	CPU     float64 `json:"cpu_seconds"`
	Seconds float64 `json:"seconds"`
	Peak    float64 `json:"peak_mib"`
	History string  `json:"seen_of_the_first"`
}

func watched(ctx context.Context, url, count, every, length, dir string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	interval, err := time.ParseDuration(every)
	if err != nil {
		return err
	}
	span, err := time.ParseDuration(length)
	if err != nil {
		return err
	}
	secret, _, err := note.GenerateKey(rand.Reader, "bench.example/log")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Config{Path: filepath.Join(dir, "watch.db"), Signer: signer, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		return err
	}
	defer db.Close()
	w := watch.New(watch.Options{DB: database{db}, Journal: db.Journal(time.Now, 0), Secrets: plain{}, Terms: plain{}, Now: time.Now})
	_, err = db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		for i := range n {
			t, err := probe.Target{Kind: probe.HTTP, URL: fmt.Sprintf("%s/t/%d", url, i), Every: probe.Duration(interval), Timeout: probe.Duration(min(10*time.Second, interval)), Expect: probe.Expect{Body: []probe.TextRule{{Contains: "well"}}}}.Checked()
			if err != nil {
				return nil, err
			}
			data, err := json.Marshal(t)
			if err != nil {
				return nil, err
			}
			if err := tx.PutWatchTarget(ctx, escrow.WatchTarget{Arrangement: fmt.Sprintf("a%d", i%100), ID: fmt.Sprintf("t%d", i), Kind: "http", Every: interval, Shown: data, Sealed: data, SetBy: "bench", SetAt: time.Now()}); err != nil {
				return nil, err
			}
		}
		return []escrow.Act{{Kind: "watch.target_set", At: time.Now(), Actor: "bench"}}, nil
	})
	if err != nil {
		return err
	}
	list, err := w.Load(ctx, "server")
	if err != nil {
		return err
	}
	allow, err := egress.ParseAllow([]string{"127.0.0.1"})
	if err != nil {
		return err
	}
	prober := probe.New(probe.Options{Network: egress.New(egress.Options{Allow: allow})})
	byID := map[string]watch.Target{}
	items := make([]schedule.Item, len(list))
	for i, t := range list {
		byID[t.ID] = t
		items[i] = schedule.Item{ID: t.ID, Every: t.Every}
	}
	var mu sync.Mutex
	var late []float64
	began, all := time.Now(), ctx
	counts := began.Add(span - 2*time.Second) // what is due in the last moment may not have begun at the end
	var r result
	s := schedule.New(schedule.Options{Run: func(_ context.Context, id string, due time.Time) {
		late1 := float64(time.Since(due).Microseconds()) / 1000
		t := byID[id]
		res := prober.Check(all, t.Probe) // to its end, although the scheduler ends
		err := w.Observe(t.Arrangement, t.ID, "server", res)
		mu.Lock()
		defer mu.Unlock()
		if !due.Before(counts) {
			return
		}
		late = append(late, late1)
		if err == nil && res.State == sla.Up {
			r.Up++
		} else if err != nil || len(late) < 100 {
			fmt.Fprintln(os.Stderr, id, res.Reason, res.Error, err)
		}
	}, Missed: func(_ string, _, _ time.Time, times int) { mu.Lock(); r.Missed += times; mu.Unlock() }})
	s.Set(items)
	cpu := cpuSeconds("self")
	for _, i := range items {
		for at := schedule.Next(i, began); at.Before(counts); at = at.Add(interval) {
			r.Due++
		}
	}
	run, cancel := context.WithDeadline(ctx, began.Add(span))
	defer cancel()
	var flushing sync.WaitGroup
	flushing.Go(func() {
		for run.Err() == nil {
			at := time.Now()
			if err := w.Flush(ctx); err != nil {
				fmt.Fprintln(os.Stderr, "flush:", err)
			}
			r.Flush = max(r.Flush, float64(time.Since(at).Milliseconds()))
			select {
			case <-run.Done():
			case <-time.After(5 * time.Second):
			}
		}
	})
	s.Serve(run)
	flushing.Wait()
	r.Seconds, r.CPU, r.Peak = time.Since(began).Seconds(), cpuSeconds("self")-cpu, peakMiB("self")
	if err := w.Flush(ctx); err != nil {
		return err
	}
	slices.Sort(late)
	r.Checks = len(late)
	if r.Checks > 0 {
		r.P50, r.P99, r.Max = late[len(late)/2], late[len(late)*99/100], late[len(late)-1]
	}
	h, err := w.History(ctx, "a0", "t0", began.Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		return err
	}
	r.History = fmt.Sprintf("%d checks, %d intervals", h.Checks, len(h.Locations[0].Intervals))
	return json.NewEncoder(os.Stdout).Encode(r)
}

func usage(pids []string) error {
	var cpu, peak float64
	for _, pid := range pids {
		cpu, peak = cpu+cpuSeconds(pid), peak+peakMiB(pid)
	}
	fmt.Printf("%.1f %.0f\n", cpu, peak)
	return nil
}

// cpuSeconds is the processor time of a process, user and system, as
// /proc/PID/stat has it in hundredths of a second.
func cpuSeconds(pid string) float64 {
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

// peakMiB is the most memory a process had.
func peakMiB(pid string) float64 {
	data, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}
