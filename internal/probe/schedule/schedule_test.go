package schedule_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/internal/probe/schedule"
)

// TestNoneLostNoneDrifts runs thousands of targets through an hour of a clock
// of its own: every time of every grid is there once, at its time.
func TestNoneLostNoneDrifts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const targets, every, hours = 500, 30 * time.Second, 1
		var mu sync.Mutex
		ran := map[string][]time.Time{}
		s := schedule.New(schedule.Options{Run: func(ctx context.Context, id string, due time.Time) {
			if late := time.Since(due); late < 0 || late > time.Second {
				t.Errorf("%s ran %s after its time", id, late)
			}
			mu.Lock()
			ran[id] = append(ran[id], due)
			n := len(ran[id])
			mu.Unlock()
			time.Sleep(time.Duration(n%29) * time.Second) // however long they take
		}, Missed: func(id string, from, to time.Time, times int) { t.Errorf("%s missed %d", id, times) }})
		var items []schedule.Item
		for i := range targets {
			items = append(items, schedule.Item{ID: fmt.Sprintf("target-%d", i), Every: every})
		}
		s.Set(items)
		ctx, cancel := context.WithTimeout(t.Context(), hours*time.Hour)
		defer cancel()
		s.Serve(ctx)
		perSecond := map[int64]int{}
		for id, list := range ran {
			if len(list) != hours*120 {
				t.Errorf("%s ran %d times, want %d", id, len(list), hours*120)
			}
			for i := 1; i < len(list); i++ {
				if list[i].Sub(list[i-1]) != every {
					t.Errorf("%s: %s after %s", id, list[i], list[i-1])
				}
			}
			perSecond[list[0].UnixNano()/1e9%30]++
		}
		for second, n := range perSecond {
			if n > targets/30*3 {
				t.Errorf("second %d of 30 has %d of %d targets", second, n, targets)
			}
		}
	})
}

func TestSetKeepsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		ran := map[string]int{}
		s := schedule.New(schedule.Options{Run: func(_ context.Context, id string, _ time.Time) {
			mu.Lock()
			defer mu.Unlock()
			ran[id]++
		}})
		a, b := schedule.Item{ID: "a", Every: time.Minute}, schedule.Item{ID: "b", Every: time.Minute}
		s.Set([]schedule.Item{a})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		go func() {
			for range 100 { // a list that comes again all the time starves nobody
				time.Sleep(3 * time.Second)
				s.Set([]schedule.Item{a, b})
			}
			s.Set([]schedule.Item{b})
		}()
		s.Serve(ctx)
		if ran["a"] != 5 || ran["b"] < 9 || ran["b"] > 10 {
			t.Errorf("ran %v", ran)
		}
	})
}

// TestAsleep is a machine that slept: the time is told as missed, not made up.
func TestAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var skew time.Duration
		ran, missed := 0, 0
		s := schedule.New(schedule.Options{
			Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(skew) },
			Run: func(context.Context, string, time.Time) { mu.Lock(); ran++; mu.Unlock() },
			Missed: func(_ string, from, to time.Time, times int) {
				missed += times
				if to.Sub(from) != time.Duration(times)*time.Minute {
					t.Errorf("%d times from %s to %s", times, from, to)
				}
			}})
		s.Set([]schedule.Item{{ID: "a", Every: time.Minute}})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		go func() {
			time.Sleep(5*time.Minute + 10*time.Second)
			mu.Lock()
			skew = 2 * time.Hour
			mu.Unlock()
		}()
		s.Serve(ctx)
		if ran < 10 || ran > 11 || missed < 118 || missed > 120 {
			t.Errorf("ran %d, missed %d", ran, missed)
		}
	})
}
