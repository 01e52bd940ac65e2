package status

import (
	"holdfast/internal/escrow/agreement/phrase"
)

// The files of a page. Links between them are relative, so that they work
// wherever they lie.
func pageFile(l, first phrase.Lang) string {
	if l == first {
		return "index.html"
	}
	return string(l) + ".html"
}

func feedFile(l phrase.Lang) string  { return "feed-" + string(l) + ".atom" }
func badgeFile(l phrase.Lang) string { return "badge-" + string(l) + ".svg" }

// DataFile is the name of the file with [Page.Data].
const DataFile = "status.json"

// File is one of the files of a page.
type File struct {
	Name string
	Type string // media type
	Data []byte
}

// Files are the page in both languages with its feeds, badges and data: all
// that a web server needs to serve it. The same page gives the same bytes.
func (h *Pages) Files(p *Page) ([]File, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	data, err := p.Data()
	if err != nil {
		return nil, err
	}
	out := []File{{DataFile, "application/json", data}}
	for _, l := range phrase.Langs() {
		page, err := h.HTML(p, l)
		if err != nil {
			return nil, err
		}
		feed, err := p.Feed(l)
		if err != nil {
			return nil, err
		}
		out = append(out, File{pageFile(l, p.Lang), "text/html; charset=utf-8", page},
			File{feedFile(l), "application/atom+xml; charset=utf-8", feed},
			File{badgeFile(l), "image/svg+xml", p.Badge(l)})
	}
	return out, nil
}
