package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/client"
	"holdfast/internal/bulletin"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/phrase"
	"holdfast/internal/sla"
	"holdfast/internal/status"
	"holdfast/internal/store"
	seeing "holdfast/internal/watch"
)

var _ bulletin.Tx = (*store.Tx)(nil)

// Told implements bulletin.Terms.
func (terms) Told(source []byte) (bulletin.Application, error) {
	a, problems := agreement.Parse("agreement", source)
	if a == nil {
		return bulletin.Application{}, agreement.Refusal(problems)
	}
	zone, err := time.LoadLocation(a.TimeZone)
	if err != nil {
		return bulletin.Application{}, escrow.Wrap(err, escrow.Invalid, "time zone of the agreement")
	}
	app := bulletin.Application{Name: a.Application.Name, Lang: phrase.EN, Zone: zone}
	if slices.Contains(phrase.Langs(), phrase.Lang(a.Language)) {
		app.Lang = phrase.Lang(a.Language)
	}
	for _, c := range a.Application.Components {
		// A level for each customer may name places of its own; the public sees
		// the one that is everybody's.
		level := &agreement.SLA{}
		for i := range a.SLA {
			if l := &a.SLA[i]; l.Component == c.ID && l.ForEach == "" && l.Probe != nil {
				level = l
				break
			}
		}
		name := c.Name
		if name == "" {
			name = c.ID
		}
		app.Components = append(app.Components, bulletin.Component{ID: c.ID, Name: name, Measured: measuredBy(level.Probe),
			Together: func(list []sla.Location) (sla.Sight, error) { return sla.Together(level, list) }})
	}
	if len(app.Components) == 0 {
		app.Components = []bulletin.Component{{ID: "application", Name: a.Application.Name, Together: func(list []sla.Location) (sla.Sight, error) { return sla.Together(&agreement.SLA{}, list) }}}
	}
	return app, nil
}

// measuredBy says how the agreement has something measured. It is not the
// clause of the contract (package document), since that names parties, and
// customers need not learn of one another.
func measuredBy(p *agreement.Probe) map[phrase.Lang]string {
	if p == nil {
		return nil
	}
	out := map[phrase.Lang]string{}
	for _, l := range phrase.Langs() {
		said := []string{l.F("Er wordt %s gekeken", "It is looked at %s", l.Every(p.Every))}
		if n := len(p.From); n > 1 {
			said[0] += l.F(" vanaf %s plaatsen", " from %s places", l.Number(int64(n)))
			switch {
			case p.Agree > 0:
				said = append(said, l.F("het geldt als niet beschikbaar als dat op %s daarvan zo is", "it counts as not available when it is so at %s of them", l.Number(int64(p.Agree))))
			case p.Quorum == "any":
				said = append(said, l.Pick("het geldt als niet beschikbaar als dat op één daarvan zo is", "it counts as not available when it is so at one of them"))
			case p.Quorum == "all":
				said = append(said, l.Pick("het geldt als niet beschikbaar als dat op alle zo is", "it counts as not available when it is so at all of them"))
			default:
				said = append(said, l.Pick("het geldt als niet beschikbaar als dat op de meeste zo is", "it counts as not available when it is so at most of them"))
			}
		}
		if p.Timeout != "" {
			said = append(said, l.F("een antwoord dat langer dan %s uitblijft, telt als geen antwoord", "an answer that takes more than %s counts as none", l.Period(p.Timeout)))
		}
		switch p.Redirects {
		case "failed":
			said = append(said, l.Pick("een verwijzing naar een ander adres telt als storing", "an answer that points elsewhere counts as a failure"))
		default:
			said = append(said, l.Pick("verwijzingen naar een ander adres worden gevolgd", "answers that point elsewhere are followed"))
		}
		out[l] = phrase.Sentence(strings.Join(said, "; "))
	}
	return out
}

// sights tells the board what was measured of everybody's targets.
type sights struct{ watch *seeing.Watch }

// Seen implements bulletin.Watching.
func (s sights) Seen(ctx context.Context, arrangement string, from, to time.Time) (map[string][][]sla.Location, error) {
	list, err := s.watch.Standings(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	out := map[string][][]sla.Location{}
	for _, t := range list {
		if t.Party != "" || !t.RemovedAt.IsZero() {
			continue
		}
		h, err := s.watch.History(ctx, arrangement, t.ID, from, to)
		if err != nil {
			return nil, err
		}
		component := t.Component
		if component == "" {
			component = "application"
		}
		out[component] = append(out[component], h.Locations)
	}
	return out, nil
}

// publicPages serves status pages to everybody. Pages are made at most once
// in a while, however many ask: on the day that matters everybody does.
type publicPages struct {
	board *bulletin.Board
	pages *status.Pages
	now   func() time.Time
	fail  func(r *http.Request, err error)

	mu   sync.Mutex
	made map[string]*madePage
}

type madePage struct {
	mu    sync.Mutex
	at    time.Time
	files map[string]status.File
	err   error
}

const (
	pageFresh = 15 * time.Second
	maxPages  = 1000 // addresses that are remembered, also such as do not exist
)

func (s *Server) buildBoard() (bulletins, error) {
	pages, err := status.New()
	if err != nil {
		return bulletins{}, err
	}
	board := bulletin.New(bulletin.Options{DB: database[bulletin.Tx]{s.db}, Terms: terms{}, Watching: sights{s.watching.Watch}, Now: s.options.Now})
	return bulletins{board, &publicPages{board: board, pages: pages, now: s.options.Now, made: map[string]*madePage{},
		fail: func(r *http.Request, err error) {
			s.options.Log.ErrorContext(r.Context(), "status page", "path", r.URL.Path, "error", err)
		}}}, nil
}

func (p *publicPages) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /status/{page}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/status/"+r.PathValue("page")+"/", http.StatusMovedPermanently)
	})
	mux.HandleFunc("GET /status/{page}/{$}", func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, "index.html") })
	mux.HandleFunc("GET /status/{page}/{file}", func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, r.PathValue("file")) })
}

func (p *publicPages) serve(w http.ResponseWriter, r *http.Request, name string) {
	files, err := p.files(r.Context(), r.PathValue("page"))
	f, known := files[name]
	switch {
	case escrow.CodeOf(err) == escrow.NotFound, err == nil && !known:
		http.Error(w, "There is no such page. Deze pagina bestaat niet.", http.StatusNotFound)
		return
	case err != nil:
		p.fail(r, err)
		http.Error(w, "The page cannot be made at the moment. De pagina kan nu niet worden gemaakt.", http.StatusServiceUnavailable)
		return
	}
	sum := sha256.Sum256(f.Data)
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("Content-Security-Policy", p.pages.CSP())
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "public, max-age=15")
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	if strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".svg") || strings.HasSuffix(name, ".atom") {
		h.Set("Access-Control-Allow-Origin", "*") // it is public, and badges and data are for other pages
	}
	http.ServeContent(w, r, name, time.Time{}, strings.NewReader(string(f.Data)))
}

// files makes a page, or returns what was made a moment ago.
func (p *publicPages) files(ctx context.Context, slug string) (map[string]status.File, error) {
	p.mu.Lock()
	m := p.made[slug]
	if m == nil {
		if len(p.made) >= maxPages {
			clear(p.made) // strangers asked for many that do not exist
		}
		m = &madePage{}
		p.made[slug] = m
	}
	p.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := p.now()
	if !m.at.IsZero() && now.Sub(m.at).Abs() < pageFresh {
		return m.files, m.err
	}
	// One request makes it for all who wait, and does not take it back when its
	// own caller goes.
	page, err := p.board.Page(context.WithoutCancel(ctx), slug)
	var list []status.File
	if err == nil {
		list, err = p.pages.Files(page)
	}
	m.at, m.files, m.err = now, map[string]status.File{}, err
	for _, f := range list {
		m.files[f.Name] = f
	}
	return m.files, err
}

// forget lets what was said just now be seen at once.
func (p *publicPages) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.made)
}

// bulletins shows the board to the API.
type bulletins struct {
	*bulletin.Board
	public *publicPages
}

// Publish implements api.Bulletin.
func (b bulletins) Publish(ctx context.Context, actor escrow.Actor, arrangement string, n client.NewStatusPage) error {
	defer b.public.forget()
	_, err := b.Board.Publish(ctx, actor, escrow.StatusPage{Arrangement: arrangement, Slug: n.At, Publisher: n.Publisher, Contact: n.Contact})
	return err
}

// Withdraw implements api.Bulletin.
func (b bulletins) Withdraw(ctx context.Context, actor escrow.Actor, arrangement string) error {
	defer b.public.forget()
	return b.Board.Withdraw(ctx, actor, arrangement)
}

// Open implements api.Bulletin.
func (b bulletins) Open(ctx context.Context, actor escrow.Actor, arrangement string, n client.NewIncident) (client.Incident, error) {
	defer b.public.forget()
	word, err := wordOf(n.IncidentWord)
	if err != nil {
		return client.Incident{}, err
	}
	begun, err := optional("begun", n.Begun)
	if err != nil {
		return client.Incident{}, err
	}
	i, err := b.Board.Open(ctx, actor, escrow.Incident{Arrangement: arrangement, TitleNL: n.TitleNL, TitleEN: n.TitleEN, Components: n.Components, BegunAt: begun}, word)
	return shownIncident(i), err
}

// Tell implements api.Bulletin.
func (b bulletins) Tell(ctx context.Context, actor escrow.Actor, arrangement, id string, n client.IncidentWord) (client.Incident, error) {
	defer b.public.forget()
	word, err := wordOf(n)
	if err != nil {
		return client.Incident{}, err
	}
	i, err := b.Board.Tell(ctx, actor, arrangement, id, word)
	return shownIncident(i), err
}

func wordOf(n client.IncidentWord) (bulletin.Word, error) {
	w := bulletin.Word{Stage: status.Stage(n.Stage), NL: n.NL, EN: n.EN}
	var err error
	if w.NextBy, err = optional("next_by", n.NextBy); err != nil {
		return w, err
	}
	w.Ended, err = optional("ended", n.Ended)
	return w, err
}

func optional(name, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, escrow.Errorf(escrow.Invalid, "%s %.40q is not an RFC 3339 time such as 2026-11-25T10:30:00Z", name, s)
	}
	return t, nil
}

func shownIncident(i escrow.Incident) client.Incident {
	return client.Incident{ID: i.ID, Begun: i.BegunAt.UTC(), Ended: given(i.EndedAt), NextBy: given(i.NextBy)}
}
