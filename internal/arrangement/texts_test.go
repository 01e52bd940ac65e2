package arrangement

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/signing"
)

// What is kept is what reading again gives, whoever asks at the same time, for
// more texts than are kept, and nothing is kept of what was refused.
func TestTexts(t *testing.T) {
	source, err := os.ReadFile("../../examples/agreements/bank.yaml")
	if err != nil {
		t.Fatal(err)
	}
	title := []byte("\ntitle: ")
	if !bytes.Contains(source, title) {
		t.Fatal("the example has no title")
	}
	versions := make([][]byte, keptTexts+3)
	for i := range versions {
		versions[i] = bytes.Replace(source, title, fmt.Appendf(title, "%d ", i), 1)
	}
	kept := newTexts()
	var wg sync.WaitGroup
	for range 2 {
		for i, v := range versions {
			wg.Go(func() {
				a, parts, err := kept.parts("collateral-engine", versions[0], v)
				if err != nil {
					t.Error(err)
					return
				}
				fresh, problems := agreement.Parse("collateral-engine", v)
				first, _ := agreement.Parse("collateral-engine", versions[0])
				if fresh == nil || first == nil {
					t.Error(agreement.Refusal(problems))
					return
				}
				want, err := signing.Parts(first, fresh)
				if err != nil || a.Title != fresh.Title || len(parts) != len(want) {
					t.Errorf("text %d: %q with %d parts, want %q with %d (%v)", i, a.Title, len(parts), fresh.Title, len(want), err)
					return
				}
				for j := range want {
					if parts[j].ID != want[j].ID || parts[j].Digest != want[j].Digest || parts[j].Due != want[j].Due {
						t.Errorf("text %d: %+v, want %+v", i, parts[j], want[j])
					}
					parts[j].Due = !parts[j].Due // it is the caller's own
				}
			})
		}
		wg.Wait()
	}
	if len(kept.parsed) > keptTexts || len(kept.parted) > keptTexts {
		t.Errorf("%d texts and %d partings are kept", len(kept.parsed), len(kept.parted))
	}
	before := len(kept.parsed)
	if _, _, err := kept.parts("collateral-engine", nil, []byte("holdfast: agreement/v1")); escrow.CodeOf(err) != escrow.Invalid || len(kept.parsed) != before {
		t.Errorf("a broken text: %v, %d kept", err, len(kept.parsed))
	}
	// The same text is another thing as a first version than after another.
	_, alone, err := kept.parts("collateral-engine", nil, versions[0])
	_, after, aerr := kept.parts("collateral-engine", versions[0], versions[0])
	if err != nil || aerr != nil || !alone[0].Due || after[0].Due {
		t.Errorf("alone %+v, after itself %+v, %v %v", alone[0].Due, after[0].Due, err, aerr)
	}
}
