package document_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/internal/document"
	"holdfast/internal/document/html"
	"holdfast/internal/document/pdf"
	"holdfast/internal/document/text"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

func TestShow(t *testing.T) {
	for _, f := range []string{"municipalities", "bank", "licences", "demo"} {
		data, _ := os.ReadFile("../../examples/agreements/" + f + ".yaml")
		a, p := agreement.Parse(f, data)
		if a == nil {
			t.Fatal(p)
		}
		for _, id := range part.IDs(a) {
			for _, l := range phrase.Langs() {
				d, err := document.Part(a, id, l)
				if err != nil {
					t.Error(f, id, err)
					continue
				}
				n := "/tmp/a3/out/" + f + "-" + strings.ReplaceAll(id, "/", "-") + "-" + string(l)
				os.WriteFile(n+".html", html.Render(d), 0o644)
				os.WriteFile(n+".txt", text.Render(d, 100), 0o644)
				b, err := pdf.Render(d, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
				if err != nil {
					t.Fatal(err)
				}
				os.WriteFile(n+".pdf", b, 0o644)
			}
		}
	}
}
