package client

import (
	"context"
	"net/http"
	"time"
)

// Joiner is a beneficiary that joins.
type Joiner struct {
	ID         string            `json:"id" maxLength:"64"`
	Name       string            `json:"name" maxLength:"200"`
	Register   map[string]string `json:"register,omitempty" doc:"its numbers in public registers, such as nl_kvk"`
	People     []JoinerPerson    `json:"people,omitempty" maxItems:"100"`
	Controlled string            `json:"controlled_by,omitempty" maxLength:"64" doc:"the party that controls it"`
}

// JoinerPerson acts for the one that joins.
type JoinerPerson struct {
	ID       string   `json:"id" maxLength:"64"`
	Name     string   `json:"name" maxLength:"200"`
	Function string   `json:"function,omitempty" maxLength:"200"`
	Email    string   `json:"email,omitempty" maxLength:"200"`
	May      []string `json:"may,omitempty" maxItems:"16" doc:"what the person may do for it: sign, claim, approve, …"`
	Until    string   `json:"until,omitempty" maxLength:"10" doc:"last day of that, YYYY-MM-DD"`
	Proof    string   `json:"proof,omitempty" maxLength:"200" doc:"the document it rests on"`
}

// NewJoin asks to offer a version with one beneficiary more: who joins, or the
// whole text with it.
type NewJoin struct {
	Joiner    *Joiner `json:"joiner,omitempty"`
	Agreement string  `json:"agreement,omitempty" doc:"the text in force with the joiner in it; left out, it is written from that"`
	Until     string  `json:"until" doc:"until when it can be signed, RFC 3339"`
	Dry       bool    `json:"dry,omitempty" doc:"say what it takes and keep nothing"`
}

// Joining is a beneficiary on its way in, and what it takes.
type Joining struct {
	Party        string              `json:"party"`
	Version      AgreementVersion    `json:"version"`
	Agreement    string              `json:"agreement" doc:"the new text"`
	Parts        []JoinedPart        `json:"parts" doc:"what is signed: its own parts and no other"`
	Unchanged    []string            `json:"unchanged" doc:"parts that stay signed as they are"`
	NoCard       []string            `json:"no_card" doc:"parties that sign and have no contact card here"`
	Modules      []JoinedModule      `json:"modules"`
	Compartments []JoinedCompartment `json:"compartments" doc:"its own, whose keys are dealt when the version is in force"`
	Others       []string            `json:"others" doc:"compartments that will open for it too: their next epoch pins its keys"`
	Warnings     []string            `json:"warnings" doc:"what the checker says about the new text beside what it said before"`
}

// JoinedPart is a part of the one that joins.
type JoinedPart struct {
	ID     string   `json:"id"`
	Digest string   `json:"digest"`
	Sign   []string `json:"sign"`
	Form   string   `json:"form"`
	With   []string `json:"with,omitempty"`
}

// JoinedModule is a module of the one that joins.
type JoinedModule struct {
	ID          string `json:"id"`
	Kind        string `json:"kind"`
	Mode        string `json:"mode"`
	Compartment string `json:"compartment"`
}

// JoinedCompartment is a compartment of the one that joins.
type JoinedCompartment struct {
	ID     string   `json:"id"`
	Holder string   `json:"holder,omitempty" doc:"sealed to this party alone; there is no quorum"`
	Of     int      `json:"of,omitempty"`
	From   []string `json:"from,omitempty"`
}

// Departure is what it takes the caller's party to leave.
type Departure struct {
	Party      string       `json:"party"`
	Agreement  string       `json:"agreement" doc:"digest of the text in force"`
	Version    int          `json:"version"`
	TimeZone   string       `json:"time_zone"`
	Parts      []PartDigest `json:"parts" doc:"the parts that end"`
	Earliest   time.Time    `json:"earliest" doc:"the first moment it can be free, by notice and term"`
	Modules    []string     `json:"modules" doc:"whose deposits are destroyed"`
	Epochs     []string     `json:"epochs" doc:"whose keys end"`
	DeleteData string       `json:"delete_data,omitempty" doc:"within which period the agreement wants its data gone"`
	Holds      []string     `json:"holds" doc:"legal holds that keep deposits for now"`
	Refused    string       `json:"refused,omitempty" doc:"why it cannot leave as things stand"`
	Hint       string       `json:"hint,omitempty"`
}

// Leaving is a beneficiary that gave notice, and what became of that.
type Leaving struct {
	Party        string      `json:"party"`
	State        string      `json:"state" enum:"noticed,withdrawn,ended,certified"`
	Person       string      `json:"person"`
	Authority    string      `json:"authority,omitempty"`
	NoticedAt    time.Time   `json:"noticed_at"`
	EndsAt       time.Time   `json:"ends_at"`
	Blocked      string      `json:"blocked,omitempty" doc:"why it could not end although the notice has run"`
	Reason       string      `json:"reason,omitempty" doc:"why the notice was taken back"`
	Version      int         `json:"version,omitempty" doc:"the version without it"`
	Agreement    string      `json:"agreement,omitempty"`
	EndedAt      *time.Time  `json:"ended_at,omitempty"`
	Modules      []string    `json:"modules,omitempty"`
	Compartments []string    `json:"compartments,omitempty"`
	StillHeld    []StillHeld `json:"still_held,omitempty" doc:"what two people have yet to destroy"`
	Notice       Signed      `json:"notice"`
	Key          string      `json:"key"`
	Certificate  *Signed     `json:"certificate,omitempty"`
	CertifiedAt  *time.Time  `json:"certified_at,omitempty"`
}

// StillHeld is what is still held of a party that has left.
type StillHeld struct {
	Module   string   `json:"module"`
	Deposits []int    `json:"deposits"`
	Holds    []string `json:"holds,omitempty"`
}

// Join offers a version with one beneficiary more.
func (c *Client) Join(ctx context.Context, arrangement string, j NewJoin) (out Joining, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "joins"), j, &out)
}

// Departure tells what it takes the caller's party to leave.
func (c *Client) Departure(ctx context.Context, arrangement string) (out Departure, err error) {
	return out, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "departure"), nil, &out)
}

// GiveNotice hands in the caller's own notice of leaving.
func (c *Client) GiveNotice(ctx context.Context, arrangement string, notice Signed) (out Leaving, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "leavings"), notice, &out)
}

// TakeNoticeBack takes the caller's own notice back.
func (c *Client) TakeNoticeBack(ctx context.Context, arrangement, reason string) (out Leaving, err error) {
	return out, c.call(ctx, http.MethodPost, path("arrangements", arrangement, "departure", "take-back"), Word{reason}, &out)
}

// Leavings lists who gave notice, as far as the caller may know.
func (c *Client) Leavings(ctx context.Context, arrangement string) (list []Leaving, err error) {
	return list, c.call(ctx, http.MethodGet, path("arrangements", arrangement, "leavings"), nil, &list)
}
