package restic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// Prefix is where the handler is mounted. What follows is the arrangement, the
// module (a '/' in its id is written %2F), and what the protocol asks for.
const Prefix = "/restic/"

// Handler speaks restic's REST protocol.
type Handler struct {
	Repositories *Repositories
	// Authorise knows whoever shows this user name and password, and returns
	// the module if they may write to it with restic.
	Authorise func(ctx context.Context, user, password, arrangement, module string) (escrow.Module, escrow.Actor, error)
	// Refused records an attempt to change what does not change.
	Refused func(ctx context.Context, by escrow.Actor, m escrow.Module, what string, err error) error
	Log     *slog.Logger
}

// maxUnread is how much of a refused body is read so that its sender sees why.
const maxUnread = 64 << 20

// mediaTypeV2 is the media type of listings with sizes.
const mediaTypeV2 = "application/vnd.x.restic.rest.v2"

// target is what a request is about.
type target struct {
	arrangement, module string
	kind                escrow.ResticKind // "" for the repository itself
	name                string            // "" for the directory
}

const locks escrow.ResticKind = "locks"

// parse reads the escaped path of a request.
func parse(escaped string) (target, bool) {
	rest, ok := strings.CutPrefix(escaped, Prefix)
	if !ok {
		return target{}, false
	}
	parts := strings.Split(rest, "/")
	for i, p := range parts {
		text, err := url.PathUnescape(p)
		if err != nil {
			return target{}, false
		}
		parts[i] = text
	}
	if len(parts) < 3 || !evidence.IsID(parts[0]) || !evidence.IsID(parts[1]) {
		return target{}, false
	}
	t := target{arrangement: parts[0], module: parts[1]}
	switch rest := parts[2:]; {
	case len(rest) == 1 && rest[0] == "":
		return t, true
	case len(rest) == 1 && rest[0] == configName:
		t.kind, t.name = escrow.ResticConfig, configName
		return t, true
	case len(rest) == 2:
		t.kind, t.name = escrow.ResticKind(rest[0]), rest[1]
		switch t.kind {
		case escrow.ResticKeys, escrow.ResticData, escrow.ResticIndex, escrow.ResticSnapshots, locks:
			return t, t.name == "" || evidence.IsDigest(t.name)
		}
	}
	return target{}, false
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, ok := parse(r.URL.EscapedPath())
	if !ok {
		h.refuse(w, r, escrow.Errorf(escrow.NotFound, "not a place of a restic repository").
			WithHint("the repository is rest:https://HOST%sARRANGEMENT/MODULE/", Prefix))
		return
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		h.refuse(w, r, escrow.Errorf(escrow.Unauthenticated, "no user name and password"))
		return
	}
	m, actor, err := h.Authorise(r.Context(), user, password, t.arrangement, t.module)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	if err := h.serve(w, r, m, actor, t); err != nil {
		// A sender that is still at it would see a broken connection instead
		// of the answer, and try again and again.
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxUnread))
		h.refuse(w, r, err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, m escrow.Module, actor escrow.Actor, t target) error {
	ctx := r.Context()
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case t.kind == "" && r.Method == http.MethodPost && r.URL.Query().Get("create") == "true":
		return h.Repositories.Ready(ctx, m)
	case t.kind == "":
	case t.name == "" && r.Method == http.MethodGet:
		return h.list(w, r, m, t)
	case t.name == "":
	case reading && t.kind == locks:
		return h.lock(w, r, m, t)
	case reading:
		f, err := h.Repositories.File(ctx, m, actor, t.kind, t.name)
		if err != nil {
			return err
		}
		defer f.Close()
		content(w, r, io.NewSectionReader(f, 0, f.Size()))
		return nil
	case r.Method == http.MethodPost && t.kind == locks:
		return h.Repositories.PutLock(ctx, m, t.name, r.Body)
	case r.Method == http.MethodPost:
		err := h.Repositories.Put(ctx, m, actor, t.kind, t.name, r.Body, r.ContentLength)
		if code := escrow.CodeOf(err); code == escrow.Forbidden || code == escrow.Invalid {
			err = h.refused(ctx, actor, m, "write "+string(t.kind)+"/"+t.name, err)
		}
		return err
	case r.Method == http.MethodDelete && t.kind == locks:
		return h.Repositories.DeleteLock(ctx, m, t.name)
	case r.Method == http.MethodDelete:
		return h.refused(ctx, actor, m, "delete "+string(t.kind)+"/"+t.name, escrow.Errorf(escrow.Forbidden, "nothing is deleted here but locks"))
	}
	return escrow.Errorf(escrow.Forbidden, "%s is not done here", r.Method)
}

// refused records a refusal and returns what to answer: what cannot be
// recorded is not answered as if it had been.
func (h *Handler) refused(ctx context.Context, actor escrow.Actor, m escrow.Module, what string, refusal error) error {
	if err := h.Refused(ctx, actor, m, what, refusal); err != nil {
		return err
	}
	return refusal
}

func content(w http.ResponseWriter, r *http.Request, c io.ReadSeeker) {
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, c)
}

func (h *Handler) lock(w http.ResponseWriter, r *http.Request, m escrow.Module, t target) error {
	list, err := h.Repositories.Locks(r.Context(), m)
	if err != nil {
		return err
	}
	for _, l := range list {
		if l.Name == t.name {
			content(w, r, bytes.NewReader(l.Content))
			return nil
		}
	}
	return escrow.Errorf(escrow.NotFound, "no lock %s", t.name)
}

type entry struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// list answers with names, and with sizes where the second version of the
// protocol is asked for. The answer is written when it is whole: one that
// breaks off must not look like a shorter list.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, m escrow.Module, t target) error {
	entries := []entry{}
	if t.kind == locks {
		held, err := h.Repositories.Locks(r.Context(), m)
		if err != nil {
			return err
		}
		for _, l := range held {
			entries = append(entries, entry{l.Name, int64(len(l.Content))})
		}
	} else if err := h.Repositories.List(r.Context(), m, t.kind, func(name string, size int64) error {
		entries = append(entries, entry{name, size})
		return nil
	}); err != nil {
		return err
	}
	var answer any = entries
	mediaType := mediaTypeV2
	if !strings.Contains(r.Header.Get("Accept"), mediaTypeV2) {
		names := make([]string, len(entries))
		for i, e := range entries {
			names[i] = e.Name
		}
		answer, mediaType = names, "application/vnd.x.restic.rest.v1"
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	_, _ = w.Write(data) // the caller went away
	return nil
}

// refuse answers with what went wrong. restic shows only the status.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, shown := http.StatusInternalServerError, "internal error; see the server's log"
	switch code := escrow.CodeOf(err); code {
	case escrow.Invalid:
		status = http.StatusBadRequest
	case escrow.Unauthenticated:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="holdfast"`)
	case escrow.Forbidden:
		status = http.StatusForbidden
	case escrow.Conflict:
		status = http.StatusConflict
	case escrow.NotFound, escrow.Missing:
		status = http.StatusNotFound
	case escrow.Full:
		status = http.StatusInsufficientStorage
	case escrow.Unavailable:
		status = http.StatusServiceUnavailable
	}
	if e, ok := asError(err); ok && status != http.StatusInternalServerError {
		shown = e.Message
		if e.Hint != "" {
			shown += "\n" + e.Hint
		}
	}
	if status >= 500 || escrow.CodeOf(err) == escrow.Missing {
		h.Log.ErrorContext(r.Context(), "restic", "path", r.URL.Path, "error", err)
	} else if status != http.StatusNotFound {
		h.Log.InfoContext(r.Context(), "restic refused", "path", r.URL.Path, "status", status, "error", err)
	}
	http.Error(w, shown, status)
}

func asError(err error) (*escrow.Error, bool) { return errors.AsType[*escrow.Error](err) }
