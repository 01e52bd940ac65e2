package evidence_test

import (
	"strings"
	"testing"

	"holdfast/evidence"
)

func testPartStatement() evidence.PartStatement {
	offered := testTime()
	d := func(text string) string { return evidence.Digest([]byte(text)) }
	return evidence.PartStatement{Arrangement: "portal", Agreement: d("text"), Version: 2, Offered: &offered, Part: "accession/gem-a", Digest: d("part"),
		RestsOn: []evidence.NamedPart{{Part: "frame", Digest: d("frame")}}, States: evidence.PartSigned, Party: "gem-a", Person: "j-jansen", At: testTime()}
}

func TestPartStatementRefusals(t *testing.T) {
	tests := []struct {
		name   string
		change func(s *evidence.PartStatement)
		want   string
	}{
		{"no offer", func(s *evidence.PartStatement) { s.Offered = nil }, "which offer"},
		{"no digest", func(s *evidence.PartStatement) { s.Digest = "" }, "is not a digest"},
		{"version 0", func(s *evidence.PartStatement) { s.Version = 0 }, "version 0"},
		{"unknown word", func(s *evidence.PartStatement) { s.States = "refused" }, "none of signed"},
		{"attests nothing", func(s *evidence.PartStatement) {
			s.States, s.SignerParty, s.Signer = evidence.PartCopyAttests, "gem-a", "x"
		}, "names none"},
		{"calls nobody back", func(s *evidence.PartStatement) { s.States = evidence.PartCalledBack }, "names the signatory"},
		{"signs for another", func(s *evidence.PartStatement) { s.SignerParty, s.Signer = "gem-b", "x" }, "nothing else does"},
		{"review without verdict", func(s *evidence.PartStatement) { s.States, s.Offered = evidence.PartReviewed, nil }, "verdict"},
		{"signature with verdict", func(s *evidence.PartStatement) { s.Verdict = evidence.PartApproved }, "verdict"},
		{"unsorted", func(s *evidence.PartStatement) {
			s.RestsOn = append(s.RestsOn, evidence.NamedPart{Part: "a", Digest: s.Digest})
		}, "rests_on[1]"},
		{"two lines", func(s *evidence.PartStatement) { s.Note = "a\nb" }, "note"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testPartStatement()
			tt.change(&s)
			if _, err := s.Bytes(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want one that says %q", err, tt.want)
			}
		})
	}
}
