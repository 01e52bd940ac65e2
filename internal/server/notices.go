package server

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/net/publicsuffix"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/intake/egress"
	"holdfast/internal/job"
	"holdfast/internal/notice"
	"holdfast/internal/notice/hook"
	"holdfast/internal/notice/letter"
	"holdfast/internal/notice/mail"
	"holdfast/internal/store"
	"holdfast/internal/web/confirm"
)

var _ notice.Tx = (*store.Tx)(nil)

// buildOutbox connects the outbox with what it sends over.
func (s *Server) buildOutbox() error {
	allowed, err := egress.ParseAllow(s.config.EgressAllow)
	if err != nil {
		return err
	}
	guard := egress.New(egress.Options{Allow: allowed})
	senders := map[escrow.Channel]notice.Sender{
		escrow.Webhook: hook.New(guard.Client(egress.ClientOptions{Timeout: 10 * time.Second, RootCAs: s.options.WebhookCAs}), s.options.Now),
	}
	if m := s.config.Mail; m.On() {
		protection := mail.TLS(m.TLS)
		if protection == "" {
			protection = mail.StartTLS
		}
		if senders[escrow.Email], err = mail.New(mail.Config{Server: m.Server, From: m.From, User: m.User, Password: m.Password, TLS: protection, Now: s.options.Now}); err != nil {
			return err
		}
	}
	token, err := s.linkTokens()
	if err != nil {
		return err
	}
	s.outbox = notice.New(notice.Options{DB: database[notice.Tx]{s.db}, Terms: terms{}, Secrets: noticeSecrets{s.keys.Identity}, Now: s.options.Now,
		Senders: senders, URL: s.config.URL, Token: token})
	s.pages, err = confirm.New(links{s.outbox}, s.options.Log)
	return err
}

// linkTokens returns what makes the secret part of links. The key is derived
// from the server's identity, so that a link is the same at every try and in
// every process, and a copy of the database gives none away.
func (s *Server) linkTokens() (func(label string) string, error) {
	key, err := hkdf.Key(sha256.New, []byte(s.keys.Identity.String()), nil, "holdfast link tokens v1", 32)
	if err != nil {
		return nil, err
	}
	return func(label string) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(label))
		return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
	}, nil
}

// tasks are what the job queue looks after beside syncs.
func (s *Server) tasks() []job.Task {
	return []job.Task{
		{Name: "notices", Every: time.Duration(s.config.ScheduleEvery) / 2, Run: s.outbox.Tick},
		{Name: "terms", Every: 20 * time.Duration(s.config.ScheduleEvery), Run: func(ctx context.Context) error { return s.registry.RemindTerms(ctx) }},
	}
}

// noticeSecrets seals what webhooks are signed with to the server.
type noticeSecrets struct{ identity *age.HybridIdentity }

func (n noticeSecrets) Seal(secret []byte) ([]byte, error) {
	if len(secret) < 16 {
		return nil, escrow.Errorf(escrow.Invalid, "the secret of a webhook has at least 16 characters")
	}
	return secrets(n).Seal(secret)
}

func (n noticeSecrets) Open(sealed []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), n.identity)
	if err != nil {
		return nil, escrow.Errorf(escrow.WrongKey, "the secret of the webhook is not sealed to this server's key").WithHint("set the channel again")
	}
	return io.ReadAll(io.LimitReader(r, maxSecret))
}

// Reach implements notice.Terms.
func (terms) Reach(source []byte) (notice.Reach, error) {
	a, problems := agreement.Parse("agreement", source)
	if a == nil {
		return notice.Reach{}, agreement.Refusal(problems)
	}
	zone, err := time.LoadLocation(a.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	r := notice.Reach{Title: a.Application.Name, Language: string(a.Language), Zone: zone, Names: map[string]string{}, Roles: map[string]escrow.Role{}, People: map[string][]notice.Contact{}}
	domain := func(host string) {
		host = strings.ToLower(host)
		if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
			host = d
		}
		if host != "" && !slices.Contains(r.Domains, host) {
			r.Domains = append(r.Domains, host)
		}
	}
	for _, address := range []string{a.Application.URL, a.Application.VersionURL} {
		if u, err := url.Parse(address); err == nil {
			domain(u.Hostname())
		}
	}
	for _, p := range a.Parties {
		r.Names[p.ID], r.Roles[p.ID] = p.Name, escrow.Role(p.Role)
		for _, who := range p.People {
			r.People[p.ID] = append(r.People[p.ID], notice.Contact{Person: who.ID, Name: who.Name, Email: who.Email, Second: who.Deputy != ""})
			if _, host, ok := strings.Cut(who.Email, "@"); ok && (p.Role == agreement.Role(escrow.Supplier) || p.Role == agreement.Role(escrow.IPHolder)) {
				domain(host)
			}
		}
	}
	agreed := a.Release.Notices
	if agreed != nil {
		r.Channels = agreed.Channels
	}
	r.Presumed = func(c escrow.Channel, sent time.Time) time.Time {
		if agreed == nil || !slices.Contains(agreed.Channels, string(c)) {
			return time.Time{}
		}
		p, differs := agreed.ByChannel[string(c)]
		if !differs {
			p = agreed.Presumed
		}
		if p == "" {
			return time.Time{}
		}
		return a.Deadline(sent, p)
	}
	return r, nil
}

// outbox shows the outbox to the API.
type outbox struct{ *notice.Outbox }

// maxNotices bounds one answer.
const maxNotices = 500

// Told implements api.Notices.
func (o outbox) Told(ctx context.Context, arrangement, audience string) ([]client.PartyNotice, error) {
	list, err := o.List(ctx, arrangement, audience, maxNotices)
	if err != nil {
		return nil, err
	}
	out := make([]client.PartyNotice, len(list))
	for i, t := range list {
		n := t.Notice
		out[i] = client.PartyNotice{ID: n.ID, Audience: n.Audience, Kind: n.Kind, Module: n.Module, Subject: n.Subject, Due: given(n.DueAt), MadeAt: n.MadeAt.UTC(),
			ReadAt: given(t.Receipt.Read), ReceivedAt: given(t.Receipt.ReceivedAt), Counts: t.Receipt.Counts}
		for _, d := range t.Deliveries {
			out[i].Messages = append(out[i].Messages, client.NoticeMessage{Number: d.Number, Person: d.Person, Channel: string(d.Channel), Reason: d.Reason, State: string(d.State),
				Independent: d.Independent, Due: given(d.DueAt), SentAt: given(d.SentAt), PresumedAt: given(d.PresumedAt), Reference: d.Reference, Proof: d.Proof,
				Error: d.Error, Tries: d.Tries, By: d.By})
		}
	}
	return out, nil
}

// LetterPDF implements api.Notices.
func (o outbox) LetterPDF(ctx context.Context, arrangement, id, person string) ([]byte, string, error) {
	sheet, err := o.Letter(ctx, arrangement, id, person)
	if err != nil {
		return nil, "", err
	}
	pdf, err := letter.PDF(sheet)
	return pdf, evidence.Digest(pdf), err
}

// links shows the outbox to the pages that open by a link.
type links struct{ *notice.Outbox }

// NoticeByLink implements confirm.Notices.
func (l links) NoticeByLink(ctx context.Context, token string) (confirm.Notice, error) {
	return page(l.Outbox.ByLink(ctx, token))
}

// ReadByLink implements confirm.Notices.
func (l links) ReadByLink(ctx context.Context, token string) (confirm.Notice, error) {
	return page(l.Outbox.ReadByLink(ctx, token))
}

func page(n notice.Linked, err error) (confirm.Notice, error) {
	return confirm.Notice{Language: n.Language, Party: n.Party, Title: n.Title, Subject: n.Notice.Subject, Due: n.Notice.DueAt, MadeAt: n.Notice.MadeAt, Zone: n.Zone, Read: n.Read}, err
}
