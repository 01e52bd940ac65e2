package store

import (
	"context"
	"time"

	"holdfast/internal/escrow"
)

// noticeTables are the tables of how notices reach people.
func noticeTables() []*table {
	return []*table{
		newTable("notice_address", "arrangement party person channel", "", "address language second:b quiet_from quiet_to zone sealed:x set_by set_us:i removed_us:i"),
		newTable("notice_delivery", "arrangement notice number:i", "", "party person channel address reason state independent:b due_us:i tries:i error "+
			"sent_us:i reference proof presumed_us:i done_by token_hash"),
		newTable("notice_read", "arrangement notice party person", "", "via read_us:i"),
	}
}

const noticeAddressColumns = `arrangement, party, person, channel, address, language, second, quiet_from, quiet_to, zone, sealed, set_by, set_us, removed_us`

// PutNoticeAddress sets where a person is told over a channel.
func (t *Tx) PutNoticeAddress(ctx context.Context, a escrow.NoticeAddress) error {
	_, err := t.write(ctx, "notice_address", `INSERT INTO notice_address (`+noticeAddressColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		ON CONFLICT (arrangement, party, person, channel) DO UPDATE SET address = excluded.address, language = excluded.language, second = excluded.second,
			quiet_from = excluded.quiet_from, quiet_to = excluded.quiet_to, zone = excluded.zone, sealed = excluded.sealed,
			set_by = excluded.set_by, set_us = excluded.set_us, removed_us = excluded.removed_us`,
		a.Arrangement, a.Party, a.Person, string(a.Channel), a.Address, a.Language, a.Second, a.QuietFrom, a.QuietTo, a.Zone, blob(a.Sealed), a.SetBy, micros(a.SetAt), micros(a.RemovedAt))
	return err
}

// NoticeAddresses returns where the people of a party, or of everybody for "",
// are told, removed ones included.
func (t *Tx) NoticeAddresses(ctx context.Context, arrangement, party string) ([]escrow.NoticeAddress, error) {
	scan := func(s scanner) (a escrow.NoticeAddress, err error) {
		var set, removed int64
		err = s.Scan(&a.Arrangement, &a.Party, &a.Person, &a.Channel, &a.Address, &a.Language, &a.Second, &a.QuietFrom, &a.QuietTo, &a.Zone, &a.Sealed, &a.SetBy, &set, &removed)
		a.SetAt, a.RemovedAt = instant(set), instant(removed)
		if len(a.Sealed) == 0 {
			a.Sealed = nil
		}
		return a, err
	}
	return many(ctx, t, scan, `SELECT `+noticeAddressColumns+` FROM notice_address WHERE arrangement = $1 AND (party = $2 OR CAST($2 AS TEXT) = '')
		ORDER BY party, second, person, channel`, arrangement, party)
}

// UnplannedNotices returns at most limit notices for which no message was made
// yet, the oldest first.
func (t *Tx) UnplannedNotices(ctx context.Context, limit int) ([]escrow.Notice, error) {
	return many(ctx, t, scanNotice, `SELECT `+noticeColumns+` FROM notice AS n
		WHERE NOT EXISTS (SELECT 1 FROM notice_delivery AS d WHERE d.arrangement = n.arrangement AND d.notice = n.id)
		ORDER BY made_us, arrangement, id LIMIT $1`, limit)
}

// Notice returns one notice.
func (t *Tx) Notice(ctx context.Context, arrangement, id string) (escrow.Notice, error) {
	return one(ctx, t, scanNotice, escrow.Errorf(escrow.NotFound, "no notice %q", id), `SELECT `+noticeColumns+` FROM notice AS n WHERE arrangement = $1 AND id = $2`, arrangement, id)
}

const deliveryColumns = `arrangement, notice, number, party, person, channel, address, reason, state, independent, due_us, tries, error, sent_us, reference, proof, presumed_us, done_by, token_hash`

func scanDelivery(s scanner) (d escrow.Delivery, err error) {
	var due, sent, presumed int64
	err = s.Scan(&d.Arrangement, &d.Notice, &d.Number, &d.Party, &d.Person, &d.Channel, &d.Address, &d.Reason, &d.State, &d.Independent, &due, &d.Tries, &d.Error,
		&sent, &d.Reference, &d.Proof, &presumed, &d.By, &d.TokenHash)
	d.DueAt, d.SentAt, d.PresumedAt = instant(due), instant(sent), instant(presumed)
	return d, err
}

// PutDelivery adds a message or says what came of it. One that was sent stays
// sent.
func (t *Tx) PutDelivery(ctx context.Context, d escrow.Delivery) error {
	n, err := t.write(ctx, "notice_delivery", `INSERT INTO notice_delivery (`+deliveryColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
		ON CONFLICT (arrangement, notice, number) DO UPDATE SET address = excluded.address, state = excluded.state, independent = excluded.independent, due_us = excluded.due_us,
			tries = excluded.tries, error = excluded.error, sent_us = excluded.sent_us, reference = excluded.reference, proof = excluded.proof,
			presumed_us = excluded.presumed_us, done_by = excluded.done_by, token_hash = excluded.token_hash
		WHERE notice_delivery.state <> 'sent'`,
		d.Arrangement, d.Notice, d.Number, d.Party, d.Person, string(d.Channel), d.Address, d.Reason, string(d.State), d.Independent, micros(d.DueAt), d.Tries, d.Error,
		micros(d.SentAt), d.Reference, d.Proof, micros(d.PresumedAt), d.By, d.TokenHash)
	if err == nil && n == 0 {
		return escrow.Errorf(escrow.Conflict, "message %d of notice %q was sent already", d.Number, d.Notice)
	}
	return err
}

// Deliveries returns the messages of a notice in the order they were made.
func (t *Tx) Deliveries(ctx context.Context, arrangement, notice string) ([]escrow.Delivery, error) {
	return many(ctx, t, scanDelivery, `SELECT `+deliveryColumns+` FROM notice_delivery WHERE arrangement = $1 AND notice = $2 ORDER BY number`, arrangement, notice)
}

// DueDeliveries returns at most limit messages that are to be sent at now.
func (t *Tx) DueDeliveries(ctx context.Context, now time.Time, limit int) ([]escrow.Delivery, error) {
	return many(ctx, t, scanDelivery, `SELECT `+deliveryColumns+` FROM notice_delivery
		WHERE state = 'waiting' AND due_us <= $1 ORDER BY due_us, arrangement, notice, number LIMIT $2`, micros(now), limit)
}

// UnreadNotices returns at most limit notices made since a moment that nobody
// has read and that no second contact was told of, the oldest first.
func (t *Tx) UnreadNotices(ctx context.Context, since time.Time, limit int) ([]escrow.Notice, error) {
	return many(ctx, t, scanNotice, `SELECT `+noticeColumns+` FROM notice AS n WHERE made_us >= $1
		AND NOT EXISTS (SELECT 1 FROM notice_read AS r WHERE r.arrangement = n.arrangement AND r.notice = n.id)
		AND EXISTS (SELECT 1 FROM notice_delivery AS d WHERE d.arrangement = n.arrangement AND d.notice = n.id AND d.channel <> 'portal')
		AND NOT EXISTS (SELECT 1 FROM notice_delivery AS s WHERE s.arrangement = n.arrangement AND s.notice = n.id AND s.reason = 'second')
		ORDER BY made_us, arrangement, id LIMIT $2`, micros(since), limit)
}

// DeliveryByToken returns the message whose link has a token with this hash.
func (t *Tx) DeliveryByToken(ctx context.Context, hash string) (escrow.Delivery, error) {
	return one(ctx, t, scanDelivery, escrow.Errorf(escrow.NotFound, "this link is not known, or a newer message has taken its place"),
		`SELECT `+deliveryColumns+` FROM notice_delivery WHERE token_hash = $1 AND CAST($1 AS TEXT) <> ''`, hash)
}

// PutNoticeRead records that a person has read a notice; the first time
// counts.
func (t *Tx) PutNoticeRead(ctx context.Context, r escrow.NoticeRead) (fresh bool, err error) {
	n, err := t.write(ctx, "notice_read", `INSERT INTO notice_read (arrangement, notice, party, person, via, read_us) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		r.Arrangement, r.Notice, r.Party, r.Person, r.Via, micros(r.ReadAt))
	return n == 1, err
}

// NoticeReads returns who has read a notice, the first first.
func (t *Tx) NoticeReads(ctx context.Context, arrangement, notice string) ([]escrow.NoticeRead, error) {
	scan := func(s scanner) (r escrow.NoticeRead, err error) {
		var at int64
		err = s.Scan(&r.Arrangement, &r.Notice, &r.Party, &r.Person, &r.Via, &at)
		r.ReadAt = instant(at)
		return r, err
	}
	return many(ctx, t, scan, `SELECT arrangement, notice, party, person, via, read_us FROM notice_read WHERE arrangement = $1 AND notice = $2 ORDER BY read_us, party, person`, arrangement, notice)
}
