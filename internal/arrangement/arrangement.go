// Package arrangement registers agreements and keeps the modules they name
// configured. What an agreement says is decided in escrow/agreement; this
// package makes it the state that the other engines work on.
//
// It may import evidence, escrow and its agreement language. State is reached
// through the interface it declares.
package arrangement

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/signing"
)

// Tx is the state that registering and configuring works on.
type Tx interface {
	Accord
	Accession
	Dated
	ArrangementVersion(ctx context.Context, id string, version int) (escrow.Arrangement, error)
	Arrangement(ctx context.Context, id string) (escrow.Arrangement, error)
	Arrangements(ctx context.Context) ([]escrow.Arrangement, error)
	PutArrangement(ctx context.Context, a escrow.Arrangement) error
	Module(ctx context.Context, arrangement, id string) (escrow.Module, error)
	Modules(ctx context.Context, arrangement string) ([]escrow.Module, error)
	PutModule(ctx context.Context, m escrow.Module) error
	PutCredential(ctx context.Context, c escrow.Credential) error
	Credentials(ctx context.Context, arrangement, module string) ([]escrow.Credential, error)
	Tokens(ctx context.Context, arrangement string) ([]escrow.Token, error)
	PutToken(ctx context.Context, t escrow.Token) error
	DeleteCredential(ctx context.Context, arrangement, module string, kind escrow.CredentialKind) error
	LatestDeposit(ctx context.Context, arrangement, module string) (escrow.Deposit, error)
	SyncStatuses(ctx context.Context, arrangement string) ([]escrow.SyncStatus, error)
}

// Sealer seals a secret to the server's own identity.
type Sealer interface {
	Seal(secret []byte) ([]byte, error)
}

// Registry is the engine.
type Registry struct {
	db           escrow.Database[Tx]
	sealer       Sealer
	now          func() time.Time
	localSources bool // pull modules may name a path on the server
	texts        *texts
}

// New returns a registry over db. localSources lets pull modules read paths
// of the server's own machine.
func New(db escrow.Database[Tx], sealer Sealer, now func() time.Time, localSources bool) *Registry {
	return &Registry{db: db, sealer: sealer, now: now, localSources: localSources, texts: newTexts()}
}

// Register makes an agreement the one in force without signatures. A first
// version creates the arrangement; a later one must have other content. A text
// whose parts ask to be signed is refused, and so is one that changes a part
// which was signed: they come into force by [Registry.Offer]. Modules that the
// text names are added with the source it gives; what was configured since
// stays.
func (r *Registry) Register(ctx context.Context, actor escrow.Actor, source []byte) (escrow.Arrangement, error) {
	parsed, canonical, err := read(source)
	if err != nil {
		return escrow.Arrangement{}, err
	}
	a := escrow.Arrangement{ID: parsed.ID, Digest: evidence.Digest(canonical), Canonical: canonical, Source: source, CreatedAt: r.now()}
	expanded := parsed.Expand()
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		a.Version = 1
		old, err := follows(ctx, tx, parsed, a.Digest)
		if err != nil {
			return nil, err
		}
		if old != nil {
			a.Version = old.Version + 1
		}
		if err := r.unsigned(ctx, tx, parsed, old); err != nil {
			return nil, err
		}
		act, err := bringIntoForce(ctx, tx, actor, a, expanded, nil)
		return []escrow.Act{act}, err
	})
	return a, err
}

// unsigned refuses to register what has to be signed.
func (r *Registry) unsigned(ctx context.Context, tx Tx, parsed *agreement.Agreement, old *escrow.Arrangement) error {
	list, err := tx.AgreementVersions(ctx, parsed.ID)
	if err != nil {
		return err
	}
	var former *agreement.Agreement
	signed := false
	if old != nil {
		var problems agreement.Problems
		if former, problems = agreement.Parse(parsed.ID, old.Source); former == nil {
			return agreement.Refusal(problems)
		}
		for _, v := range list {
			signed = signed || v.State == escrow.VersionActive
		}
	}
	for _, v := range list {
		if v.At(r.now()) == escrow.VersionOffered {
			return escrow.Errorf(escrow.Conflict, "version %d of %q is offered and being signed", v.Version, v.Arrangement).WithHint("withdraw it first with 'holdfast agreement withdraw', or let it be signed")
		}
	}
	parts, err := signing.Parts(former, parsed)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if p.Due && len(p.Sign) > 0 && (p.Asked || signed) {
			return escrow.Errorf(escrow.Conflict, "part %s of version %d has to be signed by %s", p.ID, parsed.Version, strings.Join(p.Sign, ", ")).
				WithHint("bring the text in with 'holdfast agreement draft' and offer it")
		}
	}
	return nil
}

// bringIntoForce makes a text the one that everything else goes by.
func bringIntoForce(ctx context.Context, tx Tx, actor escrow.Actor, a escrow.Arrangement, expanded *agreement.Expanded, more map[string]any) (escrow.Act, error) {
	if err := tx.PutArrangement(ctx, a); err != nil {
		return escrow.Act{}, err
	}
	if err := putModules(ctx, tx, a.ID, expanded.Modules); err != nil {
		return escrow.Act{}, err
	}
	revoked, err := revokeStale(ctx, tx, a.ID, expanded.Parties, a.CreatedAt)
	if err != nil {
		return escrow.Act{}, err
	}
	data := map[string]any{"version": a.Version, "modules": len(expanded.Modules), "tokens_revoked": revoked}
	maps.Copy(data, more)
	return escrow.Act{Kind: "agreement.registered", At: a.CreatedAt, Actor: actor.String(), Arrangement: a.ID, Subject: a.Digest, Data: data}, nil
}

// putModules makes the modules those of the text. What was deposited in one
// that it no longer names stays, but nothing more is fetched for it.
func putModules(ctx context.Context, tx Tx, arrangement string, named []escrow.Module) error {
	for _, m := range named {
		if m.Compartment == "" { // nothing is deposited in it
			continue
		}
		if err := putModule(ctx, tx, m); err != nil {
			return err
		}
	}
	held, err := tx.Modules(ctx, arrangement)
	if err != nil {
		return err
	}
	for _, m := range held {
		if m.Every == 0 || slices.ContainsFunc(named, func(n escrow.Module) bool { return n.ID == m.ID || belongs(held, m, n.ID) }) {
			continue
		}
		m.Every = 0
		if err := tx.PutModule(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// belongs reports whether a module is a repository of the organisation that
// another one names.
func belongs(held []escrow.Module, m escrow.Module, organisation string) bool {
	return escrow.OrganisationOf(m.ID) == organisation && slices.ContainsFunc(held, func(o escrow.Module) bool {
		return o.ID == organisation && o.Source.Mode == escrow.Organisation
	})
}

// revokeStale revokes the tokens of parties that the agreement no longer has,
// or has in another role: a token carries the role it was issued for.
func revokeStale(ctx context.Context, tx Tx, arrangement string, parties []escrow.Party, now time.Time) ([]string, error) {
	tokens, err := tx.Tokens(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	revoked := []string{}
	for _, t := range tokens {
		if !t.RevokedAt.IsZero() || slices.ContainsFunc(parties, func(p escrow.Party) bool { return p.ID == t.Party && p.Role == t.Role }) {
			continue
		}
		t.RevokedAt = now
		if err := tx.PutToken(ctx, t); err != nil {
			return nil, err
		}
		revoked = append(revoked, t.ID)
	}
	return revoked, nil
}

func putModule(ctx context.Context, tx Tx, m escrow.Module) error {
	old, err := tx.Module(ctx, m.Arrangement, m.ID)
	switch {
	case err == nil && old.Compartment != m.Compartment:
		return escrow.Errorf(escrow.Conflict, "module %s lies in compartment %s; it cannot move to %s", m.ID, old.Compartment, m.Compartment).
			WithHint("give the module in the other compartment a new id")
	case err == nil && old.Source.Mode == escrow.Pull && old.Source.URL == "":
		// Registered before anything listed organisations.
	case err == nil:
		m.Source, m.Every, m.Rebase = old.Source, old.Every, old.Rebase
	case escrow.CodeOf(err) != escrow.NotFound:
		return err
	case m.Source.Mode == escrow.Pull && m.Source.URL == "":
		m.Every = 0 // nothing can be fetched before its source is set
	}
	return tx.PutModule(ctx, m)
}

// Arrangement returns the agreement in force and its parties.
func (r *Registry) Arrangement(ctx context.Context, id string) (escrow.Arrangement, []escrow.Party, error) {
	var a escrow.Arrangement
	err := r.db.View(ctx, func(tx Tx) error {
		var err error
		a, err = tx.Arrangement(ctx, id)
		return err
	})
	if err != nil {
		return a, nil, err
	}
	parsed, problems := agreement.Parse(id, a.Source)
	if parsed == nil {
		return a, nil, agreement.Refusal(problems)
	}
	return a, parsed.Expand().Parties, nil
}

// Role returns the role a party has in the text that is in force, or in one
// that is open.
func (r *Registry) Role(ctx context.Context, id, party string) (escrow.Role, error) {
	parties, err := r.parties(ctx, id)
	if err != nil {
		return "", err
	}
	for _, p := range parties {
		if p.ID == party {
			return p.Role, nil
		}
	}
	return "", escrow.Errorf(escrow.NotFound, "arrangement %q has no party %q", id, party)
}

// List returns the agreements in force, by id.
func (r *Registry) List(ctx context.Context) ([]escrow.Arrangement, error) {
	var list []escrow.Arrangement
	err := r.db.View(ctx, func(tx Tx) error {
		var err error
		list, err = tx.Arrangements(ctx)
		return err
	})
	return list, err
}

// Modules returns what is held and where each module stands, by id.
func (r *Registry) Modules(ctx context.Context, arrangement string) ([]escrow.ModuleStatus, error) {
	var out []escrow.ModuleStatus
	err := r.db.View(ctx, func(tx Tx) error {
		if _, err := tx.Arrangement(ctx, arrangement); err != nil {
			return err
		}
		list, err := tx.Modules(ctx, arrangement)
		if err != nil {
			return err
		}
		out, err = statuses(ctx, tx, arrangement, list)
		return err
	})
	return out, err
}

func statuses(ctx context.Context, tx Tx, arrangement string, list []escrow.Module) ([]escrow.ModuleStatus, error) {
	tries, err := tx.SyncStatuses(ctx, arrangement)
	if err != nil {
		return nil, err
	}
	out := make([]escrow.ModuleStatus, len(list))
	for i, m := range list {
		out[i] = escrow.ModuleStatus{Module: m}
		latest, err := tx.LatestDeposit(ctx, arrangement, m.ID)
		switch {
		case err == nil:
			out[i].Latest = latest.Number
		case escrow.CodeOf(err) != escrow.NotFound:
			return nil, err
		}
		if at := slices.IndexFunc(tries, func(s escrow.SyncStatus) bool { return s.Module == m.ID }); at >= 0 {
			out[i].LastTry, out[i].LastError = tries[at].AttemptedAt, tries[at].Error
			out[i].ErrorCode, out[i].ErrorHint = tries[at].Code, tries[at].Hint
		}
	}
	return out, nil
}

// Configure sets where a module's material comes from. A source secret was
// given to one host by those who may give it: when the source moves to another
// host, or to another way of reaching it, its secrets are forgotten and have
// to be set again.
func (r *Registry) Configure(ctx context.Context, actor escrow.Actor, arrangement, module string, s escrow.ModuleSettings) (escrow.ModuleStatus, error) {
	if err := r.checkSource(s.Source); err != nil {
		return escrow.ModuleStatus{}, err
	}
	var out escrow.ModuleStatus
	_, err := r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		m, err := tx.Module(ctx, arrangement, module)
		if err != nil {
			return nil, err
		}
		if s.Source.Mode == escrow.Restic && m.Kind != escrow.Data {
			return nil, escrow.Errorf(escrow.Invalid, "module %s is of kind %s; restic writes into modules of kind %s", m.ID, m.Kind, escrow.Data)
		}
		if m.Kind != escrow.Repository && s.Source.Mode == escrow.Organisation {
			return nil, escrow.Errorf(escrow.Invalid, "module %s is of kind %s; an organisation holds repositories", m.ID, m.Kind)
		}
		if err := independent(ctx, tx, m); err != nil {
			return nil, err
		}
		forgotten := []string{}
		if place(m.Source.URL) != place(s.Source.URL) {
			if forgotten, err = forget(ctx, tx, m); err != nil {
				return nil, err
			}
		}
		m.Source, m.Every, m.Rebase = s.Source, s.Every, s.Rebase
		if err := tx.PutModule(ctx, m); err != nil {
			return nil, err
		}
		list, err := statuses(ctx, tx, arrangement, []escrow.Module{m})
		if err != nil {
			return nil, err
		}
		out = list[0]
		return []escrow.Act{{Kind: "module.configured", At: r.now(), Actor: actor.String(), Arrangement: arrangement, Subject: module,
			Data: map[string]any{"mode": string(s.Source.Mode), "url": s.Source.URL, "lfs": s.Source.LFS, "exclude": s.Source.Exclude,
				"every": s.Every.String(), "rebase": s.Rebase, "secrets_forgotten": forgotten}}}, nil
	})
	return out, err
}

// independent refuses a repository of an organisation, whose source follows
// from the listing.
func independent(ctx context.Context, tx Tx, m escrow.Module) error {
	id := escrow.OrganisationOf(m.ID)
	if id == "" {
		return nil
	}
	o, err := tx.Module(ctx, m.Arrangement, id)
	if escrow.CodeOf(err) == escrow.NotFound {
		return nil
	}
	if err == nil && o.Source.Mode == escrow.Organisation {
		err = escrow.Errorf(escrow.Conflict, "module %s is a repository of the organisation in module %s and follows it", m.ID, id).WithHint("set it on module %s", id)
	}
	return err
}

// place is what a source's secrets are given to: the way and the host.
func place(source string) string {
	u, err := url.Parse(source)
	if err != nil || u.Host == "" {
		return "" // a path on this machine takes no secret
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// forget removes the secrets that would be sent to the source. A webhook
// secret proves the forge to us and is sent nowhere.
func forget(ctx context.Context, tx Tx, m escrow.Module) ([]string, error) {
	list, err := tx.Credentials(ctx, m.Arrangement, m.ID)
	if err != nil {
		return nil, err
	}
	forgotten := []string{}
	for _, c := range list {
		if c.Kind == escrow.WebhookSecret {
			continue
		}
		if err := tx.DeleteCredential(ctx, m.Arrangement, m.ID, c.Kind); err != nil {
			return nil, err
		}
		forgotten = append(forgotten, string(c.Kind))
	}
	return forgotten, nil
}

func (r *Registry) checkSource(s escrow.Source) error {
	if s.HostKey != "" {
		if _, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.HostKey)); err != nil {
			return escrow.Errorf(escrow.Invalid, "the host key is not one line in authorized_keys form").
				WithHint("ssh-keyscan HOST prints it; compare it over another channel")
		}
	}
	switch s.Mode {
	case escrow.Push, escrow.Restic:
		return nil
	case escrow.Pull, escrow.Organisation:
	default:
		return escrow.Errorf(escrow.Invalid, "mode %q is not one of pull, push, restic and organisation", s.Mode)
	}
	if s.URL == "" {
		return escrow.Errorf(escrow.Invalid, "a %s module needs a URL", s.Mode)
	}
	if s.Mode == escrow.Organisation && !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://") {
		return escrow.Errorf(escrow.Invalid, "the address of an organisation begins with https").WithHint("give the address of its page, such as https://github.com/acme")
	}
	if strings.HasPrefix(s.URL, "/") || strings.HasPrefix(s.URL, "file:") {
		if !r.localSources {
			return escrow.Errorf(escrow.Forbidden, "this server does not read paths of its own machine").WithHint("set local_sources in the configuration if sources are mounted on purpose")
		}
		return nil
	}
	u, err := url.Parse(s.URL)
	if err != nil { // the error quotes the URL, which may hold a secret
		return escrow.Errorf(escrow.Invalid, "the source is not a URL")
	}
	_, password := u.User.Password()
	if password || (u.User != nil && u.Scheme != "ssh") {
		return escrow.Errorf(escrow.Invalid, "the source's URL holds a credential").WithHint("leave it out of the URL and set it with 'holdfast module secret'")
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" { // some hide a token there; the text must not be kept
		return escrow.Errorf(escrow.Invalid, "the source's URL holds a query or a fragment").WithHint("name the repository alone; a token is set with 'holdfast module secret'")
	}
	if !slices.Contains([]string{"https", "http", "ssh", "git"}, u.Scheme) {
		return escrow.Errorf(escrow.Invalid, "source scheme %q is not one of https, http, ssh and git", u.Scheme)
	}
	return nil
}

// SetCredential seals a source secret and keeps only the ciphertext.
func (r *Registry) SetCredential(ctx context.Context, actor escrow.Actor, arrangement, module string, kind escrow.CredentialKind, secret []byte) error {
	switch kind {
	case escrow.SourceToken, escrow.DeployKey, escrow.WebhookSecret:
	default:
		return escrow.Errorf(escrow.Invalid, "credential kind %q is not one of token, deploy_key and webhook_secret", kind)
	}
	if len(secret) == 0 {
		return escrow.Errorf(escrow.Invalid, "the secret is empty")
	}
	if kind == escrow.DeployKey {
		if _, err := ssh.ParsePrivateKey(secret); err != nil {
			return escrow.Errorf(escrow.Invalid, "the deploy key is not an unencrypted private key in OpenSSH or PEM form")
		}
	}
	sealed, err := r.sealer.Seal(secret)
	if err != nil {
		return err
	}
	_, err = r.db.Update(ctx, func(tx Tx) ([]escrow.Act, error) {
		m, err := tx.Module(ctx, arrangement, module)
		if err != nil {
			return nil, err
		}
		if kind != escrow.WebhookSecret {
			if err := independent(ctx, tx, m); err != nil {
				return nil, err
			}
		}
		c := escrow.Credential{Arrangement: arrangement, Module: module, Kind: kind, Sealed: sealed, UpdatedAt: r.now()}
		if err := tx.PutCredential(ctx, c); err != nil {
			return nil, err
		}
		return []escrow.Act{{Kind: "credential.set", At: c.UpdatedAt, Actor: actor.String(), Arrangement: arrangement, Subject: module,
			Data: map[string]string{"kind": string(kind)}}}, nil
	})
	return err
}
