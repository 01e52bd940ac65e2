// Package webhook decides whether a notice that a repository has changed
// comes from the forge that shares a secret with us, and reads what it says.
// A notice starts a sync and nothing else: it is never taken at its word
// about the content of a repository.
//
// It depends on escrow and the standard library only, does no I/O, and takes
// the time as an argument.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// Kind is a forge, by the way it signs.
type Kind string

// The kinds. Auto tells them apart by their headers; the secret decides all
// the same.
const (
	Auto      Kind = ""
	GitHub    Kind = "github"
	GitLab    Kind = "gitlab"
	Bitbucket Kind = "bitbucket" // Cloud and Data Center
	Gitea     Kind = "gitea"
	Forgejo   Kind = "forgejo"
)

// MaxBody is the longest body taken, in bytes. A longer notice is refused;
// the schedule finds what it wanted to tell.
const MaxBody = 1 << 20

// Tolerance is how far the clock of a forge that signs the time may be off.
const Tolerance = 5 * time.Minute

// Type is what a notice is about.
type Type string

// Push: refs may have changed. Ping: somebody tries the connection. Other:
// anything else, authentic and of no concern here.
const (
	Push  Type = "push"
	Ping  Type = "ping"
	Other Type = "other"
)

// Event is an authentic notice.
type Event struct {
	Kind         Kind
	Type         Type
	Name         string   // the forge's own name for the event
	Repositories []string // addresses of the repository, as the forge writes them
	// Delivery is the forge's id of this notice, for people; most forges
	// leave it out of what they sign.
	Delivery string
	// Fingerprint is the SHA-256 of what is signed, the same for a notice
	// sent again: the caller stores it and takes no notice twice. With a bare
	// GitLab token nothing is signed, and it covers the body.
	Fingerprint string
}

// Request is what came in.
type Request struct {
	Kind   Kind // Auto, or the only one taken
	Header http.Header
	Body   []byte // as received, of at most MaxBody bytes
	Secret string // shared with the forge
	Now    time.Time
}

// Verify returns the event of an authentic notice. A refusal is an
// [escrow.Error]: Unauthenticated when the secret does not prove it, Invalid
// when it does and the body cannot be read, or when the body is too long. It
// never says what the right signature would be.
func Verify(r Request) (Event, error) {
	if len(r.Body) > MaxBody {
		return Event{}, escrow.Errorf(escrow.Invalid, "notice of more than %d bytes", MaxBody).
			WithHint("the next scheduled sync finds the change")
	}
	if r.Secret == "" {
		return Event{}, refuse("no secret is set for notices of this repository").WithHint("set a webhook secret here and at the forge")
	}
	kind := r.Kind
	if kind == Auto {
		kind = detect(r.Header)
	}
	var signed []byte
	var err error
	switch kind {
	case GitHub:
		signed, err = r.hubSignature("X-Hub-Signature-256")
	case Bitbucket:
		signed, err = r.hubSignature("X-Hub-Signature")
	case Gitea:
		signed, err = r.hexSignature("X-Gitea-Signature")
	case Forgejo:
		signed, err = r.hexSignature("X-Forgejo-Signature")
	case GitLab:
		signed, err = r.gitLab()
	case Auto:
		return Event{}, refuse("no signature of a forge that is known here").
			WithHint("GitHub, GitLab, Bitbucket, Gitea and Forgejo sign when a secret is set at the webhook")
	default:
		return Event{}, escrow.Errorf(escrow.Invalid, "webhook kind %.40q", string(kind)).
			WithHint("one of github, gitlab, bitbucket, gitea, forgejo, or none to tell by the headers")
	}
	if err != nil {
		return Event{}, err
	}
	sum := sha256.Sum256(signed)
	event := Event{Kind: kind, Fingerprint: hex.EncodeToString(sum[:])}
	return event, event.read(r.Header, r.Body)
}

// detect tells the forges apart. Gitea and Forgejo send the headers of GitHub
// too, and Forgejo those of Gitea, so they come first.
func detect(h http.Header) Kind {
	switch {
	case h.Get("X-Forgejo-Signature") != "":
		return Forgejo
	case h.Get("X-Gitea-Signature") != "":
		return Gitea
	case h.Get("X-Gitlab-Event") != "", h.Get("X-Gitlab-Token") != "", h.Get("Webhook-Signature") != "":
		return GitLab
	case h.Get("X-Hub-Signature-256") != "", h.Get("X-GitHub-Event") != "":
		return GitHub
	case h.Get("X-Event-Key") != "", strings.HasPrefix(h.Get("X-Hub-Signature"), "sha256="):
		return Bitbucket
	}
	return Auto
}

func refuse(format string, args ...any) *escrow.Error {
	return escrow.Errorf(escrow.Unauthenticated, "notice refused: "+format, args...).
		WithHint("compare the secret at the forge with the one set here")
}

// single returns the one value of a header. Two of them are refused: which
// one counts would depend on who reads.
func (r *Request) single(name string) (string, error) {
	switch values := r.Header.Values(name); len(values) {
	case 0:
		return "", refuse("it has no %s", name)
	case 1:
		return values[0], nil
	default:
		return "", refuse("it has %s %d times", name, len(values))
	}
}

// hubSignature checks "sha256=" and the hexadecimal HMAC of the body.
func (r *Request) hubSignature(header string) ([]byte, error) {
	value, err := r.single(header)
	if err != nil {
		if r.Header.Get("X-Hub-Signature") != "" {
			return nil, refuse("it is signed with SHA-1 only").WithHint("the forge must send %s with SHA-256; update it", header)
		}
		return nil, err
	}
	algorithm, text, _ := strings.Cut(value, "=")
	if algorithm != "sha256" {
		return nil, refuse("it is signed with %.20q, not with sha256", algorithm).WithHint("the forge must sign with SHA-256; update it")
	}
	return r.Body, r.compareHex(text)
}

// hexSignature checks a bare hexadecimal HMAC of the body.
func (r *Request) hexSignature(header string) ([]byte, error) {
	value, err := r.single(header)
	if err != nil {
		return nil, err
	}
	return r.Body, r.compareHex(value)
}

func (r *Request) compareHex(text string) error {
	given, err := hex.DecodeString(text)
	if err != nil || !hmac.Equal(given, sum([]byte(r.Secret), r.Body)) {
		return refuse("its signature does not match")
	}
	return nil
}

func sum(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// signingPrefix marks a secret of the signed form, by the Standard Webhooks
// specification. With such a secret the bare token is not taken: it would let
// whoever has seen one notice make others.
const signingPrefix = "whsec_"

// gitLab checks the signed form, or the token that older versions send.
func (r *Request) gitLab() ([]byte, error) {
	encoded, signing := strings.CutPrefix(r.Secret, signingPrefix)
	if !signing {
		token, err := r.single("X-Gitlab-Token")
		if err != nil {
			return nil, err
		}
		// Hashed first, so that the comparison does not tell the length.
		given, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(r.Secret))
		if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
			return nil, refuse("its token does not match")
		}
		return r.Body, nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < 16 {
		return nil, escrow.Errorf(escrow.Invalid, "the signing token set here is not %s and base64 of at least 16 bytes", signingPrefix).
			WithHint("copy it again from the forge")
	}
	id, err := r.single("Webhook-Id")
	if err != nil {
		return nil, err
	}
	stamp, err := r.single("Webhook-Timestamp")
	if err != nil {
		return nil, err
	}
	list, err := r.single("Webhook-Signature")
	if err != nil {
		return nil, err
	}
	signed := make([]byte, 0, len(id)+len(stamp)+2+len(r.Body))
	signed = append(append(append(append(signed, id...), '.'), stamp...), '.')
	signed = append(signed, r.Body...)
	want := sum(key, signed)
	match := false
	for item := range strings.FieldsSeq(list) { // several while a key is exchanged
		text, ok := strings.CutPrefix(item, "v1,")
		if !ok {
			continue
		}
		given, err := base64.StdEncoding.DecodeString(text)
		if err == nil && hmac.Equal(given, want) {
			match = true
		}
	}
	if !match {
		return nil, refuse("its signature does not match")
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return nil, refuse("its time is not a number")
	}
	if off := r.Now.Sub(time.Unix(seconds, 0)); off > Tolerance || off < -Tolerance {
		return nil, refuse("its time is off by more than %v", Tolerance).
			WithHint("check the clocks of this server and of the forge; an old notice sent again is refused on purpose")
	}
	return signed, nil
}
