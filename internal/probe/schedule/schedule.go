// Package schedule runs the checks of many targets at their times from one
// process: spread over the interval, on a grid that does not drift, none lost.
//
// It may import the standard library only. What a check is, is the caller's.
package schedule

import (
	"container/heap"
	"context"
	"hash/fnv"
	"sync"
	"time"
)

// Item is something to be done at regular times.
type Item struct {
	ID    string
	Every time.Duration
}

// Run does one item. due is when it was to begin. It is called in a goroutine
// of its own; ctx ends with the scheduler.
type Run func(ctx context.Context, id string, due time.Time)

// Options set up a [Scheduler].
type Options struct {
	Run Run
	// Busy bounds how many run at once; 0 means 4096. When so many run, the
	// next ones wait and begin late; none is left out.
	Busy int
	// Missed is told of times that passed while the process did not run, such
	// as over a machine's sleep; nil if nobody wants to know. Those checks
	// cannot be made up for: nobody looked.
	Missed func(id string, from, to time.Time, times int)
	Now    func() time.Time // nil: time.Now
}

// Scheduler keeps the items. It is safe for use by several goroutines.
type Scheduler struct {
	options Options

	mu    sync.Mutex
	items map[string]*entry
	queue queue
	wake  chan struct{}
}

type entry struct {
	Item
	due   time.Time
	index int // in the queue
}

// New makes a scheduler without items.
func New(o Options) *Scheduler {
	if o.Busy == 0 {
		o.Busy = 4096
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Scheduler{options: o, items: map[string]*entry{}, wake: make(chan struct{}, 1)}
}

// Set makes the items what is to be done. Those that were there with the same
// interval keep their times.
func (s *Scheduler) Set(items []Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	next := make(map[string]*entry, len(items))
	for _, i := range items {
		if i.Every <= 0 {
			continue
		}
		if e, ok := s.items[i.ID]; ok && e.Every == i.Every {
			next[i.ID] = e
			continue
		}
		next[i.ID] = &entry{Item: i, due: Next(i, now)}
	}
	s.items = next
	s.queue = s.queue[:0]
	for _, e := range next {
		e.index = len(s.queue)
		s.queue = append(s.queue, e)
	}
	heap.Init(&s.queue)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next returns the first time of an item after a moment. Its times are a grid
// that begins somewhere in the first interval since 1970, where the id decides
// where: they are the same in every process, and many items are spread evenly.
func Next(i Item, after time.Time) time.Time {
	h := fnv.New64a()
	h.Write([]byte(i.ID))
	// FNV alone leaves similar ids close together; this spreads them.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	every := i.Every.Nanoseconds()
	phase := int64(x % uint64(every))
	n := (after.UnixNano() - phase) / every
	at := n*every + phase
	for at <= after.UnixNano() {
		at += every
	}
	return time.Unix(0, at).UTC()
}

// Serve runs the items until ctx ends, and returns when all that run have
// ended.
func (s *Scheduler) Serve(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	busy := make(chan struct{}, s.options.Busy)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		for {
			id, due, wait := s.take()
			if id == "" {
				timer.Reset(wait)
				break
			}
			select {
			case busy <- struct{}{}:
			case <-ctx.Done():
				return
			}
			running.Go(func() {
				defer func() { <-busy }()
				s.options.Run(ctx, id, due)
			})
		}
	}
}

// take returns an item that is due and plans its next time, or how long none
// is.
func (s *Scheduler) take() (id string, due time.Time, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return "", time.Time{}, time.Hour
	}
	e := s.queue[0]
	now := s.options.Now()
	if wait := e.due.Sub(now); wait > 0 {
		// A clock may be put forward meanwhile: it is looked at again soon.
		return "", time.Time{}, min(wait, time.Second)
	}
	due = e.due
	e.due = due.Add(e.Every)
	if late := now.Sub(e.due); late >= 0 {
		// Whole intervals passed: this one is done now, those between are lost.
		n := int(late / e.Every)
		from := e.due
		e.due = e.due.Add(time.Duration(n+1) * e.Every)
		if s.options.Missed != nil {
			s.options.Missed(e.ID, from, e.due, n+1)
		}
	} else if e.due.Sub(now) > 2*e.Every { // the clock was put back
		e.due = Next(e.Item, now)
	}
	heap.Fix(&s.queue, 0)
	return e.ID, due, 0
}

type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}
func (q *queue) Push(x any) { *q = append(*q, x.(*entry)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
