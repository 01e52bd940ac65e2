// Package confirm serves the few pages that open with a link from a message
// and no account: a notice to be confirmed as read. They are plain, work
// without JavaScript, load nothing, and change nothing before somebody presses
// a button, since machines that look at mail follow links.
//
// It may import escrow; what it shows comes through the interface it declares.
package confirm

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

//go:embed page.html
var files embed.FS

// Notice is what a notice's page shows.
type Notice struct {
	Language string
	Party    string
	Title    string
	Subject  string
	Due      time.Time
	MadeAt   time.Time
	Zone     *time.Location
	Read     bool
}

// Notices opens the links of notices.
type Notices interface {
	// NoticeByLink changes nothing.
	NoticeByLink(ctx context.Context, token string) (Notice, error)
	ReadByLink(ctx context.Context, token string) (Notice, error)
}

// Pages serves the links.
type Pages struct {
	notices Notices
	log     *slog.Logger
	page    *template.Template
}

// New parses the pages.
func New(notices Notices, log *slog.Logger) (*Pages, error) {
	t, err := template.New("page.html").ParseFS(files, "page.html")
	if err != nil {
		return nil, err
	}
	return &Pages{notices: notices, log: log, page: t}, nil
}

// Register adds the routes. What follows /n/ is the secret part of a link: the
// log of requests shows none of it, see [Logged].
func (p *Pages) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /n/{token}", func(w http.ResponseWriter, r *http.Request) { p.notice(w, r, p.notices.NoticeByLink) })
	mux.HandleFunc("POST /n/{token}", func(w http.ResponseWriter, r *http.Request) { p.notice(w, r, p.notices.ReadByLink) })
}

// view is what the page is filled with.
type view struct {
	Lang, Heading, Title, Party string
	Paragraphs                  []string
	Rows                        []row
	Button                      string
	Done                        string
}

type row struct{ Label, Value string }

func (p *Pages) notice(w http.ResponseWriter, r *http.Request, open func(context.Context, string) (Notice, error)) {
	n, err := open(r.Context(), r.PathValue("token"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	made, due, button, done := "Made", "Due", "I have read this", "Confirmed as read. You can close this page."
	layout := "2 January 2006 15:04 MST"
	if n.Language == "nl" {
		made, due, button, done = "Opgesteld", "Termijn", "Ik heb dit gelezen", "Bevestigd als gelezen. U kunt deze pagina sluiten."
		layout = "02-01-2006 15:04 MST"
	}
	v := view{Lang: n.Language, Heading: n.Subject, Title: n.Title, Party: n.Party, Button: button}
	v.Rows = append(v.Rows, row{made, n.MadeAt.In(n.Zone).Format(layout)})
	if !n.Due.IsZero() {
		v.Rows = append(v.Rows, row{due, n.Due.In(n.Zone).Format(layout)})
	}
	if n.Read {
		v.Button, v.Done = "", done
	}
	p.show(w, r, http.StatusOK, v)
}

// refuse says that a link leads nowhere. It does not say whether it ever led
// anywhere.
func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, err error) {
	v := view{Lang: "nl", Heading: "Deze link werkt niet (meer)", Paragraphs: []string{
		"De link is verlopen, al gebruikt, vervangen door een nieuwer bericht, of niet volledig overgenomen.",
		"This link does not work (any more): it has expired, was used, was replaced by a newer message, or was not copied whole."}}
	status := http.StatusNotFound
	if code := escrow.CodeOf(err); code != escrow.NotFound && code != escrow.Conflict && code != escrow.Invalid {
		p.log.ErrorContext(r.Context(), "page of a link", "error", err)
		status = http.StatusInternalServerError
		v.Heading, v.Paragraphs = "Het lukt nu niet · Not now", []string{"Probeer het later nog eens. · Try again later."}
	}
	p.show(w, r, status, v)
}

func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, v view) {
	var out bytes.Buffer
	if err := p.page.Execute(&out, v); err != nil {
		p.log.ErrorContext(r.Context(), "page of a link", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// Logged is a request's path as a log may show it: without the secret part of
// a link.
func Logged(path string) string {
	for _, prefix := range []string{"/n/", "/u/"} {
		if strings.HasPrefix(path, prefix) {
			return prefix + "…"
		}
	}
	return path
}
