package storetest

import (
	"context"
	"testing"

	"holdfast/internal/escrow"
	"holdfast/internal/store"
)

func noticeAddress(person string, channel escrow.Channel) escrow.NoticeAddress {
	return escrow.NoticeAddress{Arrangement: Acme, Party: "leverancier", Person: person, Channel: channel, Address: person + "@leverancier.example", Language: "nl", Second: person == "bob",
		QuietFrom: "22:00", QuietTo: "07:00", Zone: "Europe/Amsterdam", Sealed: []byte("sealed"), SetBy: "agent/eva", SetAt: at(44)}
}

func delivery(number int, channel escrow.Channel) escrow.Delivery {
	return escrow.Delivery{Arrangement: Acme, Notice: "n1", Number: number, Party: "leverancier", Person: "anna", Channel: channel, Address: "anna@leverancier.example", Reason: "first",
		State: escrow.DeliveryWaiting, Independent: true, DueAt: at(46), TokenHash: digest("token")}
}

func noticeRead(person string) escrow.NoticeRead {
	return escrow.NoticeRead{Arrangement: Acme, Notice: "n1", Party: "leverancier", Person: person, Via: "link", ReadAt: at(50)}
}

// noticeSteps fill the tables of how notices reach people.
func noticeSteps() []step {
	return []step{
		{"notice_address", func(ctx context.Context, tx *store.Tx) error {
			return tx.PutNoticeAddress(ctx, noticeAddress("anna", escrow.Email))
		}},
		{"notice_delivery", func(ctx context.Context, tx *store.Tx) error { return tx.PutDelivery(ctx, delivery(1, escrow.Email)) }},
		{"notice_read", func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.PutNoticeRead(ctx, noticeRead("anna"))
			return err
		}},
	}
}

func testDeliveries(t *testing.T, d *Database) {
	put := func(x escrow.Delivery) write {
		return func(ctx context.Context, tx *store.Tx) error { return tx.PutDelivery(ctx, x) }
	}
	unplanned := func(ctx context.Context, tx *store.Tx) ([]escrow.Notice, error) { return tx.UnplannedNotices(ctx, 10) }
	due := func(minute int) func(context.Context, *store.Tx) ([]escrow.Delivery, error) {
		return func(ctx context.Context, tx *store.Tx) ([]escrow.Delivery, error) {
			return tx.DueDeliveries(ctx, at(minute), 10)
		}
	}
	unread := func(ctx context.Context, tx *store.Tx) ([]escrow.Notice, error) {
		return tx.UnreadNotices(ctx, at(0), 10)
	}
	n1, n2 := notice("n1", "leverancier"), notice("n2", "gem-a")
	for _, n := range []escrow.Notice{n1, n2} {
		d.Update(t, "notice", func(ctx context.Context, tx *store.Tx) error { return tx.PutNotice(ctx, n) })
	}
	same(t, d, "unplanned", []escrow.Notice{n1, n2}, unplanned)

	first, portal := delivery(2, escrow.Email), delivery(1, escrow.Portal)
	portal.State, portal.SentAt, portal.TokenHash = escrow.DeliverySent, at(44), ""
	d.Update(t, "notice.planned", put(portal))
	same(t, d, "the portal alone is no reason to chase", nil, unread)
	d.Update(t, "notice.planned", put(first))
	same(t, d, "unplanned", []escrow.Notice{n2}, unplanned)
	same(t, d, "nothing is due yet", nil, due(45))
	same(t, d, "due", []escrow.Delivery{first}, due(46))
	same(t, d, "by its link", []escrow.Delivery{first}, func(ctx context.Context, tx *store.Tx) ([]escrow.Delivery, error) {
		x, err := tx.DeliveryByToken(ctx, digest("token"))
		return []escrow.Delivery{x}, err
	})
	d.refuses(t, "no token leads to what has none", escrow.NotFound, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.DeliveryByToken(ctx, "")
		return err
	})

	sent := first
	sent.State, sent.SentAt, sent.Tries, sent.Reference, sent.PresumedAt, sent.By, sent.Proof = escrow.DeliverySent, at(47), 1, "id@example", at(99), "server", digest("proof")
	d.Update(t, "notice.sent", put(sent))
	same(t, d, "nothing is due any more", nil, due(60))
	d.refuses(t, "what was sent stays sent", escrow.Conflict, put(first))
	same(t, d, "deliveries", []escrow.Delivery{portal, sent}, func(ctx context.Context, tx *store.Tx) ([]escrow.Delivery, error) {
		return tx.Deliveries(ctx, Acme, "n1")
	})
	same(t, d, "unread", []escrow.Notice{n1}, unread)
	second := delivery(3, escrow.Email)
	second.Reason = "second"
	d.Update(t, "notice.escalated", put(second))
	same(t, d, "the second contact ends the chase", nil, unread)

	d.Update(t, "notice.read", func(ctx context.Context, tx *store.Tx) error {
		fresh, err := tx.PutNoticeRead(ctx, noticeRead("anna"))
		if err == nil && !fresh {
			t.Error("the first reading is not fresh")
		}
		return err
	})
	again := noticeRead("anna")
	again.ReadAt = at(51)
	d.Update(t, "notice.read", func(ctx context.Context, tx *store.Tx) error {
		fresh, err := tx.PutNoticeRead(ctx, again)
		if fresh {
			t.Error("the second reading is fresh")
		}
		return err
	})
	same(t, d, "reads", []escrow.NoticeRead{noticeRead("anna")}, func(ctx context.Context, tx *store.Tx) ([]escrow.NoticeRead, error) {
		return tx.NoticeReads(ctx, Acme, "n1")
	})

	a, b := noticeAddress("anna", escrow.Email), noticeAddress("bob", escrow.Webhook)
	for _, x := range []escrow.NoticeAddress{b, a} {
		d.Update(t, "notice.channel_set", func(ctx context.Context, tx *store.Tx) error { return tx.PutNoticeAddress(ctx, x) })
	}
	gone := a
	gone.RemovedAt, gone.Sealed = at(60), nil
	d.Update(t, "notice.channel_removed", func(ctx context.Context, tx *store.Tx) error { return tx.PutNoticeAddress(ctx, gone) })
	same(t, d, "addresses", []escrow.NoticeAddress{gone, b}, func(ctx context.Context, tx *store.Tx) ([]escrow.NoticeAddress, error) {
		return tx.NoticeAddresses(ctx, Acme, "leverancier")
	})
}
