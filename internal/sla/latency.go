package sla

import (
	"math"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/store"

	"holdfast/internal/escrow/agreement/quantity"
)

// Verdict says what became of a promise whose figure has an error bound.
type Verdict string

// The verdicts. Within means that the promise lies inside the error of the
// figure: nobody can say.
const (
	Met         Verdict = "met"
	Missed      Verdict = "missed"
	WithinError Verdict = "within_error"
	NoData      Verdict = "no_data"
)

// Percentile is one promise about response times. Low and High bound the true
// percentile of what was measured.
type Percentile struct {
	Percent  int             `json:"percentile"`
	Promise  quantity.Period `json:"promise"`
	Estimate float64         `json:"estimate_ms"`
	Low      float64         `json:"low_ms"`
	High     float64         `json:"high_ms"`
	Verdict  Verdict         `json:"verdict"`
}

// Responses are the response times of a period.
type Responses struct {
	Period      Period       `json:"period"`
	Answers     int64        `json:"answers"`
	Accuracy    float64      `json:"relative_error"` // every percentile is within this share of the true one
	Percentiles []Percentile `json:"percentiles"`
	Series      []Point      `json:"series,omitempty"` // for the chart
	LeftOut     int          `json:"left_out,omitempty"`
}

// Point is the response times of one day.
type Point struct {
	Span
	P50, P95, P99 float64
	Answers       int64
}

// maxSketch bounds one sketch in bytes; those of an hour have a few hundred.
const maxSketch = 64 << 10

// ReadSketch decodes a sketch from bytes that anybody may have made. Its
// store is sparse, so that no index in it can ask for memory.
func ReadSketch(data []byte) (*ddsketch.DDSketch, error) {
	if len(data) == 0 || len(data) > maxSketch {
		return nil, invalid("a sketch of %d bytes; 1 to %d are possible", len(data), maxSketch)
	}
	s, err := decodeSketch(data)
	if err != nil {
		return nil, invalid("this is no sketch of response times: %v", err)
	}
	if n := s.GetCount(); math.IsNaN(n) || n < 0 || n > 1e15 || s.GetNegativeValueStore().TotalCount() != 0 {
		return nil, invalid("this sketch counts %g answers, or has negative ones", n)
	}
	if a := s.IndexMapping.RelativeAccuracy(); math.IsNaN(a) || a <= 0 || a > 0.1 {
		return nil, invalid("the relative error of this sketch is %g; at most 0.1 is of use", a)
	}
	return s, nil
}

// decodeSketch turns what the library panics with on damaged bytes into an
// error.
func decodeSketch(data []byte) (s *ddsketch.DDSketch, err error) {
	defer func() {
		if r := recover(); r != nil {
			s, err = nil, invalid("%v", r)
		}
	}()
	return ddsketch.DecodeDDSketch(data, store.SparseStoreConstructor, nil)
}

// WriteSketch encodes a sketch the way [ReadSketch] reads it.
func WriteSketch(s *ddsketch.DDSketch) []byte {
	var out []byte
	s.Encode(&out, false)
	return out
}

// NewSketch returns an empty sketch of response times in milliseconds whose
// percentiles are within 1 % of the true ones.
func NewSketch() (*ddsketch.DDSketch, error) {
	return ddsketch.LogCollapsingLowestDenseDDSketch(0.01, 2048)
}

// Responses computes the percentiles of a period from sketches. Sketches that
// lie wholly outside service hours or inside excluded time are left out; one
// that is partly so counts, since a sketch cannot be cut. It is nil when the
// policy promises no response times.
func (r *Record) Responses(period Period, f *Figure) (*Responses, error) {
	want := r.policy.Level.ResponseTime
	if want == nil {
		return nil, nil
	}
	out := &Responses{Period: period}
	open := r.policy.service.within(period.Span)
	var gone spans
	if f != nil {
		for _, x := range f.Rulings {
			gone = union(gone, x.Excluded)
		}
	}
	var sum *ddsketch.DDSketch
	days := map[Instant]*ddsketch.DDSketch{}
	var order []Span
	for _, l := range r.seen.Latency {
		if !period.Contains(l.From) {
			continue
		}
		if !open.overlaps(l.Span) || gone.covers(l.Span) {
			out.LeftOut++
			continue
		}
		s, err := ReadSketch(l.Sketch)
		if err != nil {
			return nil, invalid("latency at %s: %v", l.From, err)
		}
		if sum == nil {
			sum = s.Copy()
		} else if err := sum.MergeWith(s); err != nil {
			return nil, invalid("latency at %s: %v", l.From, err)
		}
		day := r.policy.day(l.From)
		if d := days[day.From]; d == nil {
			days[day.From] = s
			order = append(order, day)
		} else if err := d.MergeWith(s); err != nil {
			return nil, invalid("latency at %s: %v", l.From, err)
		}
	}
	for _, day := range order {
		s := days[day.From]
		if q, err := s.GetValuesAtQuantiles([]float64{0.50, 0.95, 0.99}); err == nil {
			out.Series = append(out.Series, Point{day, q[0], q[1], q[2], int64(s.GetCount())})
		}
	}
	if sum != nil {
		out.Answers, out.Accuracy = int64(sum.GetCount()), sum.IndexMapping.RelativeAccuracy()
	}
	for _, p := range []struct {
		n     int
		limit quantity.Period
	}{{50, want.P50}, {95, want.P95}, {99, want.P99}} {
		if p.limit == "" {
			continue
		}
		x := Percentile{Percent: p.n, Promise: p.limit, Verdict: NoData}
		limit, err := millis(p.limit, 0)
		if err != nil {
			return nil, invalid("response_time: %v", err)
		}
		if sum != nil && out.Answers > 0 {
			if x.Estimate, err = sum.GetValueAtQuantile(float64(p.n) / 100); err != nil {
				return nil, invalid("latency: %v", err)
			}
			x.Low, x.High = x.Estimate/(1+out.Accuracy), x.Estimate/(1-out.Accuracy)
			switch {
			case x.High <= float64(limit):
				x.Verdict = Met
			case x.Low > float64(limit):
				x.Verdict = Missed
			default:
				x.Verdict = WithinError
			}
		}
		out.Percentiles = append(out.Percentiles, x)
	}
	return out, nil
}

// day is the day of the contract's zone that a moment is in.
func (p *Policy) day(at Instant) Span {
	y, m, d := at.Time().In(p.zone).Date()
	from := startOfDay(y, m, d, p.zone)
	next := from.Time().In(p.zone).AddDate(0, 0, 1)
	return Span{from, startOfDay(next.Year(), next.Month(), next.Day(), p.zone)}
}
