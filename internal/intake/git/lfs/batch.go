package lfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/lfs/pointer"
)

// batchSize is how many objects one request asks for, as many as git-lfs does.
const batchSize = 100

// maxAnswer bounds the answer to a batch request: 40 kB an object.
const maxAnswer = 4 << 20

const mediaType = "application/vnd.git-lfs+json"

type batchRequest struct {
	Operation string        `json:"operation"`
	Transfers []string      `json:"transfers"`
	Objects   []batchObject `json:"objects"`
	HashAlgo  string        `json:"hash_algo"`
}

type batchObject struct {
	OID  string `json:"oid"`
	Size int64  `json:"size"`
}

type batchAnswer struct {
	Transfer string        `json:"transfer"`
	HashAlgo string        `json:"hash_algo"`
	Objects  []batchResult `json:"objects"`
}

type batchResult struct {
	OID           string `json:"oid"`
	Authenticated bool   `json:"authenticated"`
	Actions       struct {
		Download *batchAction `json:"download"`
	} `json:"actions"`
	Error *struct {
		Code int `json:"code"`
	} `json:"error"`
}

type batchAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

// action is where one object can be had.
type action struct {
	url    *url.URL
	header http.Header
}

// decodeBatch reads the answer to a request for wanted. Each wanted object
// has an action or a reason why not; objects that were not asked for are
// passed over.
func decodeBatch(data []byte, e Endpoint, wanted []pointer.Pointer) (map[string]action, map[string]string, error) {
	var answer batchAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, nil, errors.New("its answer is not JSON of the batch API")
	}
	if answer.Transfer != "" && answer.Transfer != "basic" {
		return nil, nil, fmt.Errorf("it answers with transfer %.40q, not basic", answer.Transfer)
	}
	if answer.HashAlgo != "" && answer.HashAlgo != "sha256" {
		return nil, nil, fmt.Errorf("it answers with hash %.40q, not sha256", answer.HashAlgo)
	}
	actions, reasons := map[string]action{}, map[string]string{}
	for _, p := range wanted {
		reasons[p.OID] = "the LFS server says nothing about it"
	}
	for _, o := range answer.Objects {
		if _, asked := reasons[o.OID]; !asked {
			continue
		}
		a, reason := o.action(e)
		reasons[o.OID] = reason
		if reason == "" {
			actions[o.OID] = a
		} else {
			delete(actions, o.OID)
		}
	}
	for oid := range actions {
		delete(reasons, oid)
	}
	return actions, reasons, nil
}

// action returns where the object is, or why it cannot be had.
func (o *batchResult) action(e Endpoint) (action, string) {
	if o.Error != nil {
		return action{}, objectReason(o.Error.Code)
	}
	d := o.Actions.Download
	if d == nil {
		return action{}, "the LFS server offers no download"
	}
	u, err := url.Parse(d.Href)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return action{}, "the LFS server gives no usable address"
	}
	if e.URL.Scheme == "https" && u.Scheme != "https" {
		return action{}, "the LFS server gives an address without encryption"
	}
	header, err := headerOf(d.Header)
	if err != nil {
		return action{}, "the LFS server asks for an unusable header"
	}
	// What proves us to the source goes nowhere else; and to the source only
	// where its answer does not already hold what the download needs.
	if origin(u) == origin(e.URL) && !o.Authenticated && header.Get("Authorization") == "" {
		for name, values := range e.Header {
			header[name] = values
		}
	}
	return action{url: u, header: header}, ""
}

// objectReason puts the per-object codes of the batch API into words. The
// server's own message is left out: it goes into a public list.
func objectReason(code int) string {
	switch code {
	case http.StatusNotFound:
		return "the source does not have it (404)"
	case http.StatusGone:
		return "the source has removed it (410)"
	case http.StatusConflict, http.StatusUnprocessableEntity:
		return fmt.Sprintf("the source does not accept its id or size (%d)", code)
	}
	return fmt.Sprintf("the LFS server refuses it (%d)", code)
}

// refusal is a request that the other side answered, with something else than
// what was asked for.
type refusal struct {
	status int // 0 when there is none
	reason string
}

func (r *refusal) Error() string { return r.reason }

// temporary reports whether the same request may have another answer soon.
func temporary(err error) bool {
	switch escrow.CodeOf(err) {
	case escrow.Forbidden, escrow.Invalid, escrow.Unauthenticated:
		return false
	}
	r, ok := errors.AsType[*refusal](err)
	return !ok || r.status >= 500 || r.status == http.StatusTooManyRequests || r.status == http.StatusRequestTimeout
}

// batch asks for one group of objects.
func (f *fetcher) batch(ctx context.Context, e Endpoint, wanted []pointer.Pointer) (map[string]action, map[string]string, error) {
	ask := batchRequest{Operation: "download", Transfers: []string{"basic"}, HashAlgo: "sha256"}
	for _, p := range wanted {
		ask.Objects = append(ask.Objects, batchObject{OID: p.OID, Size: p.Size})
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, nil, fmt.Errorf("lfs: %w", err)
	}
	u := *e.URL
	u.Path = strings.TrimSuffix(u.Path, "/") + "/objects/batch"
	header := e.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Accept", mediaType)
	header.Set("Content-Type", mediaType+"; charset=utf-8")
	resp, err := f.do(ctx, http.MethodPost, &u, header, body)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	switch s := resp.StatusCode; s {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, nil, &refusal{s, fmt.Sprintf("the LFS server does not accept the source's credential (%d)", s)}
	case http.StatusNotFound:
		return nil, nil, &refusal{s, "the source has no LFS server, or hides it (404)"}
	default:
		return nil, nil, &refusal{s, fmt.Sprintf("the LFS server fails (%d)", s)}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, err
	}
	if len(data) > maxAnswer {
		return nil, nil, &refusal{0, "the LFS server's answer is too long"}
	}
	actions, reasons, err := decodeBatch(data, e, wanted)
	if err != nil {
		return nil, nil, &refusal{0, "the LFS server: " + err.Error()}
	}
	return actions, reasons, nil
}

const maxRedirects = 5

// do sends one request and follows redirects by itself, because the client
// would carry headers along: to another origin none of them goes. A POST
// follows only where it may be sent again as it is, and only on its origin.
func (f *fetcher) do(ctx context.Context, method string, to *url.URL, header http.Header, body []byte) (*http.Response, error) {
	first := to
	for range maxRedirects + 1 {
		var content io.Reader
		if body != nil {
			content = bytes.NewReader(body)
		}
		req, err := http.NewRequestWithContext(ctx, method, to.String(), content)
		if err != nil {
			return nil, &refusal{0, "the LFS server gives no usable address"}
		}
		for name, values := range header {
			req.Header[name] = values
		}
		req.Header.Set("Accept-Encoding", "identity")
		req.Header.Set("User-Agent", "holdfast")
		resp, err := f.client.Do(req)
		if err != nil {
			if e, ok := errors.AsType[*url.Error](err); ok {
				err = e.Err // the URL may hold a signature
			}
			return nil, err
		}
		location := resp.Header.Get("Location")
		redirected := resp.StatusCode >= 300 && resp.StatusCode < 400 && location != ""
		if !redirected {
			return resp, nil
		}
		resp.Body.Close()
		next, err := to.Parse(location)
		if err != nil || next.Scheme != "http" && next.Scheme != "https" || next.User != nil || first.Scheme == "https" && next.Scheme != "https" {
			return nil, &refusal{resp.StatusCode, "the LFS server redirects to an unusable address"}
		}
		again := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
		switch same := origin(next) == origin(to); {
		case method == http.MethodPost && !(same && again):
			return nil, &refusal{resp.StatusCode, "the LFS server redirects the request elsewhere"}
		case !same:
			header = nil
		}
		to = next
	}
	return nil, &refusal{0, fmt.Sprintf("the LFS server redirects more than %d times", maxRedirects)}
}
