package server_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// published fetches what the server shows to everybody.
func (in *installation) published(t *testing.T) []byte {
	t.Helper()
	resp, err := http.Get(in.url + "/ledger/checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	return data
}

func newWitness(t *testing.T, name string) (signer note.Signer, key string) {
	t.Helper()
	skey, _, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	if signer, err = evidence.NewCosigner(skey, time.Now); err == nil {
		key, err = evidence.WitnessKey(signer)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// TestLedgerIsPublishedAndWitnessed: the checkpoint is published by itself,
// a configured witness's cosignature appears on it, and nothing else counts.
func TestLedgerIsPublishedAndWitnessed(t *testing.T) {
	witness, key := newWitness(t, "witness.example")
	stranger, _ := newWitness(t, "stranger.example")
	in := install(t, func(c *config.Config) {
		c.PublishEvery = config.Duration(time.Second)
		c.Witnesses = []string{key}
	})
	ctx := t.Context()
	anybody := in.client("")
	before, err := evidence.PeekCheckpoint(in.published(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.admin.IssueToken(ctx, arrangementID, client.NewToken{Party: "agent"}); err != nil {
		t.Fatal(err)
	}
	var signed []byte
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		signed = in.published(t)
		if now, err := evidence.PeekCheckpoint(signed); err == nil && now.Size > before.Size {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing was published after size %d", before.Size)
		}
	}
	keys, err := anybody.ServerKeys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cosigned := func(signer note.Signer, checkpoint []byte) []byte {
		verifier, err := note.NewVerifier(keys.Ledger)
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(checkpoint, note.VerifierList(verifier))
		if err != nil {
			t.Fatal(err)
		}
		out, err := note.Sign(n, signer)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	forged := bytes.Replace(cosigned(witness, signed), []byte(before.Origin+"\n"), []byte(before.Origin+"\n9"), 1)
	for name, note := range map[string][]byte{"nobody's": signed, "a stranger's": cosigned(stranger, signed), "for another size": forged, "no note": []byte("hello")} {
		if _, err := anybody.Cosign(ctx, note); code(err) != escrow.Invalid {
			t.Errorf("cosignature, %s: %v", name, err)
		}
	}
	for range 2 { // a repetition changes nothing
		if n, err := anybody.Cosign(ctx, cosigned(witness, signed)); err != nil || n != 1 {
			t.Fatalf("the witness's: %d, %v", n, err)
		}
	}
	policy, err := evidence.NewPolicy(keys.Ledger, []string{key}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Open(in.published(t)); err != nil {
		t.Errorf("the published checkpoint does not carry the cosignature: %v", err)
	}
	in.stop()
	if _, err := server.Verify(ctx, in.config, server.Options{}, nil, nil); err != nil {
		t.Errorf("verify: %v", err)
	}
}

// TestErasure: what somebody may ask to be erased goes, with a reason that
// stays; the tree holds; and nobody erases what others rely on, or what is not
// theirs.
func TestErasure(t *testing.T) { eachEngine(t, checkErasure) }

func checkErasure(t *testing.T, in *installation) {
	ctx := t.Context()
	in.ceremony(1)
	supplier, agent, customer := in.as("supplier"), in.as("agent"), in.as("customer")
	if _, err := supplier.MakeDeposit(ctx, arrangementID, "code", in.pushed(supplier, "one", nil)); err != nil {
		t.Fatal(err)
	}
	const private = "CANARY: Jan de Vries was ill that week"
	if _, err := customer.OpenCase(ctx, arrangementID, client.OpenCase{Event: "bankruptcy", Stage: "materials", Reason: private}); err != nil {
		t.Fatal(err)
	}
	find := func(cl *client.Client, text string) int64 {
		list, err := cl.LedgerEntries(ctx, arrangementID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if strings.Contains(e.Payload, text) {
				return e.Index
			}
		}
		return -1
	}
	index, deposit := find(agent, private), find(agent, `"kind":"deposit.accepted"`)
	installation := int64(0) // the first entry is about the installation
	for name, err := range map[string]error{
		"by a customer":           customer.EraseEntry(ctx, arrangementID, index, "x"),
		"by the supplier":         supplier.EraseEntry(ctx, arrangementID, index, "x"),
		"of a deposit":            agent.EraseEntry(ctx, arrangementID, deposit, "x"),
		"of another arrangement":  agent.EraseEntry(ctx, arrangementID, installation, "x"),
		"of what does not exist":  agent.EraseEntry(ctx, arrangementID, 1<<40, "x"),
		"without saying why":      agent.EraseEntry(ctx, arrangementID, index, ""),
		"in another arrangement":  agent.EraseEntry(ctx, "other", index, "x"),
		"of a deposit, as admin.": in.admin.EraseEntry(ctx, arrangementID, deposit, "x"),
	} {
		if err == nil {
			t.Errorf("erasure %s was done", name)
		}
	}
	if err := agent.EraseEntry(ctx, arrangementID, index, "request of the person concerned"); err != nil {
		t.Fatal(err)
	}
	if at := find(agent, private); at >= 0 {
		t.Errorf("entry %d still says it", at)
	}
	record := find(agent, `"kind":"ledger.erased"`)
	if record < 0 {
		t.Fatal("the erasure is not recorded")
	}
	if err := agent.EraseEntry(ctx, arrangementID, record, "x"); err == nil {
		t.Error("the record of an erasure was erased")
	}
	if err := agent.EraseEntry(ctx, arrangementID, index, "again"); code(err) != escrow.Conflict {
		t.Errorf("erasing twice: %v", err)
	}
	in.stop()
	if _, err := server.Verify(ctx, in.config, server.Options{}, nil, nil); err != nil {
		t.Errorf("verify after the erasure: %v", err)
	}
}

// TestLostKeys: a database is not signed for by another ledger key, wherever
// it is.
func TestLostKeys(t *testing.T) { eachEngine(t, checkLostKeys) }

func checkLostKeys(t *testing.T, in *installation) {
	in.stop()
	if err := os.RemoveAll(in.config.KeysDir()); err != nil {
		t.Fatal(err)
	}
	srv, err := server.Open(t.Context(), in.config, server.Options{})
	if err == nil {
		err = errors.Join(srv.Close(), errors.New("it started a second ledger"))
	}
	if escrow.CodeOf(err) != escrow.Missing {
		t.Errorf("without its keys: %v", err)
	}
}

// TestAdministratorIsNotLockedOut: the token is renewed before it ends, and a
// lost one can be replaced by whoever has the machine.
func TestAdministratorIsNotLockedOut(t *testing.T) {
	now := time.Now()
	in := installWith(t, nil, server.Options{Now: func() time.Time { return now }})
	read := func() string {
		data, err := os.ReadFile(filepath.Join(in.dir, "admin.token"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	again := func(o server.Options) {
		in.stop()
		o.Now = func() time.Time { return now }
		in.options = o
		in.start()
	}
	token := read()
	again(server.Options{})
	if read() != token {
		t.Error("a restart replaced a token that lives on")
	}
	now = now.Add(350 * 24 * time.Hour)
	again(server.Options{})
	if read() == token {
		t.Error("the token is about to end and was not replaced")
	}
	if _, err := in.admin.Arrangement(t.Context(), arrangementID); err != nil {
		t.Errorf("the new token: %v", err)
	}
	second := read()
	again(server.Options{NewAdminToken: true})
	if read() == second {
		t.Error("no new token was left")
	}
	old := in.client(strings.TrimSpace(second))
	if _, err := old.Arrangement(t.Context(), arrangementID); code(err) != escrow.Unauthenticated {
		t.Errorf("the lost token still works: %v", err)
	}
}
