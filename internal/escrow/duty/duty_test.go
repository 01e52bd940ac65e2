package duty_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"holdfast/internal/escrow/duty"
)

const hour = time.Hour

func start() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }

func in(d time.Duration) duty.Until { return func(t time.Time) time.Time { return t.Add(d) } }

// daily asks for a deposit a day, with 6 hours of grace, tells the
// beneficiaries after 2 misses, and gives 48 hours to make it good.
func daily() duty.Terms {
	return duty.Terms{Every: in(24 * hour), Grace: in(6 * hour), MissedAfter: 2, Cure: in(48 * hour), Level: 2, Decide: in(24 * hour)}
}

func at(hours ...int) []duty.Deposit {
	var out []duty.Deposit
	for i, h := range hours {
		out = append(out, duty.Deposit{Number: i + 1, At: start().Add(time.Duration(h) * hour), Settled: true})
	}
	return out
}

func TestLadder(t *testing.T) {
	for _, tt := range []struct {
		name     string
		terms    duty.Terms
		deposits []duty.Deposit
		gaps     []duty.Gap
		now      int // hours after the start
		step     duty.Step
		count    int
		last     int
	}{
		{"nothing yet, nothing due", daily(), nil, nil, 23, duty.OnTime, 0, 0},
		{"due", daily(), nil, nil, 24, duty.Reminder, 0, 0},
		{"within grace", daily(), nil, nil, 29, duty.Reminder, 0, 0},
		{"missed", daily(), nil, nil, 30, duty.Second, 1, 0},
		{"one before the second miss", daily(), nil, nil, 53, duty.Second, 1, 0},
		{"missed twice", daily(), nil, nil, 54, duty.Told, 2, 0},
		{"not made good", daily(), nil, nil, 102, duty.Event, 4, 0},
		{"one came", daily(), at(20), nil, 43, duty.OnTime, 0, 1},
		{"it counts from when it came", daily(), at(20), nil, 44, duty.Reminder, 0, 1},
		{"a late one ends it", daily(), at(20, 200), nil, 201, duty.OnTime, 0, 2},
		{"a refused one does not count", daily(), []duty.Deposit{{Number: 1, At: start().Add(20 * hour), Settled: true}, {Number: 2, At: start().Add(40 * hour), Refused: true, Settled: true}}, nil, 51, duty.Second, 1, 1},
		{"off for two days: nobody is late", daily(), at(20), []duty.Gap{{start().Add(21 * hour), start().Add(69 * hour)}}, 69, duty.OnTime, 0, 1},
		{"what was left runs after it", daily(), at(20), []duty.Gap{{start().Add(21 * hour), start().Add(69 * hour)}}, 92, duty.Reminder, 0, 1},
		{"off before it counts: nothing changes", daily(), at(20), []duty.Gap{{start(), start().Add(19 * hour)}}, 44, duty.Reminder, 0, 1},
		{"off during the grace", daily(), at(20), []duty.Gap{{start().Add(46 * hour), start().Add(56 * hour)}}, 59, duty.Reminder, 0, 1},
		{"off during the cure", daily(), nil, []duty.Gap{{start().Add(60 * hour), start().Add(70 * hour)}}, 111, duty.Told, 3, 0},
		{"and its end", daily(), nil, []duty.Gap{{start().Add(60 * hour), start().Add(70 * hour)}}, 112, duty.Event, 4, 0},
		{"no schedule", duty.Terms{Level: 2, Decide: in(hour)}, nil, nil, 9000, duty.OnTime, 0, 0},
		{"the clock was set back", daily(), at(200), nil, 10, duty.OnTime, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := duty.At(tt.terms, duty.Facts{Since: start(), Deposits: tt.deposits, Gaps: tt.gaps}, start().Add(time.Duration(tt.now)*hour))
			if s.Step != tt.step || s.Count != tt.count || s.Last != tt.last {
				t.Errorf("%s, %d missed, last %d; want %s, %d, %d (%+v)", s.Step, s.Count, s.Last, tt.step, tt.count, tt.last, s)
			}
		})
	}
}

// TestWhoChangedNothingOwesNothing: a source that is read on time and holds
// nothing new makes no deposit, and nobody is late for that.
func TestWhoChangedNothingOwesNothing(t *testing.T) {
	refused := append(at(20), duty.Deposit{Number: 2, At: start().Add(40 * hour), Refused: true, Settled: true})
	for _, tt := range []struct {
		name     string
		deposits []duty.Deposit
		looked   int
		now      int
		step     duty.Step
	}{
		{"looked at since", at(20), 90, 113, duty.OnTime},
		{"a day after the look", at(20), 90, 114, duty.Reminder},
		{"the look is older than the deposit", at(20), 10, 44, duty.Reminder},
		{"nothing is held: a look holds nothing", nil, 20, 30, duty.Second},
		{"what was refused is still owed", refused, 45, 51, duty.Second},
		{"a look from the future", at(20), 9000, 44, duty.Reminder},
	} {
		f := duty.Facts{Since: start(), Deposits: tt.deposits, Looked: start().Add(time.Duration(tt.looked) * hour)}
		if s := duty.At(daily(), f, start().Add(time.Duration(tt.now)*hour)); s.Step != tt.step {
			t.Errorf("%s: %s, want %s (%+v)", tt.name, s.Step, tt.step, s)
		}
	}
	// An announced release is owed, however often the source was read.
	f := duty.Facts{Since: start(), Deposits: at(15), Releases: []time.Time{start().Add(20 * hour)}, Looked: start().Add(60 * hour)}
	terms := duty.Terms{AfterRelease: in(72 * hour), Grace: in(hour), MissedAfter: 3, Cure: in(24 * hour)}
	if s := duty.At(terms, f, start().Add(61*hour)); !s.Due.Equal(start().Add(92 * hour)) {
		t.Errorf("a release after a look: %+v", s)
	}
}

func TestAfterRelease(t *testing.T) {
	terms := duty.Terms{AfterRelease: in(72 * hour), Grace: in(hour), MissedAfter: 3, Cure: in(24 * hour)}
	f := duty.Facts{Since: start()}
	if s := duty.At(terms, f, start().Add(9000*hour)); s.Step != duty.OnTime || !s.Due.IsZero() {
		t.Errorf("without a release: %+v", s)
	}
	f.Releases = []time.Time{start().Add(10 * hour), start().Add(20 * hour)}
	if s := duty.At(terms, f, start().Add(81*hour)); s.Step != duty.OnTime || !s.Due.Equal(start().Add(82*hour)) {
		t.Errorf("after the first release: %+v", s)
	}
	if s := duty.At(terms, f, start().Add(83*hour)); s.Step != duty.Told || s.Count != 1 {
		t.Errorf("missed: %+v", s)
	}
	f.Deposits = []duty.Deposit{{Number: 1, At: start().Add(15 * hour)}}
	if s := duty.At(terms, f, start().Add(50*hour)); !s.Due.Equal(start().Add(92 * hour)) {
		t.Errorf("the second release is still owed: %+v", s)
	}
}

func TestAgentsClock(t *testing.T) {
	f := duty.Facts{Since: start(), Deposits: []duty.Deposit{{Number: 1, At: start().Add(hour), Settled: true}, {Number: 2, At: start().Add(2 * hour)}, {Number: 3, At: start().Add(10 * hour)}}}
	s := duty.At(daily(), f, start().Add(25*hour))
	if s.Undecided != 3 || s.Late || !s.DecideBy.Equal(start().Add(26*hour)) || !s.HalfTime.Equal(start().Add(14*hour)) {
		t.Errorf("%+v", s)
	}
	if s := duty.At(daily(), f, start().Add(26*hour)); !s.Late {
		t.Error("it is not late")
	}
	f.Gaps = []duty.Gap{{start().Add(5 * hour), start().Add(8 * hour)}}
	if s := duty.At(daily(), f, start().Add(28*hour)); s.Late || !s.DecideBy.Equal(start().Add(29*hour)) {
		t.Errorf("the platform was off: %+v", s)
	}
	f.Deposits[2].Settled = true
	if s := duty.At(daily(), f, start().Add(999*hour)); s.Undecided != 0 || s.Late {
		t.Errorf("a word about a later one settles those before: %+v", s)
	}
	one := daily()
	one.Level = 1
	f.Deposits[2].Settled = false
	if s := duty.At(one, f, start().Add(999*hour)); s.Undecided != 0 {
		t.Errorf("nobody has to look: %+v", s)
	}
}

// TestOutagesNeverMakeLater tries at random: time off moves no step forward,
// and never by more than it lasted; time that passes never takes a step back.
func TestOutagesNeverMakeLater(t *testing.T) {
	rank := map[duty.Step]int{duty.OnTime: 0, duty.Reminder: 1, duty.Second: 2, duty.Told: 3, duty.Event: 4}
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 14))
		f := duty.Facts{Since: start()}
		hours := 0
		for i := range r.IntN(4) {
			hours += r.IntN(60)
			f.Deposits = append(f.Deposits, duty.Deposit{Number: i + 1, At: start().Add(time.Duration(hours) * hour), Refused: r.IntN(5) == 0})
		}
		off := time.Duration(0)
		with := f
		from := start()
		for range r.IntN(4) {
			from = from.Add(time.Duration(1+r.IntN(40)) * hour)
			to := from.Add(time.Duration(1+r.IntN(40)) * hour)
			with.Gaps = append(with.Gaps, duty.Gap{From: from, To: to})
			off += to.Sub(from)
			from = to
		}
		var before duty.State
		for h := range 300 {
			now := start().Add(time.Duration(h) * hour)
			s, plain := duty.At(daily(), with, now), duty.At(daily(), f, now)
			if rank[s.Step] > rank[plain.Step] || s.Count > plain.Count {
				t.Fatalf("seed %d, hour %d: an outage brings %s with %d missed instead of %s with %d", seed, h, s.Step, s.Count, plain.Step, plain.Count)
			}
			if later := duty.At(daily(), with, now.Add(off)); rank[later.Step] < rank[plain.Step] && off > 0 && s.Last == later.Last {
				t.Fatalf("seed %d, hour %d: %s of outage postpones %s by more than itself", seed, h, off, plain.Step)
			}
			if h > 0 && s.Last == before.Last && rank[s.Step] < rank[before.Step] {
				t.Fatalf("seed %d, hour %d: from %s back to %s", seed, h, before.Step, s.Step)
			}
			before = s
		}
	}
}
