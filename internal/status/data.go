package status

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement/phrase"
)

// MaxData is how many bytes [Parse] takes.
const MaxData = 8 << 20

type text = map[phrase.Lang]string

// wire is the data of a page: format [Format], see docs/status.md. Moments are
// RFC 3339 in UTC, lengths whole seconds, rounded up: downtime is never told
// smaller than it was.
type wire struct {
	Format    string         `json:"format"`
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Publisher string         `json:"publisher"`
	Contact   string         `json:"contact,omitempty"`
	Lang      phrase.Lang    `json:"lang"`
	Zone      string         `json:"zone"`
	At        moment         `json:"at"`
	Stale     seconds        `json:"stale_after_seconds,omitempty"`
	State     State          `json:"state"`
	Services  []wireService  `json:"services"`
	Incidents []wireIncident `json:"incidents"`
	Planned   []wireWork     `json:"planned"`
}

type wireService struct {
	ID       string       `json:"id"`
	Name     string       `json:"name"`
	State    State        `json:"state"`
	Since    moment       `json:"since,omitzero"`
	Measured text         `json:"measured,omitempty"`
	Figures  []wireFigure `json:"figures,omitempty"`
	Days     []wireDay    `json:"days"`
}

type wireFigure struct {
	Name  text   `json:"name"`
	Value string `json:"value"`
	Note  text   `json:"note,omitempty"`
}

type wireDay struct {
	Date    string  `json:"date"`
	Down    seconds `json:"down_seconds"`
	Unknown seconds `json:"unknown_seconds"`
	Planned seconds `json:"planned_seconds"`
}

type wireIncident struct {
	ID       string       `json:"id"`
	Title    text         `json:"title"`
	Services []string     `json:"services"`
	Begun    moment       `json:"begun"`
	Ended    moment       `json:"ended,omitzero"`
	NextBy   moment       `json:"next_update_by,omitzero"`
	Updates  []wireUpdate `json:"updates"`
}

type wireUpdate struct {
	At    moment `json:"at"`
	Stage Stage  `json:"stage"`
	Text  text   `json:"text"`
}

type wireWork struct {
	ID        string   `json:"id"`
	Title     text     `json:"title"`
	Services  []string `json:"services"`
	From      moment   `json:"from"`
	To        moment   `json:"to"`
	Announced moment   `json:"announced,omitzero"`
}

type moment time.Time

func (m moment) IsZero() bool { return time.Time(m).IsZero() }

func (m moment) MarshalText() ([]byte, error) {
	return time.Time(m).UTC().AppendFormat(nil, time.RFC3339), nil
}

func (m *moment) UnmarshalText(b []byte) error {
	t, err := time.Parse(time.RFC3339, string(b))
	*m = moment(t.UTC())
	return err
}

type seconds time.Duration

func (s seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d", (time.Duration(s)+time.Second-1)/time.Second), nil
}

func (s *seconds) UnmarshalJSON(b []byte) error {
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if n < 0 || n > 1<<31 {
		return fmt.Errorf("%d seconds cannot be", n)
	}
	*s = seconds(time.Duration(n) * time.Second)
	return nil
}

// Data is the page for machines. It says what the page shows and no more:
// incidents that are older than the history are left out.
func (p *Page) Data() ([]byte, error) {
	w := wire{Format: Format, ID: p.ID, Name: p.Name, Publisher: p.Publisher, Contact: p.Contact, Lang: p.Lang, Zone: p.Zone.String(),
		At: moment(p.At), Stale: seconds(p.Stale), State: p.Overall(), Services: []wireService{}, Incidents: []wireIncident{}, Planned: []wireWork{}}
	for _, s := range p.Services {
		d := wireService{ID: s.ID, Name: s.Name, State: s.State, Since: moment(s.Since), Measured: s.Measured, Days: []wireDay{}}
		for _, f := range s.Figures {
			d.Figures = append(d.Figures, wireFigure(f))
		}
		for _, x := range s.Days {
			d.Days = append(d.Days, wireDay{x.Date, seconds(x.Down), seconds(x.Unknown), seconds(x.Planned)})
		}
		w.Services = append(w.Services, d)
	}
	open, past := p.open()
	for _, i := range append(open, past...) {
		d := wireIncident{ID: i.ID, Title: i.Title, Services: some(i.Services), Begun: moment(i.Begun), Ended: moment(i.Ended), NextBy: moment(i.NextBy), Updates: []wireUpdate{}}
		for _, u := range i.Updates {
			d.Updates = append(d.Updates, wireUpdate{moment(u.At), u.Stage, u.Text})
		}
		w.Incidents = append(w.Incidents, d)
	}
	for _, x := range p.coming() {
		w.Planned = append(w.Planned, wireWork{x.ID, x.Title, some(x.Services), moment(x.From), moment(x.To), moment(x.Announced)})
	}
	b, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("data of %s: %w", p.ID, err)
	}
	return append(b, '\n'), nil
}

func some(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Parse reads the data of a page, strictly, so that it can be served elsewhere.
// Bytes that are something else give code Invalid and say where they are wrong.
func Parse(data []byte) (*Page, error) {
	if len(data) > MaxData {
		return nil, escrow.Errorf(escrow.Full, "the data of a status page is larger than %d bytes", MaxData)
	}
	var w wire
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&w); err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "the data of a status page, near byte %d", d.InputOffset())
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, escrow.Errorf(escrow.Invalid, "something follows the data of a status page at byte %d", d.InputOffset())
	}
	if w.Format != Format {
		return nil, escrow.Errorf(escrow.Invalid, "format: %.80q is not %s", w.Format, Format)
	}
	zone, err := time.LoadLocation(w.Zone)
	if err != nil || w.Zone == "" || w.Zone == "Local" {
		return nil, escrow.Errorf(escrow.Invalid, "zone: %.80q is no time zone", w.Zone)
	}
	p := &Page{ID: w.ID, Name: w.Name, Publisher: w.Publisher, Contact: w.Contact, Lang: w.Lang, Zone: zone, At: time.Time(w.At), Stale: time.Duration(w.Stale)}
	for _, s := range w.Services {
		x := Service{ID: s.ID, Name: s.Name, State: s.State, Since: time.Time(s.Since), Measured: s.Measured}
		for _, f := range s.Figures {
			x.Figures = append(x.Figures, Figure(f))
		}
		for _, y := range s.Days {
			x.Days = append(x.Days, Day{y.Date, time.Duration(y.Down), time.Duration(y.Unknown), time.Duration(y.Planned)})
		}
		p.Services = append(p.Services, x)
	}
	for _, i := range w.Incidents {
		x := Incident{ID: i.ID, Title: i.Title, Services: i.Services, Begun: time.Time(i.Begun), Ended: time.Time(i.Ended), NextBy: time.Time(i.NextBy)}
		for _, u := range i.Updates {
			x.Updates = append(x.Updates, Update{time.Time(u.At), u.Stage, u.Text})
		}
		p.Incidents = append(p.Incidents, x)
	}
	for _, x := range w.Planned {
		p.Planned = append(p.Planned, Work{x.ID, x.Title, x.Services, time.Time(x.From), time.Time(x.To), time.Time(x.Announced)})
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if p.Overall() != w.State {
		return nil, escrow.Errorf(escrow.Invalid, "state: it says %q, its services say %q", w.State, p.Overall())
	}
	return p, nil
}
