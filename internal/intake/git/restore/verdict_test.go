package restore

import (
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	const id = "d6602ec5194c87b0fc87103ca4d67251c76f233a"
	for line, want := range map[string]string{
		"warning in tag " + id + ": missingTaggerEntry: invalid format - expected 'tagger' line": "finding",
		"error in tree " + id + ": hasDotgit: contains '.git'":                                   "finding",
		"error: refs/heads/x: not a commit":                                                      "finding",
		"error: HEAD points to something strange (refs/x)":                                       "finding",
		"notice: HEAD points to an unborn branch (main)":                                         "",
		"dangling commit " + id:                                                                  "",
		"missing blob " + id:                                                                     "missing",
		"broken link from    tree " + id:                                                         "",
		"              to    blob " + id:                                                         "",
		"error: " + id + ": object corrupt or missing: objects/d6/602e":                          "damaged",
		"error: refs/heads/x: invalid sha1 pointer " + id:                                        "damaged",
		"error: inflate: data stream error (incorrect data check)":                               "damaged",
		"error in tree " + id + ": broken links":                                                 "damaged",
		"error in something else":                                                                "damaged",
		"warning: ignoring broken ref refs/heads/x":                                              "damaged",
		"a line of a later git that nobody here knows":                                           "damaged",
	} {
		v := &verdict{report: &Report{}}
		v.line(line)
		got := strings.TrimSpace(strings.Repeat("finding ", v.report.FindingCount) + strings.Repeat("missing ", len(v.missing)) + strings.Repeat("damaged ", len(v.damaged)))
		if got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

// FuzzVerdict: a line counts once, and what is kept of it can be printed.
func FuzzVerdict(f *testing.F) {
	f.Add("warning in tag d6602ec5194c87b0fc87103ca4d67251c76f233a: missingTaggerEntry: x")
	f.Add("missing blob d6602ec5194c87b0fc87103ca4d67251c76f233a")
	f.Add("error in tree \x1b[31m: a: b")
	f.Fuzz(func(t *testing.T, line string) {
		v := &verdict{report: &Report{}}
		l := &lines{take: v.line}
		if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
		l.flush()
		texts := append(v.missing, v.damaged...)
		for _, f := range v.report.Findings {
			texts = append(texts, f.String())
		}
		if len(texts) > strings.Count(line, "\n")+1 {
			t.Fatalf("%d verdicts", len(texts))
		}
		for _, text := range texts {
			if strings.ContainsAny(text, "\n\r\x1b\u202e") || len(text) > 400 {
				t.Fatalf("kept %q", text)
			}
		}
	})
}
