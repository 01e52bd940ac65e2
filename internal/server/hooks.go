package server

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/webhook"
	"holdfast/internal/store"
)

// hooks takes the forges' notices that a repository has changed. Whoever
// speaks is proved by the module's webhook secret; the answer tells a stranger
// nothing, not even whether the module exists.
type hooks struct {
	syncs *syncs
	db    *store.DB
	now   func() time.Time
	log   *slog.Logger
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	arrangement, module := r.PathValue("arrangement"), r.PathValue("module")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, webhook.MaxBody))
	if err != nil {
		http.Error(w, "the notice is too long or broke off", http.StatusBadRequest)
		return
	}
	switch authentic, err := h.take(r, arrangement, module, body); {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
	case authentic && escrow.CodeOf(err) == escrow.Invalid:
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	case authentic || isOurs(err):
		h.log.ErrorContext(ctx, "webhook", "arrangement", arrangement, "module", module, "error", err)
		http.Error(w, "not taken; send it again later", http.StatusServiceUnavailable)
	default:
		h.log.InfoContext(ctx, "webhook refused", "arrangement", arrangement, "module", module, "error", err)
		http.Error(w, "not a notice that is taken here", http.StatusUnauthorized)
	}
}

// isOurs reports whether a failure has nothing to do with what was sent or
// where to, so that a stranger may see it.
func isOurs(err error) bool {
	code := escrow.CodeOf(err)
	return code == escrow.Internal || code == escrow.Unavailable || code == escrow.Full
}

// How long a notice is remembered, and how many are forgotten at once.
const (
	webhookMemory  = 90 * 24 * time.Hour
	webhooksAtOnce = 100
)

// take verifies a notice and queues a sync, once for each notice and module.
// authentic says that whoever sent it knows the module's secret.
func (h *hooks) take(r *http.Request, arrangement, module string, body []byte) (authentic bool, err error) {
	ctx := r.Context()
	var m escrow.Module
	var secret []byte
	err = h.db.View(ctx, func(tx *store.Tx) error {
		var err error
		if m, err = tx.Module(ctx, arrangement, module); err != nil {
			return err
		}
		c, err := tx.Credential(ctx, arrangement, module, escrow.WebhookSecret)
		if err != nil {
			return err
		}
		secret, err = secrets{h.syncs.keys.Identity}.open(c)
		return err
	})
	if err != nil {
		return false, err
	}
	event, err := webhook.Verify(webhook.Request{Header: r.Header, Body: body, Secret: string(secret), Now: h.now()})
	if err != nil {
		return event.Fingerprint != "", err
	}
	if event.Type != webhook.Push || m.Source.Mode != escrow.Pull || !event.About(m.Source.URL) {
		return true, nil
	}
	_, err = h.db.Update(ctx, func(tx *store.Tx) ([]escrow.Act, error) {
		// Two modules may have one source, and the forge tells both the same.
		notice := store.Webhook{Source: string(event.Kind), ID: event.Fingerprint + " " + arrangement + "/" + module,
			Arrangement: arrangement, Module: module, ReceivedAt: h.now()}
		fresh, err := tx.PutWebhook(ctx, notice)
		if err != nil || !fresh {
			return nil, err
		}
		// What is this old need not be told from what is new: all it could
		// do is start a sync.
		if _, err := tx.DeleteWebhooks(ctx, h.now().Add(-webhookMemory), webhooksAtOnce); err != nil {
			return nil, err
		}
		if err := tx.EnqueueSync(ctx, h.syncs.queue, arrangement, module, "webhook of "+string(event.Kind)); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "sync.requested", At: h.now(), Actor: "webhook/" + string(event.Kind), Arrangement: arrangement, Subject: module,
			Data: map[string]string{"event": event.Name}}}, nil
	})
	return true, err
}
