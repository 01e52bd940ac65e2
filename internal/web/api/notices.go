package api

import (
	"context"
	"net/http"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Notices brings notices to people.
type Notices interface {
	// Told returns what a party was told, "" for everybody.
	Told(ctx context.Context, arrangement, audience string) ([]client.PartyNotice, error)
	Read(ctx context.Context, actor escrow.Actor, arrangement, notice string) error
	Posted(ctx context.Context, actor escrow.Actor, d escrow.Delivery) error
	Called(ctx context.Context, actor escrow.Actor, d escrow.Delivery) error
	LetterPDF(ctx context.Context, arrangement, notice, person string) ([]byte, string, error)
	Channels(ctx context.Context, arrangement, party string) ([]escrow.NoticeAddress, error)
	SetChannel(ctx context.Context, actor escrow.Actor, a escrow.NoticeAddress, secret []byte) error
	RemoveChannel(ctx context.Context, actor escrow.Actor, arrangement, party, person string, c escrow.Channel) error
}

// NoticePath is the path of everything about one notice.
type NoticePath struct {
	ArrangementPath
	Notice string `path:"notice" maxLength:"64"`
}

// audience is whose notices an actor reads: its own party's, and everybody's
// for who runs the arrangement or the machine.
func audience(actor escrow.Actor) string {
	if actor.Role == escrow.Agent || actor.Role == escrow.Administrator {
		return ""
	}
	return actor.Party
}

func (a *api) notices() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/notices", id: "list-notices",
		summary: "What the caller's party was told and what came of it, the newest first; the agent sees what everybody was told", action: escrow.ReadDeposits},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.PartyNotice], error) {
			list, err := a.Notices.Told(ctx, in.Arrangement, audience(actor))
			if err != nil {
				return nil, err
			}
			return answer(list), nil
		})
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/notices/{notice}/read", id: "read-notice",
		summary: "Say that the caller has read a notice to its party", action: escrow.ReadNotice, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *NoticePath) (*struct{}, error) {
			return nil, a.Notices.Read(ctx, actor, in.Arrangement, in.Notice)
		})
	type letterInput struct {
		NoticePath
		Person string `query:"person" maxLength:"128"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/notices/{notice}/letter", id: "notice-letter",
		summary: "The letter of a notice, to be printed and posted", action: escrow.RecordDelivery},
		func(ctx context.Context, _ escrow.Actor, in *letterInput) (*reply[client.NoticeLetter], error) {
			pdf, digest, err := a.Notices.LetterPDF(ctx, in.Arrangement, in.Notice, in.Person)
			if err != nil {
				return nil, err
			}
			return answer(client.NoticeLetter{PDF: pdf, Digest: digest}), nil
		})
	type postedInput struct {
		NoticePath
		Body client.NewLetter
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/notices/{notice}/letters", id: "letter-posted",
		summary: "Say that a letter was posted", action: escrow.RecordDelivery, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *postedInput) (*struct{}, error) {
			d := escrow.Delivery{Arrangement: in.Arrangement, Notice: in.Notice, Person: in.Body.Person, Channel: escrow.Letter, Reference: in.Body.Tracking, Proof: in.Body.Proof}
			if in.Body.Registered {
				d.Channel = escrow.RegisteredLetter
			}
			var err error
			if in.Body.PostedAt != "" {
				if d.SentAt, err = instant("posted_at", in.Body.PostedAt); err != nil {
					return nil, err
				}
			}
			return nil, a.Notices.Posted(ctx, actor, d)
		})
	type calledInput struct {
		NoticePath
		Body client.NewCall
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/notices/{notice}/calls", id: "notice-called",
		summary: "Say that somebody was called, and what came of it", action: escrow.RecordDelivery, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *calledInput) (*struct{}, error) {
			d := escrow.Delivery{Arrangement: in.Arrangement, Notice: in.Notice, Person: in.Body.Person, Address: in.Body.Number, Reference: in.Body.Outcome, Error: in.Body.Note}
			var err error
			if in.Body.CalledAt != "" {
				if d.SentAt, err = instant("called_at", in.Body.CalledAt); err != nil {
					return nil, err
				}
			}
			return nil, a.Notices.Called(ctx, actor, d)
		})
	a.channels()
}

func (a *api) channels() {
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/channels", id: "list-channels",
		summary: "Where the people of the caller's party are told; the agent sees everybody's", action: escrow.ReadNotice},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.NoticeChannel], error) {
			list, err := a.Notices.Channels(ctx, in.Arrangement, audience(actor))
			if err != nil {
				return nil, err
			}
			out := make([]client.NoticeChannel, len(list))
			for i, c := range list {
				out[i] = client.NoticeChannel{Party: c.Party, Person: c.Person, Channel: string(c.Channel), Address: c.Address, Language: c.Language, Second: c.Second,
					QuietFrom: c.QuietFrom, QuietTo: c.QuietTo, Zone: c.Zone, Agreed: c.SetBy == ""}
			}
			return answer(out), nil
		})
	type setInput struct {
		ArrangementPath
		Body client.NewNoticeChannel
	}
	route(a, op{method: http.MethodPut, path: "/arrangements/{arrangement}/channels", id: "set-channel",
		summary: "Set where a person of the caller's party is told; the agent may for any party", action: escrow.SetChannel, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *setInput) (*struct{}, error) {
			b := in.Body
			if b.Party == "" {
				b.Party = actor.Party
			}
			return nil, a.Notices.SetChannel(ctx, actor, escrow.NoticeAddress{Arrangement: in.Arrangement, Party: b.Party, Person: b.Person, Channel: escrow.Channel(b.Channel),
				Address: b.Address, Language: b.Language, Second: b.Second, QuietFrom: b.QuietFrom, QuietTo: b.QuietTo, Zone: b.Zone}, []byte(b.Secret))
		})
	type removeInput struct {
		ArrangementPath
		Party   string `path:"party" maxLength:"128"`
		Person  string `path:"person" maxLength:"128"`
		Channel string `path:"channel" maxLength:"32"`
	}
	route(a, op{method: http.MethodDelete, path: "/arrangements/{arrangement}/channels/{party}/{person}/{channel}", id: "remove-channel",
		summary: "Take an address back", action: escrow.SetChannel, status: http.StatusNoContent},
		func(ctx context.Context, actor escrow.Actor, in *removeInput) (*struct{}, error) {
			return nil, a.Notices.RemoveChannel(ctx, actor, in.Arrangement, in.Party, in.Person, escrow.Channel(in.Channel))
		})
}
