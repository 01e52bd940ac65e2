package api

import (
	"context"
	"net/http"
	"strings"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// Keys looks after contacts and epochs.
type Keys interface {
	AddContact(ctx context.Context, actor escrow.Actor, arrangement string, document []byte) (escrow.Contact, error)
	Contacts(ctx context.Context, arrangement string) ([]escrow.Contact, error)
	Publish(ctx context.Context, actor escrow.Actor, arrangement string, manifest, signature []byte, packages []escrow.SharePackage) (escrow.Epoch, error)
	Accept(ctx context.Context, actor escrow.Actor, arrangement string, document, signature []byte) (escrow.Epoch, error)
	Fetch(ctx context.Context, actor escrow.Actor, arrangement, compartment string, epoch int) (escrow.SharePackage, error)
	Epochs(ctx context.Context, arrangement, compartment string) ([]escrow.Epoch, map[int][]string, error)
}

// keyBody is the limit for ceremonies: a sealed share is about 6 kB a person.
const keyBody = 24 << 20

func (a *api) keys() {
	type contactInput struct {
		ArrangementPath
		Body client.Contact
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/contacts", id: "add-contact", summary: "Pin the self-signed contact card of a person",
		action: escrow.AddContact, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *contactInput) (*reply[client.Contact], error) {
			c, err := a.Keys.AddContact(ctx, actor, in.Arrangement, []byte(in.Body.Document))
			if err != nil {
				return nil, err
			}
			return answer(contact(c)), nil
		})
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/contacts", id: "list-contacts", summary: "The pinned contact cards", action: escrow.ReadArrangement},
		func(ctx context.Context, actor escrow.Actor, in *ArrangementPath) (*reply[[]client.Contact], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err != nil {
				return nil, err
			}
			list, err := a.Keys.Contacts(ctx, in.Arrangement)
			if err != nil {
				return nil, err
			}
			out := []client.Contact{}
			for _, c := range list {
				if v.Contact(c.Party) {
					out = append(out, contact(c))
				}
			}
			return answer(out), nil
		})
	type publishInput struct {
		ArrangementPath
		Body client.NewEpoch
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/epochs", id: "publish-epoch", summary: "Publish what a dealer made on their own machine",
		action: escrow.DealEpoch, status: http.StatusCreated, body: keyBody},
		func(ctx context.Context, actor escrow.Actor, in *publishInput) (*reply[client.Epoch], error) {
			packages := make([]escrow.SharePackage, len(in.Body.Packages))
			for i, p := range in.Body.Packages {
				packages[i] = escrow.SharePackage{Trustee: p.Trustee, Person: p.Person, Sealed: []byte(p.Sealed)}
			}
			e, err := a.Keys.Publish(ctx, actor, in.Arrangement, []byte(in.Body.Manifest.Document), []byte(in.Body.Manifest.Signature), packages)
			if err != nil {
				return nil, err
			}
			return answer(epoch(e, nil)), nil
		})
	type CompartmentPath struct {
		ArrangementPath
		Compartment string `path:"compartment" maxLength:"128"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/compartments/{compartment}/epochs", id: "list-epochs", summary: "The epochs of a compartment", action: escrow.ReadArrangement},
		func(ctx context.Context, actor escrow.Actor, in *CompartmentPath) (*reply[[]client.Epoch], error) {
			v, err := a.Views.View(ctx, actor, in.Arrangement)
			if err == nil && !v.Compartment(in.Compartment) {
				err = notSeen(in.Arrangement)
			}
			if err != nil {
				return nil, err
			}
			list, accepted, err := a.Keys.Epochs(ctx, in.Arrangement, in.Compartment)
			if err != nil {
				return nil, err
			}
			out := make([]client.Epoch, len(list))
			for i, e := range list {
				if out[i] = epoch(e, accepted[e.Number]); !v.Manifest(in.Compartment, e.Manifest) {
					out[i].Manifest, out[i].Accepted = client.Signed{}, nil
				}
			}
			return answer(out), nil
		})
	type packagePath struct {
		CompartmentPath
		Epoch int `path:"epoch" minimum:"1"`
	}
	route(a, op{method: http.MethodGet, path: "/arrangements/{arrangement}/compartments/{compartment}/epochs/{epoch}/package", id: "fetch-package",
		summary: "The caller's own sealed share; fetching it is recorded", action: escrow.FetchPackage},
		func(ctx context.Context, actor escrow.Actor, in *packagePath) (*reply[client.SharePackage], error) {
			p, err := a.Keys.Fetch(ctx, actor, in.Arrangement, in.Compartment, in.Epoch)
			if err != nil {
				return nil, err
			}
			return answer(client.SharePackage{Trustee: p.Trustee, Person: p.Person, Sealed: string(p.Sealed)}), nil
		})
	type acceptInput struct {
		ArrangementPath
		Body client.Signed
	}
	route(a, op{method: http.MethodPost, path: "/arrangements/{arrangement}/acceptances", id: "accept-share", summary: "A trustee's signed word that its share is good",
		action: escrow.AcceptShare, status: http.StatusCreated},
		func(ctx context.Context, actor escrow.Actor, in *acceptInput) (*reply[client.Epoch], error) {
			e, err := a.Keys.Accept(ctx, actor, in.Arrangement, []byte(in.Body.Document), []byte(in.Body.Signature))
			if err != nil {
				return nil, err
			}
			return answer(epoch(e, nil)), nil
		})
}

func contact(c escrow.Contact) client.Contact {
	return client.Contact{Party: c.Party, Person: c.Person, Recipient: c.Recipient, Signing: c.SigningKey, Document: strings.TrimSuffix(string(c.Document), "\n")}
}

func epoch(e escrow.Epoch, accepted []string) client.Epoch {
	return client.Epoch{Compartment: e.Compartment, Number: e.Number, Set: e.Set, Recipient: e.Recipient,
		Manifest: client.Signed{Document: string(e.Manifest), Signature: string(e.Signature)}, State: string(e.State), Required: e.Required,
		Accepted: accepted, ActivatedAt: timePtr(e.ActivatedAt), EndedAt: timePtr(e.EndedAt), EndReason: e.EndReason}
}
