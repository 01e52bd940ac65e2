package sla_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/sla"
)

func seen(id string, list ...sla.Interval) sla.Location {
	return sla.Location{ID: id, Intervals: list}
}

func span(from, to sla.Instant) sla.Span { return sla.Span{From: from, To: to} }

func state(s sla.State, from, to sla.Instant) sla.Interval {
	return sla.Interval{Span: span(from, to), State: s}
}

func TestTogether(t *testing.T) {
	places := []sla.Location{
		seen("ams", state(sla.Up, 0, 10), state(sla.Down, 10, 20), state(sla.Up, 20, 30)),
		seen("fra", state(sla.Up, 0, 12), state(sla.Down, 12, 18), state(sla.Up, 18, 40)),
		seen("lon", state(sla.Up, 0, 25)),
	}
	for name, c := range map[string]struct {
		probe *agreement.Probe
		want  sla.Sight
	}{
		"a majority":            {nil, sla.Sight{Down: []sla.Span{span(12, 18)}, Known: []sla.Span{span(0, 30)}}},
		"any of them":           {&agreement.Probe{Quorum: "any"}, sla.Sight{Down: []sla.Span{span(10, 20)}, Known: []sla.Span{span(0, 25)}}},
		"only those that count": {&agreement.Probe{From: []string{"ams"}}, sla.Sight{Down: []sla.Span{span(10, 20)}, Known: []sla.Span{span(0, 30)}}},
		"places nobody set up":  {&agreement.Probe{From: []string{"rom", "par"}}, sla.Sight{}},
	} {
		got, err := sla.Together(&agreement.SLA{Probe: c.probe}, places)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := sla.Together(&agreement.SLA{}, []sla.Location{seen("a", state(sla.Up, 0, 9), state(sla.Down, 5, 7))}); err == nil {
		t.Error("one place saw both at once")
	}
}

func TestWorst(t *testing.T) {
	list := []sla.Sight{
		{Down: []sla.Span{span(10, 20)}, Known: []sla.Span{span(0, 30)}},
		{Down: []sla.Span{span(40, 50)}, Known: []sla.Span{span(5, 25), span(40, 60)}},
	}
	want := sla.Sight{Down: []sla.Span{span(10, 20), span(40, 50)}, Known: []sla.Span{span(5, 25), span(40, 50)}}
	if diff := cmp.Diff(want, sla.Worst(list)); diff != "" {
		t.Error(diff)
	}
	if got := sla.Worst(nil); got.Down != nil || got.Known != nil {
		t.Errorf("nothing: %v", got)
	}
}
