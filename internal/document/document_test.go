package document_test

import (
	"bytes"
	"flag"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/document"
	htmldoc "holdfast/internal/document/html"
	"holdfast/internal/document/pdf"
	"holdfast/internal/document/text"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/part"
	"holdfast/internal/escrow/agreement/phrase"
)

var update = flag.Bool("update", false, "write the golden files anew")

func example(t *testing.T, name string) *agreement.Agreement {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "examples", "agreements", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, name, data)
}

func parse(t *testing.T, name string, data []byte) *agreement.Agreement {
	t.Helper()
	a, problems := agreement.Parse(name, data)
	if a == nil {
		t.Fatal(problems)
	}
	return a
}

func examples() []string { return []string{"municipalities", "bank", "licences"} }

// named is a document with the name of its golden file.
type named struct {
	name string
	doc  *document.Document
}

// all builds every document of an agreement: each part, a summary for each
// party and for everybody, and each customer's service level agreement.
func all(t *testing.T, name string, a *agreement.Agreement, l phrase.Lang) []named {
	t.Helper()
	var out []named
	add := func(what, id string, d *document.Document, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s %s %s: %v", name, what, id, err)
		}
		out = append(out, named{strings.ReplaceAll(name+"-"+what+"-"+id+"-"+string(l), "/", "-"), d})
	}
	again := func(id string) bool { // the same as for gem-a, with another name
		return strings.HasSuffix(id, "gem-b") || strings.HasSuffix(id, "gem-c") || strings.HasSuffix(id, "gem-d")
	}
	for _, id := range part.IDs(a) {
		if again(id) {
			continue
		}
		d, err := document.Part(a, id, l)
		add("part", id, d, err)
	}
	for _, p := range a.Parties {
		if again(p.ID) {
			continue
		}
		d, err := document.Summary(a, p.ID, l)
		add("summary", p.ID, d, err)
		if p.Role == agreement.Role(escrow.Beneficiary) && len(a.SLA) > 0 {
			d, err := document.SLA(a, p.ID, l)
			add("sla", p.ID, d, err)
		}
	}
	d, err := document.Summary(a, "", l)
	add("summary", "everybody", d, err)
	return out
}

// TestGolden keeps the words of representative documents of the three
// examples in both languages as a lawyer would read them.
func TestGolden(t *testing.T) {
	want := map[string]bool{
		"municipalities-part-mantel": true, "municipalities-part-host": true, "municipalities-part-toetreding-gem-a": true,
		"municipalities-part-sla-gem-a": true, "municipalities-part-dpa-gem-a": true, "municipalities-summary-gem-a": true,
		"municipalities-summary-leverancier": true, "municipalities-summary-notaris": true, "municipalities-summary-host": true,
		"bank-part-frame": true, "bank-part-us-365n": true, "bank-summary-bank": true, "bank-sla-bank": true,
		"licences-part-frame": true, "licences-part-accession-zorg": true, "licences-part-licence-zorg-sub": true, "licences-summary-acme": true,
	}
	seen := 0
	for _, name := range examples() {
		a := example(t, name)
		for _, l := range phrase.Langs() {
			for _, n := range all(t, name, a, l) {
				if !want[strings.TrimSuffix(n.name, "-"+string(l))] {
					continue
				}
				seen++
				golden(t, n.name+".txt", text.Render(n.doc, 90))
			}
		}
	}
	if seen != 2*len(want) {
		t.Errorf("%d golden documents were compared, want %d", seen, 2*len(want))
	}
	d, err := document.Part(example(t, "municipalities"), "sla/gem-a", phrase.NL)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "municipalities-part-sla-gem-a-nl.html", htmldoc.Render(d))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; run with -update when it is better):\n%s", name, diff)
	}
}

// bare takes all white space out.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// TestHTMLSaysTheSame: what a reader of the page sees is what the document
// says, in its order, and the page needs nothing from anywhere else.
func TestHTMLSaysTheSame(t *testing.T) {
	tags := regexp.MustCompile(`(?s)<head>.*</head>|<footer>.*</footer>|<[^>]*>`)
	for _, name := range examples() {
		a := example(t, name)
		for _, l := range phrase.Langs() {
			for _, n := range all(t, name, a, l) {
				page := string(htmldoc.Render(n.doc))
				got := bare(html.UnescapeString(tags.ReplaceAllString(page, "")))
				if want := bare(strings.Join(n.doc.Words(), "")); got != want {
					t.Fatalf("%s differs:\n%s", n.name, firstDifference(want, got))
				}
				for _, outside := range []string{"<script", "src=", "@import", "url(", "<link"} {
					if strings.Contains(page, outside) {
						t.Errorf("%s loads something: %s", n.name, outside)
					}
				}
			}
		}
	}
}

func firstDifference(want, got string) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	from := max(i-60, 0)
	return "want …" + want[from:min(i+120, len(want))] + "\n got …" + got[from:min(i+120, len(got))]
}

// TestPDFSaysTheSame extracts the text of the PDF with poppler and compares it
// with the document: nothing is lost, doubled or out of order. Page feet and
// repeated heads of tables are taken out first.
func TestPDFSaysTheSame(t *testing.T) {
	poppler(t)
	compared := 0
	for _, name := range examples() {
		a := example(t, name)
		for _, l := range phrase.Langs() {
			for _, n := range all(t, name, a, l) {
				if strings.Contains(n.name, "-summary-") && !shortListed(n.name) {
					continue // summaries are made of the same few blocks
				}
				file, err := pdf.Render(n.doc, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				extracted, err := extract(file)
				if err != nil {
					t.Fatalf("%s: %v", n.name, err)
				}
				samePDF(t, n, extracted)
				compared++
			}
		}
	}
	if compared < 30 {
		t.Errorf("only %d PDFs were compared", compared)
	}
}

func shortListed(name string) bool {
	for _, id := range []string{"-summary-gem-a-", "-summary-bank-", "-summary-acme-", "-summary-everybody-"} {
		if strings.Contains(name, id) {
			return true
		}
	}
	return false
}

func poppler(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("pdftotext"); err != nil {
		if os.Getenv("HOLDFAST_TEST_TOOLS_REQUIRED") == "1" {
			t.Fatal("pdftotext is not installed (Debian: poppler-utils)")
		}
		t.Skip("pdftotext is not installed (Debian: poppler-utils)")
	}
}

func extract(file []byte) (string, error) {
	cmd := exec.Command("pdftotext", "-raw", "-enc", "UTF-8", "-", "-")
	cmd.Stdin = bytes.NewReader(file)
	out, err := cmd.Output()
	return string(out), err
}

func samePDF(t *testing.T, n named, extracted string) {
	t.Helper()
	pages := strings.Split(strings.TrimSuffix(extracted, "\f"), "\f")
	var heads []string
	want := bare(n.doc.Title + n.doc.Subtitle)
	for _, m := range n.doc.Meta {
		want += bare(m.Label + m.Value)
	}
	for _, b := range n.doc.Blocks {
		if b.Kind == document.Bullet {
			want += "–"
		}
		want += bare(strings.Join(b.Words(), ""))
		if b.Table != nil {
			heads = append(heads, bare(strings.Join(b.Table.Head, "")))
		}
	}
	for i, page := range pages {
		got := bare(page)
		foot := bare(n.doc.Running + n.doc.Lang.F("pagina %d van %d", "page %d of %d", i+1, len(pages)) + "SHA-256" + n.doc.Digest)
		if !strings.HasSuffix(got, foot) {
			t.Fatalf("%s: page %d does not end with its foot %q: …%s", n.name, i+1, foot, got[max(len(got)-160, 0):])
		}
		got = strings.TrimSuffix(got, foot)
		if !strings.HasPrefix(want, got) {
			for _, h := range heads {
				if rest, repeated := strings.CutPrefix(got, h); repeated && strings.HasPrefix(want, rest) {
					got = rest
					break
				}
			}
		}
		if !strings.HasPrefix(want, got) {
			t.Fatalf("%s: page %d differs:\n%s", n.name, i+1, firstDifference(want, got))
		}
		want = strings.TrimPrefix(want, got)
	}
	if want != "" {
		t.Fatalf("%s: the PDF ends before %.100q", n.name, want)
	}
}

// TestSameBytes: the same agreement gives the same files.
func TestSameBytes(t *testing.T) {
	for range 2 {
		a := example(t, "municipalities")
		d, err := document.Part(a, "mantel", phrase.NL)
		if err != nil {
			t.Fatal(err)
		}
		one, err := pdf.Render(d, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		b := example(t, "municipalities")
		d2, err := document.Part(b, "mantel", phrase.NL)
		if err != nil {
			t.Fatal(err)
		}
		two, err := pdf.Render(d2, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Fatal("two PDFs of one agreement differ")
		}
		if bytes.Contains(one, []byte("/CreationDate")) || bytes.Contains(one, []byte("/ModDate")) {
			t.Error("a PDF without a date has one")
		}
		if !bytes.Equal(htmldoc.Render(d), htmldoc.Render(d2)) {
			t.Fatal("two pages of one agreement differ")
		}
	}
	dated, err := pdf.Render(&document.Document{Lang: phrase.EN, Title: "x"}, time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC))
	if err != nil || !bytes.Contains(dated, []byte("(D:20270131000000")) {
		t.Errorf("the date that was asked for is not in the PDF (%v)", err)
	}
}

// TestPDFMetadata: title, language and bookmarks are in the file, and every
// font is embedded.
func TestPDFMetadata(t *testing.T) {
	poppler(t)
	d, err := document.Part(example(t, "municipalities"), "mantel", phrase.NL)
	if err != nil {
		t.Fatal(err)
	}
	file, err := pdf.Render(d, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.pdf")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := exec.Command("pdfinfo", path).CombinedOutput()
	if err != nil || !strings.Contains(string(info), "Raamovereenkomst") || !strings.Contains(string(info), d.Digest) || !strings.Contains(string(info), "A4") {
		t.Errorf("pdfinfo: %v\n%s", err, info)
	}
	if !bytes.Contains(file, []byte("/Lang (nl)")) {
		t.Error("the language is not in the file")
	}
	headings := 1 // the title
	for _, b := range d.Blocks {
		if b.Kind == document.Heading {
			headings++
		}
	}
	if n := bytes.Count(file, []byte("/Title <")) + bytes.Count(file, []byte("/Title (")); n < headings {
		t.Errorf("%d bookmarks and titles for %d headings", n, headings)
	}
	fonts, err := exec.Command("pdffonts", path).CombinedOutput()
	if err != nil {
		t.Fatalf("pdffonts: %v\n%s", err, fonts)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(fonts)), "\n")[2:] {
		if f := strings.Fields(line); len(f) < 6 || f[len(f)-5] != "yes" {
			t.Errorf("not embedded: %s", line)
		}
	}
}
