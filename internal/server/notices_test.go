package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/emersion/go-smtp"
	"golang.org/x/mod/sumdb/note"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/egress"
	"holdfast/internal/notice"
	"holdfast/internal/notice/hook"
	"holdfast/internal/notice/letter"
	"holdfast/internal/notice/mail"
	"holdfast/internal/store"
	"holdfast/internal/web/confirm"
)

// noticesText has people: a first and a second contact at the customer, whose
// second has an address at the supplier's own domain.
const noticesText = `holdfast: agreement/v1
id: orchard
version: 1
language: nl
law: NL
time_zone: Europe/Amsterdam
calendar: nl
application: {name: Orchard, url: https://app.orchard.example, delivery: saas_shared, components: [{id: web, criticality: critical}]}
parties:
  - {id: supplier, role: supplier, name: Orchard Software B.V., register: {nl_kvk: "99098123"}, people: [{id: sam, name: Sam, email: sam@orchard.example}]}
  - {id: acme, role: beneficiary, name: Acme N.V., people: [{id: anna, name: Anna Jansen, email: anna@acme.example}, {id: bob, name: Bob, email: bob@acme.example, deputy_of: anna}]}
  - {id: zorg, role: beneficiary, name: Zorg B.V., people: [{id: zoe, name: Zoë, email: zoe@mail.orchard.example}]}
  - {id: agent, role: agent, name: Example Escrow B.V., people: [{id: eva, name: Eva, email: eva@escrow.example}]}
  - {id: foundation, role: foundation, name: Stichting Orchard}
  - {id: notary, role: trustee, name: Notary De Vries}
  - {id: accountant, role: trustee, name: Example Accountants B.V.}
  - {id: expert, role: trustee, name: Example Experts B.V.}
modules:
  - repository: {id: code, url: https://git.example/orchard.git, every: 24h, compartment: materials}
keys:
  - {compartment: materials, quorum: {of: 3, from: [agent, foundation, notary, accountant, expert], at_least: {independent: 1}}}
release:
  notices: {channels: [registered_letter, email, phone], presumed_receipt: 4bd, presumed_receipt_by: {email: 1bd}}
  stages: [{id: inform, reversible: true}, {id: materials, for_each: beneficiaries, opens: materials, to: self}]
  events:
    - {id: bankruptcy, when: 'insolvency("supplier").has("bankruptcy")', evidence: public_register, contest: 0d, stages: [inform, materials]}
  tests:
    - {event: bankruptcy, facts: {}, expect: unknown}
`

// letterbox is a real mail server that keeps what it takes, and refuses what a
// test tells it to.
type letterbox struct {
	mu     sync.Mutex
	mails  []mailed
	refuse map[string]*smtp.SMTPError // by recipient
}

type mailed struct {
	from, to string
	data     []byte
}

type letterSession struct {
	box *letterbox
	mailed
}

func (b *letterbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &letterSession{box: b}, nil }

func (s *letterSession) Reset()        { s.mailed = mailed{} }
func (s *letterSession) Logout() error { return nil }
func (s *letterSession) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *letterSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if refusal := s.box.refuse[to]; refusal != nil {
		return refusal
	}
	s.to = to
	return nil
}

func (s *letterSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.data = data
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mails = append(s.box.mails, s.mailed)
	return nil
}

func (b *letterbox) taken() []mailed {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mails)
}

// noticeRoom is an outbox over a database, a mail server and a clock that is
// set by hand.
type noticeRoom struct {
	db     *store.DB
	outbox *notice.Outbox
	box    *letterbox
	now    time.Time
	pages  http.Handler
}

// morning is a Monday at ten in Amsterdam.
func morning() time.Time { return time.Date(2027, 2, 1, 9, 0, 0, 0, time.UTC) }

func newNoticeRoom(t *testing.T, cas *x509.CertPool, allow ...string) *noticeRoom {
	t.Helper()
	r := &noticeRoom{now: morning(), box: &letterbox{refuse: map[string]*smtp.SMTPError{}}}
	key, _, err := note.GenerateKey(rand.Reader, "test.example/ledger")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return r.now }
	if r.db, err = store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "notices.db"), Signer: signer, Now: clock, Rand: rand.Reader}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	if problem := expandable(noticesText); problem != nil {
		t.Fatal(problem)
	}
	r.update(t, func(tx *store.Tx) error {
		return tx.PutArrangement(t.Context(), escrow.Arrangement{ID: "orchard", Version: 1, Digest: strings.Repeat("a", 64), Canonical: []byte("{}"), Source: []byte(noticesText), CreatedAt: r.now})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(r.box)
	server.Domain = "mx.example"
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	sender, err := mail.New(mail.Config{Server: l.Addr().String(), From: "Holdfast <notices@escrow.example>", TLS: mail.None, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := egress.ParseAllow(allow)
	if err != nil {
		t.Fatal(err)
	}
	guard := egress.New(egress.Options{Allow: allowed})
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	r.outbox = notice.New(notice.Options{DB: database[notice.Tx]{r.db}, Terms: terms{}, Secrets: noticeSecrets{identity}, Now: clock, URL: "https://escrow.example",
		Senders: map[escrow.Channel]notice.Sender{escrow.Email: sender, escrow.Webhook: hook.New(guard.Client(egress.ClientOptions{Timeout: 5 * time.Second, RootCAs: cas}), clock)},
		Token:   func(label string) string { return "token-" + strings.NewReplacer("/", "-").Replace(label) }})
	pages, err := confirm.New(links{r.outbox}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	pages.Register(mux)
	r.pages = mux
	return r
}

func (r *noticeRoom) update(t *testing.T, fn func(tx *store.Tx) error) {
	t.Helper()
	if _, err := r.db.Update(t.Context(), func(tx *store.Tx) ([]escrow.Act, error) {
		return []escrow.Act{{Kind: "test", Actor: "test"}}, fn(tx)
	}); err != nil {
		t.Fatal(err)
	}
}

// make puts a notice there, as an engine does.
func (r *noticeRoom) make(t *testing.T, id, audience, kind string) {
	t.Helper()
	r.update(t, func(tx *store.Tx) error {
		return tx.PutNotice(t.Context(), escrow.Notice{Arrangement: "orchard", ID: id, Audience: audience, Kind: kind, Module: "code",
			Subject: "Het deposito van code is gemist: " + id, DueAt: r.now.Add(48 * time.Hour), MadeAt: r.now})
	})
}

func (r *noticeRoom) tick(t *testing.T) {
	t.Helper()
	if err := r.outbox.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (r *noticeRoom) notice(t *testing.T, id string) notice.Told {
	t.Helper()
	list, err := r.outbox.List(t.Context(), "orchard", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		if n.Notice.ID == id {
			return n
		}
	}
	t.Fatalf("no notice %s", id)
	return notice.Told{}
}

// messages lists the messages of a notice, without the portal's own.
func (r *noticeRoom) messages(t *testing.T, id string) string {
	t.Helper()
	var out []string
	for _, d := range r.notice(t, id).Deliveries {
		if d.Channel != escrow.Portal {
			out = append(out, fmt.Sprintf("%s %s %s %s", d.Person, d.Channel, d.Reason, d.State))
		}
	}
	return strings.Join(out, ", ")
}

func wantText(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

func agentActor() escrow.Actor {
	return escrow.Actor{Party: "agent", Person: "eva", Role: escrow.Agent, Arrangement: "orchard"}
}

func acmeActor() escrow.Actor {
	return escrow.Actor{Party: "acme", Person: "anna", Role: escrow.Beneficiary, Arrangement: "orchard"}
}

// bodies returns a mail's text and HTML.
func bodies(t *testing.T, data []byte) (header netmail.Header, text, html string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", kind, err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, text, html
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			html = string(body)
		} else {
			text = string(body)
		}
	}
}

// TestNoticeIsSentOnce: one message per change of state, to the first contact,
// through a real mail server, with text, HTML and a link, and nothing more.
func TestNoticeIsSentOnce(t *testing.T) {
	r := newNoticeRoom(t, nil)
	r.make(t, "n1", "acme", "duty.told")
	for range 3 {
		r.tick(t)
	}
	list := r.box.taken()
	if len(list) != 1 || list[0].to != "anna@acme.example" || list[0].from != "notices@escrow.example" {
		t.Fatalf("mails: %+v", list)
	}
	header, text, html := bodies(t, list[0].data)
	decoded, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil || decoded != "Het deposito van code is gemist: n1" {
		t.Errorf("subject %q, %v", decoded, err)
	}
	for name, want := range map[string]string{"Message-Id": "@escrow.example>", "Auto-Submitted": "auto-generated", "Content-Language": "nl", "To": "anna@acme.example", "From": "notices@escrow.example", "Date": "01 Feb 2027"} {
		if !strings.Contains(header.Get(name), want) {
			t.Errorf("%s is %q, without %q", name, header.Get(name), want)
		}
	}
	for _, body := range []string{text, html} {
		for _, want := range []string{"Het deposito van code is gemist: n1", "03-02-2027 10:00 CET", "https://escrow.example/n/token-notice-orchard-n1-2", "Acme N.V."} {
			if !strings.Contains(body, want) {
				t.Errorf("a body is without %q:\n%s", want, body)
			}
		}
		for _, other := range []string{"Zorg", "zorg", "Stichting", "materials"} {
			if strings.Contains(body, other) {
				t.Errorf("a body says %q", other)
			}
		}
	}
	wantText(t, "messages", r.messages(t, "n1"), "anna email first sent")
	told := r.notice(t, "n1")
	if want := time.Date(2027, 2, 2, 9, 0, 0, 0, time.UTC); !told.Receipt.Counts || !told.Receipt.ReceivedAt.Equal(want) {
		t.Errorf("receipt %+v, want presumed one business day later", told.Receipt)
	}
}

// TestOwnDomainDoesNotCount: what went only to an address under the supplier's
// own domain is sent, and does not count.
func TestOwnDomainDoesNotCount(t *testing.T) {
	r := newNoticeRoom(t, nil)
	r.make(t, "n1", "zorg", "duty.told")
	r.tick(t)
	wantText(t, "messages", r.messages(t, "n1"), "zoe email first sent")
	if got := r.notice(t, "n1").Receipt; got.Counts || !got.ReceivedAt.IsZero() {
		t.Errorf("it counts: %+v", got)
	}
	if err := r.outbox.Posted(t.Context(), agentActor(), escrow.Delivery{Arrangement: "orchard", Notice: "n1", Channel: escrow.RegisteredLetter, Reference: "3SABC1", Proof: strings.Repeat("b", 64)}); err != nil {
		t.Fatal(err)
	}
	if got := r.notice(t, "n1").Receipt; !got.Counts || !got.ReceivedAt.Equal(time.Date(2027, 2, 5, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("after a registered letter: %+v", got)
	}
}

// TestRemindAndEscalate: unread for three days a reminder, for five the second
// contact; a reading ends both, by the link in the mail as well.
func TestRemindAndEscalate(t *testing.T) {
	r := newNoticeRoom(t, nil)
	r.make(t, "n1", "acme", "duty.told")
	r.make(t, "n2", "acme", "duty.decide_late") // about something else
	r.tick(t)
	if err := r.outbox.Read(t.Context(), acmeActor(), "orchard", "n2"); err != nil {
		t.Fatal(err)
	}
	for range 8 * 4 {
		r.now = r.now.Add(6 * time.Hour)
		r.tick(t)
	}
	wantText(t, "unread", r.messages(t, "n1"), "anna email first sent, anna email reminder sent, bob email second sent")
	wantText(t, "read", r.messages(t, "n2"), "anna email first sent")
	list := r.box.taken()
	_, text, _ := bodies(t, list[len(list)-1].data)
	if list[len(list)-1].to != "bob@acme.example" || !strings.Contains(text, "Ter attentie: ") || !strings.Contains(text, "de eerste contactpersoon van Acme N.V. niet is bereikt") {
		t.Errorf("to %s:\n%s", list[len(list)-1].to, text)
	}
	link := regexp.MustCompile(`/n/[A-Za-z0-9_-]+`).FindString(text)
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r.pages.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	// Machines follow links: looking changes nothing.
	if w := get(http.MethodGet, link); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Ik heb dit gelezen") {
		t.Fatalf("%s: %d\n%s", link, w.Code, w.Body)
	}
	if got := r.notice(t, "n1").Receipt.Read; !got.IsZero() {
		t.Error("looking at the page counts as reading")
	}
	if w := get(http.MethodPost, link); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Bevestigd als gelezen") {
		t.Fatalf("%d\n%s", w.Code, w.Body)
	}
	if got := r.notice(t, "n1"); got.Receipt.Read.IsZero() || got.Reads[0].Person != "bob" || got.Reads[0].Via != "link" {
		t.Errorf("read: %+v", got.Reads)
	}
	w := get(http.MethodGet, "/n/"+"token-notice-orchard-n1-1")
	if w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "Acme") {
		t.Errorf("the link of no message: %d", w.Code)
	}
	for _, h := range []string{"Content-Security-Policy", "Referrer-Policy", "Cache-Control"} {
		if w.Header().Get(h) == "" {
			t.Errorf("no %s", h)
		}
	}
}

// TestUndelivered: a refusal for good goes to the second contact at once, a
// refusal for now is tried again; without a second contact the agent hears.
func TestUndelivered(t *testing.T) {
	r := newNoticeRoom(t, nil)
	r.box.refuse["anna@acme.example"] = &smtp.SMTPError{Code: 550, Message: "no such user\r\nX-Evil: <script>"}
	r.box.refuse["zoe@mail.orchard.example"] = &smtp.SMTPError{Code: 451, Message: "later"}
	r.make(t, "n1", "acme", "duty.told")
	r.make(t, "n2", "zorg", "duty.told")
	r.tick(t)
	wantText(t, "given up", r.messages(t, "n1"), "anna email first failed")
	wantText(t, "tried again", r.messages(t, "n2"), "zoe email first waiting")
	for _, d := range append(r.notice(t, "n1").Deliveries, r.notice(t, "n2").Deliveries...) {
		if strings.Contains(d.Error, "Evil") || strings.Contains(d.Error, "such user") {
			t.Errorf("what the mail server said is kept: %q", d.Error)
		}
	}
	r.tick(t)
	wantText(t, "the second contact", r.messages(t, "n1"), "anna email first failed, bob email second sent")
	for range 6 {
		r.now = r.now.Add(13 * time.Hour)
		r.tick(t)
	}
	r.tick(t)
	r.tick(t)
	wantText(t, "after all tries", r.messages(t, "n2"), "zoe email first failed")
	if got := r.notice(t, "n2").Deliveries[1].Tries; got != 7 {
		t.Errorf("%d tries", got)
	}
	list := r.box.taken()
	if last := list[len(list)-1]; last.to != "eva@escrow.example" {
		t.Errorf("the last mail went to %s", last.to)
	}
	told, err := r.outbox.List(t.Context(), "orchard", "agent", 10)
	if err != nil || len(told) != 1 || told[0].Notice.Kind != "notice.unreached" {
		t.Errorf("the agent was told %+v, %v", told, err)
	}
}

// TestQuietHours: no mail in somebody's night, and of what came up about one
// thing meanwhile only the last.
func TestQuietHours(t *testing.T) {
	r := newNoticeRoom(t, nil)
	if err := r.outbox.SetChannel(t.Context(), acmeActor(), escrow.NoticeAddress{Arrangement: "orchard", Party: "acme", Person: "anna", Channel: escrow.Email, Address: "anna@elsewhere.example",
		Language: "en", QuietFrom: "22:00", QuietTo: "07:00"}, nil); err != nil {
		t.Fatal(err)
	}
	r.tick(t)
	before := len(r.box.taken())
	r.now = time.Date(2027, 3, 27, 22, 30, 0, 0, time.UTC) // 23:30 in Amsterdam, the night the clock goes forward
	r.make(t, "n1", "acme", "duty.reminder")
	r.tick(t)
	r.now = r.now.Add(time.Hour)
	r.make(t, "n2", "acme", "duty.second")
	r.tick(t)
	r.make(t, "n3", "acme", "case.noticed")
	r.tick(t)
	list := r.box.taken()[before:]
	if len(list) != 1 || !strings.Contains(string(list[0].data), "n3") {
		t.Fatalf("at night: %d mails, want the one of the case", len(list))
	}
	r.now = time.Date(2027, 3, 28, 4, 59, 0, 0, time.UTC) // 06:59, summer time
	r.tick(t)
	if n := len(r.box.taken()[before:]); n != 1 {
		t.Errorf("%d mails before seven", n)
	}
	r.now = r.now.Add(time.Minute)
	r.tick(t)
	list = r.box.taken()[before:]
	if len(list) != 2 || list[1].to != "anna@elsewhere.example" {
		t.Fatalf("in the morning: %d mails", len(list))
	}
	if _, text, _ := bodies(t, list[1].data); !strings.Contains(text, "confirm that you have read it") {
		t.Errorf("not in English:\n%s", text)
	}
	wantText(t, "the older", r.messages(t, "n1"), "anna email first folded")
	wantText(t, "the newer", r.messages(t, "n2"), "anna email first sent")
	wantText(t, "the formal one", r.messages(t, "n3"), "anna email first sent,  registered_letter first to_post")
}

// TestLettersAndCalls: what people do by hand is recorded with what proves it.
func TestLettersAndCalls(t *testing.T) {
	r := newNoticeRoom(t, nil)
	r.make(t, "n1", "acme", "case.noticed")
	r.tick(t)
	ctx := t.Context()
	wantText(t, "made", r.messages(t, "n1"), "anna email first sent,  registered_letter first to_post")
	sheet, err := r.outbox.Letter(ctx, "orchard", "n1", "")
	if err != nil {
		t.Fatal(err)
	}
	one, err := letter.PDF(sheet)
	if err != nil {
		t.Fatal(err)
	}
	two, err := letter.PDF(sheet)
	if err != nil || !bytes.Equal(one, two) || !bytes.HasPrefix(one, []byte("%PDF-")) {
		t.Errorf("the letter is not the same file twice: %v", err)
	}
	for name, c := range map[string]struct {
		d    escrow.Delivery
		call bool
	}{
		"without a tracking number": {d: escrow.Delivery{Channel: escrow.RegisteredLetter}},
		"a mail is not posted":      {d: escrow.Delivery{Channel: escrow.Email}},
		"tomorrow":                  {d: escrow.Delivery{Channel: escrow.Letter, SentAt: r.now.Add(24 * time.Hour)}},
		"before there was anything": {d: escrow.Delivery{Channel: escrow.Letter, SentAt: r.now.Add(-24 * time.Hour)}},
		"a proof that is no digest": {d: escrow.Delivery{Channel: escrow.Letter, Proof: "zz"}},
		"a line break":              {d: escrow.Delivery{Channel: escrow.Letter, Reference: "a\nb"}},
		"no number":                 {d: escrow.Delivery{Reference: "reached", Address: "ask anna"}, call: true},
		"no outcome":                {d: escrow.Delivery{Reference: "fine", Address: "+31 20 123 4567"}, call: true},
	} {
		c.d.Arrangement, c.d.Notice = "orchard", "n1"
		do := r.outbox.Posted
		if c.call {
			do = r.outbox.Called
		}
		if err := do(ctx, agentActor(), c.d); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	call := escrow.Delivery{Arrangement: "orchard", Notice: "n1", Person: "anna", Address: "+31 20 123 4567", Reference: "no_answer"}
	for _, outcome := range []string{"no_answer", "reached"} {
		call.Reference = outcome
		if err := r.outbox.Called(ctx, agentActor(), call); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.outbox.Posted(ctx, agentActor(), escrow.Delivery{Arrangement: "orchard", Notice: "n1", Channel: escrow.RegisteredLetter, Reference: "3SABC1", Proof: strings.Repeat("b", 64)}); err != nil {
		t.Fatal(err)
	}
	wantText(t, "done", r.messages(t, "n1"), "anna email first sent,  registered_letter first sent, anna phone first tried, anna phone first sent")
	// What was done is in the ledger, without the number.
	if dump := r.acts(t); !strings.Contains(dump, "notice.called") || !strings.Contains(dump, "3SABC1") || strings.Contains(dump, "123 4567") || strings.Contains(dump, "anna@") {
		t.Errorf("acts:\n%s", dump)
	}
}

// acts is every act, one a line.
func (r *noticeRoom) acts(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	entries, err := r.db.Ledger().Entries(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		a, err := e.Act()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %s %s\n", a.Kind, a.Subject, a.Data)
	}
	return out.String()
}

// TestWebhook: signed, with one key over all tries, and never into a private
// network.
func TestWebhook(t *testing.T) {
	secret := []byte("a secret of enough length")
	var keys []string
	fail := true
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		stamp, sum, _ := strings.Cut(strings.TrimPrefix(req.Header.Get(hook.HeaderSignature), "t="), ",v1=")
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(stamp + "."))
		mac.Write(body)
		if hex.EncodeToString(mac.Sum(nil)) != sum {
			t.Errorf("signature %q does not hold", req.Header.Get(hook.HeaderSignature))
		}
		var event map[string]any
		if err := json.Unmarshal(body, &event); err != nil || event["notice"] != "n1" || event["party"] != "acme" {
			t.Errorf("body %s: %v", body, err)
		}
		keys = append(keys, req.Header.Get(hook.HeaderKey))
		if fail {
			http.Redirect(w, req, "https://evil.example/", http.StatusTemporaryRedirect)
		}
	}))
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	set := func(r *noticeRoom) {
		if err := r.outbox.SetChannel(t.Context(), acmeActor(), escrow.NoticeAddress{Arrangement: "orchard", Party: "acme", Person: "machine", Channel: escrow.Webhook, Address: srv.URL + "/hook"}, secret); err != nil {
			t.Fatal(err)
		}
		r.update(t, func(tx *store.Tx) error { // the notice about the new address is not what this is about
			list, err := tx.UnplannedNotices(t.Context(), 10)
			for _, n := range list {
				err = errors.Join(err, tx.PutDelivery(t.Context(), escrow.Delivery{Arrangement: n.Arrangement, Notice: n.ID, Number: 1, Party: n.Audience, Channel: escrow.Portal, Reason: "first", State: escrow.DeliverySent}))
			}
			return err
		})
		r.make(t, "n1", "acme", "duty.told")
		r.tick(t)
	}
	r := newNoticeRoom(t, pool, "127.0.0.0/8")
	set(r)
	wantText(t, "a redirect is not followed", r.messages(t, "n1"), "machine webhook first waiting, anna email first sent")
	fail = false
	r.now = r.now.Add(time.Minute)
	r.tick(t)
	wantText(t, "taken", r.messages(t, "n1"), "machine webhook first sent, anna email first sent")
	if len(keys) != 2 || keys[0] != keys[1] || keys[0] == "" {
		t.Errorf("idempotency keys %q", keys)
	}
	inside := newNoticeRoom(t, pool) // nothing private is allowed
	set(inside)
	wantText(t, "a private network", inside.messages(t, "n1"), "machine webhook first failed, anna email first sent")
	if len(keys) != 2 {
		t.Error("the private network was reached")
	}
}

// TestHeaderInjection: nothing that could begin another header gets into a
// mail, whichever way it comes.
func TestHeaderInjection(t *testing.T) {
	r := newNoticeRoom(t, nil)
	for _, address := range []string{"a@b.example\r\nBcc: x@evil.example", "a@b.example\n", "Anna <a@b.example>", "a@b.example, c@d.example", "a b@c.example", "", "a@b\u2028c.example"} {
		if err := r.outbox.SetChannel(t.Context(), acmeActor(), escrow.NoticeAddress{Arrangement: "orchard", Party: "acme", Person: "anna", Channel: escrow.Email, Address: address}, nil); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"http://hook.example/", "https://user:pw@hook.example/", "file:///etc/passwd", "https://hook.example/\r\nX: y", "//hook.example"} {
		if err := r.outbox.SetChannel(t.Context(), acmeActor(), escrow.NoticeAddress{Arrangement: "orchard", Party: "acme", Person: "anna", Channel: escrow.Webhook, Address: address}, []byte(strings.Repeat("s", 20))); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%q: %v", address, err)
		}
	}
	sender, err := mail.New(mail.Config{Server: "127.0.0.1:1", From: "n@escrow.example", TLS: mail.None, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]notice.Message{
		"subject": {To: "a@b.example", ID: "1", Subject: "x\r\nBcc: y@evil.example"},
		"name":    {To: "a@b.example", ID: "1", Subject: "x", Name: "Anna\r\nBcc: y@evil.example"},
		"id":      {To: "a@b.example", ID: "1>\r\nBcc: y@evil.example", Subject: "x"},
		"to":      {To: "a@b.example>\r\nBcc: y@evil.example", ID: "1", Subject: "x"},
	} {
		if _, err := sender.Send(t.Context(), m); escrow.CodeOf(err) != escrow.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A subject that an engine made out of something hostile ends the message,
	// and no other.
	r.update(t, func(tx *store.Tx) error {
		return tx.PutNotice(t.Context(), escrow.Notice{Arrangement: "orchard", ID: "bad", Audience: "acme", Kind: "case.noticed", Subject: "x\r\nBcc: y@evil.example", MadeAt: r.now})
	})
	r.make(t, "n1", "acme", "case.noticed")
	if err := r.outbox.Tick(t.Context()); err == nil {
		t.Error("a subject with a line break went unseen")
	}
	if list := r.box.taken(); len(list) != 1 || strings.Contains(string(list[0].data), "evil") {
		t.Errorf("%d mails", len(list))
	}
}

// TestOthersNotices: nobody reads, or speaks for, another party.
func TestOthersNotices(t *testing.T) {
	r := newNoticeRoom(t, nil)
	r.make(t, "n1", "zorg", "duty.told")
	r.tick(t)
	if err := r.outbox.Read(t.Context(), acmeActor(), "orchard", "n1"); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("read another's: %v", err)
	}
	a := escrow.NoticeAddress{Arrangement: "orchard", Party: "zorg", Person: "zoe", Channel: escrow.Email, Address: "me@acme.example"}
	if err := r.outbox.SetChannel(t.Context(), acmeActor(), a, nil); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("set another's address: %v", err)
	}
	if err := r.outbox.RemoveChannel(t.Context(), acmeActor(), "orchard", "zorg", "zoe", escrow.Email); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("remove another's address: %v", err)
	}
	list, err := r.outbox.Channels(context.Background(), "orchard", "acme")
	if err != nil || len(list) != 2 {
		t.Errorf("own addresses: %+v, %v", list, err)
	}
	if told, err := r.outbox.List(t.Context(), "orchard", "acme", 10); err != nil || len(told) != 0 {
		t.Errorf("acme was told %+v, %v", told, err)
	}
}
