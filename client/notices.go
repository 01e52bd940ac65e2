package client

import (
	"context"
	"net/http"
	"time"
)

// NoticeMessage is one message of a notice: over which channel it went, and
// what came of it.
type NoticeMessage struct {
	Number      int        `json:"number"`
	Person      string     `json:"person,omitempty"`
	Channel     string     `json:"channel" enum:"portal,email,webhook,letter,registered_letter,phone"`
	Reason      string     `json:"reason" enum:"first,reminder,second"`
	State       string     `json:"state" enum:"waiting,sent,to_post,failed,folded,tried"`
	Independent bool       `json:"independent" doc:"it does not depend on the supplier's own domain"`
	Due         *time.Time `json:"due,omitempty"`
	SentAt      *time.Time `json:"sent_at,omitempty"`
	PresumedAt  *time.Time `json:"presumed_received_at,omitempty"`
	Reference   string     `json:"reference,omitempty" doc:"message id, tracking number, or what came of a call"`
	Proof       string     `json:"proof,omitempty" doc:"SHA-256 of the document that proves it"`
	Error       string     `json:"error,omitempty"`
	Tries       int        `json:"tries,omitempty"`
	By          string     `json:"by,omitempty"`
}

// NewLetter says that a letter was posted.
type NewLetter struct {
	Registered bool   `json:"registered,omitempty"`
	Person     string `json:"person,omitempty" maxLength:"128"`
	Tracking   string `json:"tracking,omitempty" maxLength:"100"`
	PostedAt   string `json:"posted_at,omitempty" maxLength:"40" doc:"RFC 3339; left out: now"`
	Proof      string `json:"proof,omitempty" maxLength:"64" doc:"SHA-256 of the letter or of the proof of posting"`
}

// NewCall says that somebody called.
type NewCall struct {
	Person   string `json:"person,omitempty" maxLength:"128"`
	Number   string `json:"number" minLength:"5" maxLength:"32"`
	Outcome  string `json:"outcome" enum:"reached,no_answer,voicemail,refused,wrong_number"`
	CalledAt string `json:"called_at,omitempty" maxLength:"40" doc:"RFC 3339; left out: now"`
	Note     string `json:"note,omitempty" maxLength:"200"`
}

// NoticeLetter is a letter to be printed and posted.
type NoticeLetter struct {
	PDF    []byte `json:"pdf"`
	Digest string `json:"digest"`
}

// NoticeChannel is where a person is told.
type NoticeChannel struct {
	Party     string `json:"party,omitempty" maxLength:"128" doc:"left out: the caller's"`
	Person    string `json:"person" maxLength:"128"`
	Channel   string `json:"channel" enum:"email,webhook,letter,registered_letter,phone"`
	Address   string `json:"address" maxLength:"900" doc:"of a letter: its lines"`
	Language  string `json:"language,omitempty" enum:",nl,en"`
	Second    bool   `json:"second,omitempty" doc:"told when the first contact is not reached"`
	QuietFrom string `json:"quiet_from,omitempty" maxLength:"5"`
	QuietTo   string `json:"quiet_to,omitempty" maxLength:"5"`
	Zone      string `json:"zone,omitempty" maxLength:"64"`
	Agreed    bool   `json:"from_agreement,omitempty" doc:"it stands in the text of the agreement; nothing was set"`
}

// NewNoticeChannel sets where a person is told.
type NewNoticeChannel struct {
	NoticeChannel
	Secret string `json:"secret,omitempty" maxLength:"200" doc:"of a webhook: what messages are signed with; it is kept sealed and never shown again"`
}

// ReadNotice says that the caller has read a notice.
func (c *Client) ReadNotice(ctx context.Context, arrangement, notice string) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "notices", notice, "read"), nil, nil)
}

// NoticeLetter returns the letter of a notice, to be posted to a person, "" for
// the party.
func (c *Client) NoticeLetter(ctx context.Context, arrangement, notice, person string) (out NoticeLetter, err error) {
	return out, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "notices", notice, "letter")+"?person="+person, nil, &out)
}

// LetterPosted says that a letter was posted.
func (c *Client) LetterPosted(ctx context.Context, arrangement, notice string, l NewLetter) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "notices", notice, "letters"), l, nil)
}

// Called says that somebody called.
func (c *Client) Called(ctx context.Context, arrangement, notice string, call NewCall) error {
	return c.call(ctx, http.MethodPost, path("arrangements", arrangement, "notices", notice, "calls"), call, nil)
}

// NoticeChannels lists where the people of the caller's party are told; the
// agent sees everybody's.
func (c *Client) NoticeChannels(ctx context.Context, arrangement string) (list []NoticeChannel, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "channels"), nil, &list)
}

// SetNoticeChannel sets where a person is told.
func (c *Client) SetNoticeChannel(ctx context.Context, arrangement string, n NewNoticeChannel) error {
	return c.call(ctx, http.MethodPut, path("arrangements", arrangement, "channels"), n, nil)
}

// RemoveNoticeChannel takes an address back.
func (c *Client) RemoveNoticeChannel(ctx context.Context, arrangement, party, person, channel string) error {
	return c.call(ctx, http.MethodDelete, path("arrangements", arrangement, "channels", party, person, channel), nil, nil)
}
