package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
)

// Error is a refusal of the server.
type Error struct {
	Status    int    `json:"status"`
	Code      string `json:"code"` // see docs/errors.md
	Detail    string `json:"detail"`
	Hint      string `json:"hint"`
	RequestID string `json:"request_id"`
}

func (e *Error) Error() string {
	s := e.Detail
	if s == "" {
		s = http.StatusText(e.Status)
	}
	if e.Code == "internal" && e.RequestID != "" {
		s += " (request " + e.RequestID + ")"
	}
	return s
}

// ErrUnreachable is wrapped when the server could not be asked at all.
var ErrUnreachable = errors.New("server does not answer")

// Options are what a [Client] is made of.
type Options struct {
	URL       string            // such as https://escrow.example
	Token     string            // bearer token
	Transport http.RoundTripper // nil: the default transport
}

// Client talks to one server as one actor. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New returns a client. Plain http is taken only for an address on this
// machine: a token must not cross a network in clear. Redirects are refused,
// so that the token goes to the named host and nowhere else.
func New(o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("server %q is not a URL like https://escrow.example", o.URL)
	}
	switch {
	case base.User != nil:
		return nil, errors.New("the server's URL holds user information; put the token into a file")
	case base.Scheme == "http" && !loopback(base.Hostname()):
		return nil, fmt.Errorf("%s would send the token in clear; use https", base.Redacted())
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("server %q is neither http nor https", o.URL)
	}
	if o.Transport == nil {
		o.Transport = patient()
	}
	return &Client{base: base, token: o.Token, http: &http.Client{
		Transport:     o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// A server may take its time to take in a large deposit, but not for ever, and
// what it sends has to keep coming.
const (
	answerWithin = 5 * time.Minute
	longestPause = 2 * time.Minute
)

func patient() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = answerWithin
	return t
}

// comingBody ends a body that stops coming.
type comingBody struct {
	io.ReadCloser
	pause   time.Duration
	timer   *time.Timer
	cancel  context.CancelFunc
	stalled atomic.Bool
}

func newComingBody(body io.ReadCloser, pause time.Duration, cancel context.CancelFunc) *comingBody {
	b := &comingBody{ReadCloser: body, pause: pause, cancel: cancel}
	b.timer = time.AfterFunc(pause, func() {
		b.stalled.Store(true)
		cancel()
	})
	return b
}

func (b *comingBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.pause)
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.stalled.Load() { // and not because the caller gave up
		err = fmt.Errorf("%w: it stopped sending", ErrUnreachable)
	}
	return n, err
}

func (b *comingBody) Close() error {
	b.timer.Stop()
	b.cancel()
	return b.ReadCloser.Close()
}

// printable keeps what a server says from steering the terminal it is shown on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' {
			return r
		}
		return ' '
	}, s)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// maxAnswer bounds a JSON answer.
const maxAnswer = 256 << 20

// path escapes ids into a path below /api/v1: a '/' within an id stays in it.
func path(elements ...string) string {
	var b strings.Builder
	b.WriteString("/api/v1")
	for _, e := range elements {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(e))
	}
	return b.String()
}

// call sends in as JSON, unless it is nil, and reads the answer into out,
// unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(data)
	}
	resp, err := c.send(ctx, method, path, body, -1, "application/json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
		return err
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("%s %s: the answer is not what this client expects: %w", method, path, err)
	}
	return nil
}

// send makes a request and turns every answer but success into an [Error].
func (c *Client) send(ctx context.Context, method, path string, body io.Reader, size int64, contentType string) (*http.Response, error) {
	header := http.Header{}
	if body != nil {
		header.Set("Content-Type", contentType)
	}
	return c.sendWith(ctx, method, path, body, size, header)
}

// sendWith is send with headers of the caller's choice.
func (c *Client) sendWith(ctx context.Context, method, path string, body io.Reader, size int64, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	keep := false
	defer func() {
		if !keep {
			cancel()
		}
	}()
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return nil, err
	}
	req.Header = header
	if size >= 0 {
		req.ContentLength = size
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w: %v", c.base.Redacted(), ErrUnreachable, errors.Unwrap(err))
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		keep = true
		resp.Body = newComingBody(resp.Body, longestPause, cancel)
		return resp, nil
	}
	defer resp.Body.Close()
	problem := &Error{Status: resp.StatusCode}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(problem); err != nil || problem.Status == 0 {
		problem = &Error{Status: resp.StatusCode, Detail: c.base.Redacted() + " answered " + resp.Status}
	}
	problem.Code, problem.Detail, problem.Hint = printable(problem.Code), printable(problem.Detail), printable(problem.Hint)
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		problem.Detail = c.base.Redacted() + " redirects elsewhere; redirects are refused, for the token goes to nobody else"
	}
	if problem.Code == "" { // not a Holdfast server's own words: a proxy's, or another program's
		problem.Code, problem.Hint = codeOf(resp.StatusCode), "check that a Holdfast server is at this address, and what stands before it"
	}
	return nil, problem
}

// codeOf is the nearest code for an answer that names none.
func codeOf(status int) string {
	switch {
	case status < 400:
		return "invalid"
	case status == http.StatusUnauthorized:
		return "unauthenticated"
	case status == http.StatusForbidden:
		return "forbidden"
	case status == http.StatusNotFound:
		return "not_found"
	case status == http.StatusConflict:
		return "conflict"
	case status == http.StatusTooManyRequests, status > http.StatusInternalServerError:
		return "unavailable"
	case status < http.StatusInternalServerError:
		return "invalid"
	}
	return "internal"
}

// Healthy reports whether the server answers.
func (c *Client) Healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	resp, err := c.send(ctx, http.MethodGet, "/healthz", nil, -1, "")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// RegisterAgreement registers the YAML text of an agreement.
func (c *Client) RegisterAgreement(ctx context.Context, source []byte) (a Arrangement, err error) {
	in := map[string]string{"agreement": string(source)}
	return a, c.call(ctx, http.MethodPost, path("arrangements"), in, &a)
}

// Arrangement returns the agreement in force.
func (c *Client) Arrangement(ctx context.Context, id string) (a Arrangement, err error) {
	return a, c.call(ctx, http.MethodGet, path("arrangements", id), nil, &a)
}

// Modules lists what is held.
func (c *Client) Modules(ctx context.Context, arrangement string) (list []Module, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules"), nil, &list)
}

// ConfigureModule sets where a module's material comes from.
func (c *Client) ConfigureModule(ctx context.Context, arrangement, module string, s ModuleSource) (m Module, err error) {
	return m, c.call(ctx, http.MethodPut, path("arrangements", arrangement, "modules", module, "source"), s, &m)
}

// SetCredential sets a source secret.
func (c *Client) SetCredential(ctx context.Context, arrangement, module string, cred Credential) error {
	return c.call(ctx, http.MethodPut, path("arrangements", arrangement, "modules", module, "credential"), cred, nil)
}

// AddContact pins a contact card.
func (c *Client) AddContact(ctx context.Context, arrangement string, document []byte) (out Contact, err error) {
	in := Contact{Document: strings.TrimSuffix(string(document), "\n")}
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "contacts"), in, &out)
}

// Contacts lists the pinned contact cards.
func (c *Client) Contacts(ctx context.Context, arrangement string) (list []Contact, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "contacts"), nil, &list)
}

// PublishEpoch publishes a ceremony.
func (c *Client) PublishEpoch(ctx context.Context, arrangement string, e NewEpoch) (out Epoch, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "epochs"), e, &out)
}

// Epochs lists the epochs of a compartment.
func (c *Client) Epochs(ctx context.Context, arrangement, compartment string) (list []Epoch, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "compartments", compartment, "epochs"), nil, &list)
}

// FetchPackage returns the caller's own sealed share.
func (c *Client) FetchPackage(ctx context.Context, arrangement, compartment string, epoch int) (p SharePackage, err error) {
	return p, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "compartments", compartment, "epochs", strconv.Itoa(epoch), "package"), nil, &p)
}

// AcceptShare hands in a signed acceptance.
func (c *Client) AcceptShare(ctx context.Context, arrangement string, s Signed) (e Epoch, err error) {
	return e, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "acceptances"), s, &e)
}

// DepositBase returns what the next deposit of a module builds on.
func (c *Client) DepositBase(ctx context.Context, arrangement, module string) (b DepositBase, err error) {
	return b, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "base"), nil, &b)
}

// HasObject reports whether the server holds an object of that size already.
func (c *Client) HasObject(ctx context.Context, arrangement, module, name string, size int64) (bool, error) {
	var out struct{ Size int64 }
	err := c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "objects", name, "size"), nil, &out)
	if e, ok := errors.AsType[*Error](err); ok && (e.Code == "missing" || e.Code == "not_found") {
		return false, nil
	}
	return err == nil && out.Size == size, err
}

// PutObject uploads a sealed object of the given size.
func (c *Client) PutObject(ctx context.Context, arrangement, module, name string, body io.Reader, size int64) error {
	resp, err := c.send(ctx, http.MethodPut, path("arrangements", arrangement, "modules", module, "objects", name), body, size, "application/octet-stream")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// MakeDeposit submits a deposit whose objects have been uploaded.
func (c *Client) MakeDeposit(ctx context.Context, arrangement, module string, d NewDeposit) (out Deposit, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "deposits"), d, &out)
}

// Deposits lists the acknowledged deposits of a module, oldest first.
func (c *Client) Deposits(ctx context.Context, arrangement, module string) ([]Deposit, error) {
	return c.DepositsBetween(ctx, arrangement, module, 1, math.MaxInt)
}

// DepositsBetween lists those from one number to another, both included. The
// server gives them page by page.
func (c *Client) DepositsBetween(ctx context.Context, arrangement, module string, from, to int) ([]Deposit, error) {
	list := []Deposit{}
	for after := from - 1; after < to; {
		var page []Deposit
		p := path("arrangements", arrangement, "modules", module, "deposits") + "?after=" + strconv.Itoa(after)
		if err := c.call(ctx, http.MethodGet, p, nil, &page); err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		for _, d := range page {
			if d.Number <= after { // it would never end
				return nil, fmt.Errorf("%s: deposit %d was listed after deposit %d", c.base.Redacted(), d.Number, after)
			}
			if after = d.Number; after <= to {
				list = append(list, d)
			}
		}
	}
	return list, nil
}

// Deposit returns one acknowledged deposit.
func (c *Client) Deposit(ctx context.Context, arrangement, module string, number int) (d Deposit, err error) {
	return d, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "deposits", strconv.Itoa(number)), nil, &d)
}

// Receipt returns the canonical receipt of a deposit.
func (c *Client) Receipt(ctx context.Context, arrangement, module string, number int) ([]byte, error) {
	var r Receipt
	err := c.call(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "deposits", strconv.Itoa(number), "receipt"), nil, &r)
	return []byte(r.Receipt), err
}

// AskForSync asks for a pull deposit now. The outcome is there when the
// module's last try is not before the time returned.
func (c *Client) AskForSync(ctx context.Context, arrangement, module string) (out SyncRequest, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "sync"), nil, &out)
}

// RequestSync is [Client.AskForSync] for those who do not wait for the outcome.
func (c *Client) RequestSync(ctx context.Context, arrangement, module string) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "modules", module, "sync"), nil, nil)
}

// State opens the depositor's own sealed sync state. The caller closes it.
func (c *Client) State(ctx context.Context, arrangement, module string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodGet, path("arrangements", arrangement, "modules", module, "state"), nil, -1, "")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Object opens a sealed object that was handed over. The caller closes it and
// compares the bytes with the name.
func (c *Client) Object(ctx context.Context, arrangement, name string) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodGet, path("arrangements", arrangement, "objects", name), nil, -1, "")
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// OpenCase says that a release event has happened.
func (c *Client) OpenCase(ctx context.Context, arrangement string, o OpenCase) (out Case, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "cases"), o, &out)
}

// Cases lists the cases of an arrangement.
func (c *Client) Cases(ctx context.Context, arrangement string) (list []Case, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "cases"), nil, &list)
}

// Case tells where a case stands.
func (c *Client) Case(ctx context.Context, arrangement, id string) (out Case, err error) {
	return out, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "cases", id), nil, &out)
}

// RecordNotice records that a party was told.
func (c *Client) RecordNotice(ctx context.Context, arrangement, id string, n Notice) (out Case, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "cases", id, "notices"), n, &out)
}

// RequestApprovals fixes the statement that trustees approve.
func (c *Client) RequestApprovals(ctx context.Context, arrangement, id string, r ApprovalRequest) (out Case, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "cases", id, "statement"), r, &out)
}

// MoveCase moves a case on.
func (c *Client) MoveCase(ctx context.Context, arrangement, id string, s CaseStep) (out Case, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "cases", id, "steps"), s, &out)
}

// Approve hands in a signed approval.
func (c *Client) Approve(ctx context.Context, arrangement, id string, s Signed) (out Case, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "cases", id, "approvals"), s, &out)
}

// HandOver returns what a recipient needs to open what was released.
func (c *Client) HandOver(ctx context.Context, arrangement, id string) (out HandOver, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "cases", id, "hand-over"), nil, &out)
}

// IssueToken issues a bearer token.
func (c *Client) IssueToken(ctx context.Context, arrangement string, t NewToken) (out IssuedToken, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "tokens"), t, &out)
}

// RevokeToken revokes a token by its id.
func (c *Client) RevokeToken(ctx context.Context, arrangement, id string) error {
	return c.call(ctx, http.MethodDelete, path("arrangements", arrangement, "tokens", id), nil, nil)
}

// ServerKeys returns the keys that the server says it signs with. Trust them
// only if they were compared over another channel or pinned before.
func (c *Client) ServerKeys(ctx context.Context) (out ServerKeys, err error) {
	return out, c.call(ctx, http.MethodGet, path("ledger", "key"), nil, &out)
}

// Consistency returns the current checkpoint with the proof that the tree of
// size from is a prefix of it.
func (c *Client) Consistency(ctx context.Context, from int64) (out Consistency, err error) {
	return out, c.call(ctx, http.MethodGet, path("ledger", "consistency")+"?from="+strconv.FormatInt(from, 10), nil, &out)
}

// consistencyBetween returns the proof between two sizes of the ledger.
func (c *Client) consistencyBetween(ctx context.Context, from, to int64) (out Consistency, err error) {
	return out, c.call(ctx, http.MethodGet, path("ledger", "consistency")+fmt.Sprintf("?from=%d&to=%d", from, to), nil, &out)
}

// LedgerEntries lists entries with an index of at least after.
func (c *Client) LedgerEntries(ctx context.Context, arrangement string, after int64, limit int) (list []LedgerEntry, err error) {
	p := path("arrangements", arrangement, "ledger") + fmt.Sprintf("?after=%d&limit=%d", after, limit)
	return list, c.call(ctx, http.MethodGet, p, nil, &list)
}

// EraseEntry erases the content of a ledger entry for good.
func (c *Client) EraseEntry(ctx context.Context, arrangement string, index int64, reason string) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "ledger", strconv.FormatInt(index, 10), "erase"), Erasure{Reason: reason}, nil)
}

// Cosign hands in the cosignatures of witnesses on a published checkpoint and
// returns how many it has now.
func (c *Client) Cosign(ctx context.Context, checkpoint []byte) (int, error) {
	var out Witnessed
	err := c.call(ctx, http.MethodPost, path("ledger", "cosignatures"), Cosignature{Checkpoint: string(checkpoint)}, &out)
	return out.Witnesses, err
}
