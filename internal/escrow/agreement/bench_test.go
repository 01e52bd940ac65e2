package agreement_test

import (
	"testing"

	"holdfast/internal/escrow/agreement"
)

func BenchmarkParse(b *testing.B) {
	for _, file := range exampleFiles() {
		data := readExample(b, file)
		b.Run(file, func(b *testing.B) {
			for b.Loop() {
				if a, problems := agreement.Parse(file, data); a == nil {
					b.Fatal(problems)
				}
			}
		})
	}
}
