package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/net/publicsuffix"

	"holdfast/internal/escrow"
)

// RegistryOptions say where images come from and how they are reached.
type RegistryOptions struct {
	// Address is https://HOST/REPOSITORY, with :TAG or @DIGEST for one image
	// and without for every tag.
	Address string
	// Credential is "USER:PASSWORD", or a registry token; "" asks as nobody.
	Credential string
	// Transport makes every connection.
	Transport http.RoundTripper
}

// Registry is a repository of a registry.
type Registry struct {
	repository name.Repository
	reference  name.Reference // nil for every tag
	puller     *remote.Puller
}

var _ Source = (*Registry)(nil)

// NewRegistry reads the address. A credential is refused inside it.
func NewRegistry(o RegistryOptions) (*Registry, error) {
	u, err := url.Parse(o.Address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, escrow.Errorf(escrow.Invalid, "the source of images is not https://HOST/REPOSITORY, with or without :TAG or @DIGEST")
	}
	var options []name.Option
	if u.Scheme == "http" {
		options = append(options, name.Insecure)
	}
	text := u.Host + u.Path
	r := &Registry{}
	last := text[strings.LastIndexByte(text, '/')+1:]
	if strings.ContainsAny(last, ":@") && strings.Contains(text, "/") {
		if r.reference, err = name.ParseReference(text, options...); err == nil {
			r.repository = r.reference.Context()
		}
	} else {
		r.repository, err = name.NewRepository(text, options...)
	}
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "the source of images: %v", err)
	}
	auth := authn.Anonymous
	if user, password, ok := strings.Cut(o.Credential, ":"); ok {
		auth = &authn.Basic{Username: user, Password: password}
	} else if o.Credential != "" {
		auth = &authn.Bearer{Token: o.Credential}
	}
	guard := &homeOnly{next: o.Transport, host: r.repository.RegistryStr()}
	if r.puller, err = remote.NewPuller(remote.WithTransport(guard), remote.WithAuth(auth), remote.WithUserAgent("holdfast"), remote.WithJobs(2)); err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "the source of images: %v", err)
	}
	return r, nil
}

// homeOnly lets credentials go to the registry and to a token server of the
// same domain, and to nobody else a registry may name.
type homeOnly struct {
	next http.RoundTripper
	host string
}

func (h *homeOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") != "" && !sameDomain(h.host, r.URL.Host) {
		return nil, escrow.Errorf(escrow.Forbidden, "%s asks for the credential to be sent to %.200q, which is of another domain", h.host, r.URL.Host).
			WithHint("name the registry that issues the token, or deposit without a credential")
	}
	return h.next.RoundTrip(r)
}

func sameDomain(registry, other string) bool {
	if registry == other {
		return true
	}
	hostname := func(s string) string { u := url.URL{Host: s}; return strings.ToLower(u.Hostname()) }
	a, aerr := publicsuffix.EffectiveTLDPlusOne(hostname(registry))
	b, berr := publicsuffix.EffectiveTLDPlusOne(hostname(other))
	if aerr != nil || berr != nil { // an address, or a name of one part
		return false
	}
	return a == b
}

// Name implements Source.
func (r *Registry) Name() string { return r.repository.String() }

// maxTags bounds the tags that are looked through.
const maxTags = 100_000

// Images implements Source: every tag, or the one that was asked for.
func (r *Registry) Images(ctx context.Context) ([]Image, error) {
	if r.reference != nil {
		m, err := r.resolve(ctx, r.reference)
		return []Image{m}, err
	}
	lister, err := r.puller.Lister(ctx, r.repository)
	if err != nil {
		return nil, r.explain(err, "the tags")
	}
	var tags []string
	for lister.HasNext() {
		page, err := lister.Next(ctx)
		if err != nil {
			return nil, r.explain(err, "the tags")
		}
		if tags = append(tags, page.Tags...); len(tags) > maxTags {
			return nil, escrow.Errorf(escrow.Invalid, "%s has more than %d tags", r.Name(), maxTags)
		}
	}
	if len(tags) > maxImages {
		return nil, escrow.Errorf(escrow.Invalid, "%s has %d tags; one module takes %d", r.Name(), len(tags), maxImages).WithHint("name one tag in the address: HOST/REPOSITORY:TAG")
	}
	var out []Image
	for _, tag := range tags {
		if !isTag(tag) {
			return nil, escrow.Errorf(escrow.Invalid, "%s names a tag %.80q", r.Name(), tag)
		}
		m, err := r.resolve(ctx, r.repository.Tag(tag))
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (r *Registry) resolve(ctx context.Context, ref name.Reference) (Image, error) {
	d, err := r.puller.Head(ctx, ref)
	if err != nil { // not every registry answers HEAD with a digest
		full, gerr := r.puller.Get(ctx, ref)
		if gerr != nil {
			return Image{}, r.explain(gerr, ref.Identifier())
		}
		d = &full.Descriptor
	}
	m := Image{Digest: d.Digest.String(), MediaType: string(d.MediaType), Size: d.Size}
	if tag, ok := ref.(name.Tag); ok {
		m.Name = tag.TagStr()
	}
	if !isDigest(m.Digest) || m.Size <= 0 {
		return m, escrow.Errorf(escrow.Damaged, "%s gives no digest for %s", r.Name(), ref.Identifier())
	}
	return m, nil
}

// Manifest implements Source.
func (r *Registry) Manifest(ctx context.Context, digest string) ([]byte, error) {
	d, err := r.puller.Get(ctx, r.repository.Digest(digest))
	if err != nil {
		return nil, r.explain(err, "manifest "+digest)
	}
	return d.Manifest, nil
}

// Blob implements Source.
func (r *Registry) Blob(ctx context.Context, digest string) (io.ReadCloser, error) {
	l, err := r.puller.Layer(ctx, r.repository.Digest(digest))
	if err != nil {
		return nil, r.explain(err, "blob "+digest)
	}
	rc, err := l.Compressed()
	if err != nil {
		return nil, r.explain(err, "blob "+digest)
	}
	return rc, nil
}

// explain tells what went wrong without what the registry or the URL of the
// request says: both can hold a secret.
func (r *Registry) explain(err error, what string) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e, ok := errors.AsType[*escrow.Error](err); ok { // of the guard
		return e
	}
	e, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return escrow.Wrap(err, escrow.Unavailable, "%s does not answer as a registry does", r.repository.RegistryStr()).WithHint("check the address, and that the registry can be reached from here")
	}
	switch e.StatusCode {
	case http.StatusNotFound:
		return escrow.Errorf(escrow.Missing, "%s has no %s", r.Name(), what)
	case http.StatusUnauthorized, http.StatusForbidden:
		return escrow.Errorf(escrow.Forbidden, "%s does not show %s to this credential", r.Name(), what).
			WithHint("set one that may pull: 'holdfast module secret', as USER:PASSWORD or a token")
	}
	return escrow.Errorf(escrow.Unavailable, "%s answers %s when asked for %s", r.repository.RegistryStr(), fmt.Sprint(e.StatusCode), what)
}
