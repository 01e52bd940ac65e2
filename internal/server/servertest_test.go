package server_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	_ "github.com/jackc/pgx/v5/stdlib"
	"golang.org/x/crypto/ssh"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/seal"
	"holdfast/internal/server"
)

// person is somebody with keys, as 'holdfast key new' makes them.
type person struct {
	party, name string
	identity    *age.HybridIdentity
	signer      ssh.Signer
	card        []byte
}

func newPerson(t testing.TB, party, name string) *person {
	t.Helper()
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	card, err := evidence.SignContact(evidence.Contact{Party: party, Person: name, Recipient: identity.Recipient().String(), Created: evidence.At(time.Now())}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return &person{party, name, identity, signer, card}
}

func (p *person) contact(t testing.TB) evidence.Contact {
	t.Helper()
	c, err := evidence.ParseContact(p.card)
	if err != nil {
		t.Fatal(err)
	}
	return *c
}

// installation is a running server with the demo agreement, its people, and
// what they use to talk to it.
type installation struct {
	t           testing.TB
	dir         string
	config      config.Config
	options     server.Options // its log is set by start
	log         *lockedBuffer
	server      *server.Server
	url         string
	stop        func()
	people      map[string]*person // by party
	digest      string             // of the agreement
	admin       *client.Client
	transport   http.RoundTripper           // of every client, nil for the default
	tokenBefore string                      // issued just before a backup
	identities  map[int]*age.HybridIdentity // combined release identities of materials, by epoch
}

const arrangementID = "demo"

// eachEngine runs a test on SQLite and on PostgreSQL. Without a PostgreSQL
// the second shows as skipped, or fails where one is demanded.
func eachEngine(t *testing.T, test func(t *testing.T, in *installation)) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) { test(t, install(t, onEngine(t, engine))) })
	}
}

func engines() []string { return []string{"SQLite", "PostgreSQL"} }

// onEngine says where an installation on an engine has its database.
func onEngine(t testing.TB, engine string) func(*config.Config) {
	t.Helper()
	if engine == "SQLite" {
		return nil
	}
	url := newDatabase(t)
	return func(c *config.Config) { c.Database = url }
}

// newDatabase makes an empty PostgreSQL database that is dropped at the end.
func newDatabase(t testing.TB) string {
	t.Helper()
	admin := os.Getenv("HOLDFAST_TEST_POSTGRES")
	if admin == "" {
		if os.Getenv("HOLDFAST_TEST_POSTGRES_REQUIRED") == "1" {
			t.Fatal("HOLDFAST_TEST_POSTGRES is not set, but PostgreSQL is required")
		}
		t.Skip("HOLDFAST_TEST_POSTGRES is not set")
	}
	name := "server_" + strings.ToLower(rand.Text())
	exec := func(statement string) error {
		db, err := sql.Open("pgx", admin)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.Exec(statement)
		return err
	}
	if err := exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// repositories are the modules that tests use beside those of the demo
// agreement. Nothing is fetched from them before a test says where they are.
func repositories() []string { return []string{"r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"} }

// agreementText is the demo agreement with more repositories in it.
func agreementText(t testing.TB) []byte {
	t.Helper()
	source, err := os.ReadFile("../../examples/agreements/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const after = "  - dossier: {id: dossier"
	var more strings.Builder
	for _, id := range repositories() {
		fmt.Fprintf(&more, "  - repository: {id: %s, url: \"https://git.example/%s.git\", compartment: materials}\n", id, id)
	}
	more.WriteString("  - repository: {id: m1, mode: push, url: \"https://git.example/m1.git\", compartment: materials, due: {every: 24h}, content: {mandatory: [grows, \"dir*/file1\", refs/tags/v1, build.sh, the build script]}}\n")
	more.WriteString("  - repository: {id: m2, url: \"https://git.example/m2.git\", compartment: materials, due: {every: 24h}, accept: {level: 2, within: 24h}, content: {mandatory: [refs/heads/release-1, build.sh]}}\n")
	more.WriteString("  - data: {id: backup, via: restic, compartment: materials}\n")
	text := strings.Replace(string(source), after, more.String()+after, 1)
	if text == string(source) {
		t.Fatal("the demo agreement has no place for more repositories")
	}
	// The example's own schedule would look for a host that does not exist.
	return []byte(strings.Replace(text, "      every: 1h\n", "", 1))
}

// install starts an installation, registers the agreement and pins
// everybody's card.
func install(t testing.TB, edit func(*config.Config)) *installation {
	t.Helper()
	return installWith(t, edit, server.Options{})
}

func installWith(t testing.TB, edit func(*config.Config), o server.Options) *installation {
	t.Helper()
	c := config.Default()
	c.Data = filepath.Join(t.TempDir(), "data")
	c.Listen = "127.0.0.1:0"
	c.EgressAllow = []string{"127.0.0.0/8", "::1/128"}
	c.LocalSources = true
	c.ScheduleEvery = config.Duration(time.Second)
	if edit != nil {
		edit(&c)
	}
	in := &installation{t: t, dir: c.Data, config: c, options: o, log: &lockedBuffer{}, people: map[string]*person{}, identities: map[int]*age.HybridIdentity{}}
	in.start()
	in.populate()
	return in
}

// populate registers the agreement and pins everybody's card.
func (in *installation) populate() {
	t := in.t
	t.Helper()
	a, err := in.admin.RegisterAgreement(t.Context(), agreementText(t))
	if err != nil {
		t.Fatal(err)
	}
	in.digest = a.Digest
	for _, party := range []string{"supplier", "customer", "agent", "foundation", "notary", "accountant", "expert"} {
		in.people[party] = newPerson(t, party, party+"-1")
	}
	agent := in.as("agent")
	for _, p := range in.people {
		if _, err := agent.AddContact(t.Context(), arrangementID, p.card); err != nil {
			t.Fatal(err)
		}
	}
}

// start serves the data directory; stop ends it in order.
func (in *installation) start() {
	in.t.Helper()
	in.options.Log = slog.New(slog.NewJSONHandler(in.log, nil))
	srv, err := server.Open(context.Background(), in.config, in.options)
	if err != nil {
		in.t.Fatal(err)
	}
	in.server = srv
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	in.url = "http://" + srv.Addr()
	var once sync.Once
	in.stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-done, srv.Close()); err != nil {
				in.t.Errorf("stop: %v", err)
			}
		})
	}
	in.t.Cleanup(in.stop)
	token, err := os.ReadFile(srv.AdminTokenFile())
	if err != nil {
		in.t.Fatal(err)
	}
	in.admin = in.client(strings.TrimSpace(string(token)))
}

func (in *installation) client(token string) *client.Client {
	in.t.Helper()
	c, err := client.New(client.Options{URL: in.url, Token: token, Transport: in.transport})
	if err != nil {
		in.t.Fatal(err)
	}
	return c
}

// as returns a client that acts for a party.
func (in *installation) as(party string) *client.Client {
	in.t.Helper()
	name := ""
	if p := in.people[party]; p != nil {
		name = p.name
	}
	issued, err := in.admin.IssueToken(in.t.Context(), arrangementID, client.NewToken{Party: party, Person: name})
	if err != nil {
		in.t.Fatal(err)
	}
	return in.client(issued.Token)
}

// deal deals the next epoch of materials as the supplier would.
func (in *installation) deal(epoch int) *seal.Dealt {
	in.t.Helper()
	c := seal.Ceremony{Arrangement: arrangementID, Agreement: in.digest, Compartment: "materials", Epoch: epoch, Threshold: 3,
		Classes: []seal.Class{{Name: "independent", Threshold: 1, Members: []string{"notary", "accountant", "expert"}}},
		Party:   "supplier", Person: "supplier-1", Created: time.Now()}
	for _, party := range []string{"agent", "foundation", "notary", "accountant", "expert"} {
		c.Trustees = append(c.Trustees, seal.Organisation{Party: party, People: []evidence.Contact{in.people[party].contact(in.t)}})
	}
	customer := in.people["customer"]
	c.Recipients = []evidence.KeyRecipient{{Party: "customer", Person: customer.name, Recipient: customer.identity.Recipient().String()}}
	dealt, err := seal.Deal(rand.Reader, c, in.people["supplier"].signer)
	if err != nil {
		in.t.Fatal(err)
	}
	return dealt
}

func newEpoch(d *seal.Dealt) client.NewEpoch {
	e := client.NewEpoch{Manifest: client.Signed{Document: string(d.Document), Signature: string(d.Signature)}}
	for _, p := range d.Packages {
		e.Packages = append(e.Packages, client.SharePackage{Trustee: p.Trustee, Person: p.Person, Sealed: string(p.Sealed)})
	}
	return e
}

// accept lets a trustee open its package, check its share and accept it.
func (in *installation) accept(party string, epoch int) (client.Epoch, error) {
	in.t.Helper()
	p, cl := in.people[party], in.as(party)
	m, share, err := in.share(cl, p, epoch)
	if err != nil {
		return client.Epoch{}, err
	}
	document, signature, err := seal.Accept(m, in.manifest(epoch), share, seal.Holder{Trustee: p.party, Person: p.name}, p.signer, time.Now())
	if err != nil {
		return client.Epoch{}, err
	}
	return cl.AcceptShare(in.t.Context(), arrangementID, client.Signed{Document: string(document), Signature: string(signature)})
}

func (in *installation) manifest(epoch int) []byte {
	in.t.Helper()
	list, err := in.admin.Epochs(in.t.Context(), arrangementID, "materials")
	if err != nil || len(list) < epoch {
		in.t.Fatalf("epochs: %v, %v", list, err)
	}
	return []byte(list[epoch-1].Manifest.Document)
}

func (in *installation) share(cl *client.Client, p *person, epoch int) (*evidence.KeyManifest, *seal.Share, error) {
	m, err := evidence.ParseKeyManifest(in.manifest(epoch))
	if err != nil {
		return nil, nil, err
	}
	pkg, err := cl.FetchPackage(in.t.Context(), arrangementID, "materials", epoch)
	if err != nil {
		return nil, nil, err
	}
	share, err := seal.OpenShare(m, seal.Holder{Trustee: p.party, Person: p.name}, []byte(pkg.Sealed), p.identity)
	return m, share, err
}

// trustees of materials, in the order of the agreement.
func trustees() []string { return []string{"agent", "foundation", "notary", "accountant", "expert"} }

// ceremony deals, publishes and accepts an epoch until it is active.
func (in *installation) ceremony(epoch int) {
	in.t.Helper()
	if _, err := in.as("supplier").PublishEpoch(in.t.Context(), arrangementID, newEpoch(in.deal(epoch))); err != nil {
		in.t.Fatal(err)
	}
	for i, party := range trustees() {
		e, err := in.accept(party, epoch)
		if err != nil {
			in.t.Fatalf("%s: %v", party, err)
		}
		if want := i == len(trustees())-1; (e.State == "active") != want {
			in.t.Fatalf("after %d acceptances the epoch is %s", i+1, e.State)
		}
	}
}

// approve lets a trustee approve the case's statement.
func (in *installation) approve(party, caseID string) (client.Case, error) {
	in.t.Helper()
	p, cl := in.people[party], in.as(party)
	c, err := cl.Case(in.t.Context(), arrangementID, caseID)
	if err != nil {
		return client.Case{}, err
	}
	m, share, err := in.share(cl, p, c.Epoch)
	if err != nil {
		return client.Case{}, err
	}
	document, signature, err := seal.Approve(seal.ApproveRequest{Manifest: m, Agreement: in.digest, Statement: []byte(c.Statement), Share: share,
		Holder: seal.Holder{Trustee: p.party, Person: p.name}, Signer: p.signer, Now: time.Now()})
	if err != nil {
		return client.Case{}, err
	}
	return cl.Approve(in.t.Context(), arrangementID, caseID, client.Signed{Document: string(document), Signature: string(signature)})
}

// release opens a case for the materials and moves it until the statement is
// fixed.
func (in *installation) release() client.Case {
	in.t.Helper()
	ctx := in.t.Context()
	c, err := in.as("customer").OpenCase(ctx, arrangementID, client.OpenCase{Event: "bankruptcy", Stage: "materials", Reason: "judgment of the court"})
	if err != nil {
		in.t.Fatal(err)
	}
	agent := in.as("agent")
	if _, err := agent.RecordNotice(ctx, arrangementID, c.ID, client.Notice{To: "supplier", Channel: "mail", Text: "a case was opened"}); err != nil {
		in.t.Fatal(err)
	}
	if c, err = agent.RequestApprovals(ctx, arrangementID, c.ID, client.ApprovalRequest{Purpose: "keep the service running"}); err != nil {
		in.t.Fatal(err)
	}
	return c
}

// code returns the error code of a server's answer.
func code(err error) escrow.Code {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return escrow.Code(e.Code)
	}
	return escrow.CodeOf(err)
}

// push lets a module's deposits come from its depositor's machine.
func (in *installation) push(module string) {
	in.t.Helper()
	if _, err := in.as("supplier").ConfigureModule(in.t.Context(), arrangementID, module, client.ModuleSource{Mode: "push"}); err != nil {
		in.t.Fatal(err)
	}
}

// pushed uploads a sealed object and returns it with a manifest for it.
func (in *installation) pushed(cl *client.Client, plain string, edit func(*evidence.DepositManifest)) client.NewDeposit {
	in.t.Helper()
	return in.pushedTo("code", cl, plain, edit)
}

func (in *installation) pushedTo(module string, cl *client.Client, plain string, edit func(*evidence.DepositManifest)) client.NewDeposit {
	in.t.Helper()
	ctx := in.t.Context()
	in.push(module)
	base, err := cl.DepositBase(ctx, arrangementID, module)
	if err != nil {
		in.t.Fatal(err)
	}
	r, err := age.ParseHybridRecipient(base.Epoch.Recipient)
	if err != nil {
		in.t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, r)
	if err != nil {
		in.t.Fatal(err)
	}
	_, err = io.WriteString(w, plain)
	if err := errors.Join(err, w.Close()); err != nil {
		in.t.Fatal(err)
	}
	name := evidence.Digest(sealed.Bytes())
	if err := cl.PutObject(ctx, arrangementID, module, name, bytes.NewReader(sealed.Bytes()), int64(sealed.Len())); err != nil {
		in.t.Fatal(err)
	}
	m := evidence.DepositManifest{Format: evidence.DepositFormat, Arrangement: arrangementID, Agreement: base.Agreement, Module: module,
		Number: 1, Kind: "FULL", Chain: 1, Compartment: "materials", Epoch: base.Epoch.Number, Set: base.Epoch.Set, Completeness: "complete",
		Objects: []evidence.ObjectEntry{{Name: name, Size: int64(sealed.Len()), Role: "git", Plain: int64(len(plain))}},
		Checked: evidence.Check{By: "depositor", How: "test"}, Made: time.Now().UTC().Format(time.RFC3339), By: "supplier/supplier-1"}
	if base.Latest != nil {
		m.Number, m.Chain, m.Predecessor = base.Latest.Number+1, base.Latest.Number+1, base.Latest.Digest
	}
	if edit != nil {
		edit(&m)
	}
	return in.sign(m)
}

func (in *installation) sign(m evidence.DepositManifest) client.NewDeposit {
	in.t.Helper()
	document, err := evidence.Canonical(m)
	if err != nil {
		in.t.Fatal(err)
	}
	signature, err := evidence.Sign(in.people["supplier"].signer, evidence.NamespaceDeposit, document)
	if err != nil {
		in.t.Fatal(err)
	}
	return client.NewDeposit{Manifest: client.Signed{Document: string(document), Signature: string(signature)}}
}
