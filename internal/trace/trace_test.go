package trace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/trace"
)

func TestHandler(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(trace.Handler(trace.Handler(slog.NewJSONHandler(&out, nil)))).With("process", "a")
	ctx := trace.WithJob(trace.WithRequest(t.Context(), "R1"), 7)
	for _, tt := range []struct {
		ctx  context.Context
		want map[string]any
	}{
		{t.Context(), map[string]any{"process": "a"}},
		{trace.WithRequest(t.Context(), ""), map[string]any{"process": "a"}},
		{trace.WithRequest(t.Context(), "R1"), map[string]any{"process": "a", "request_id": "R1"}},
		{context.WithoutCancel(ctx), map[string]any{"process": "a", "request_id": "R1", "job_id": 7.0}},
	} {
		out.Reset()
		log.InfoContext(tt.ctx, "x")
		got := map[string]any{}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"time", "level", "msg"} {
			delete(got, name)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}
