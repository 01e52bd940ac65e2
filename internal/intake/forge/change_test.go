package forge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/forge"
)

// org plays one organisation's listings, as the server does with its database.
type org struct {
	known  []escrow.ForgeRepository
	agreed escrow.AgreedRepositories
	taken  []string
	origin string
	clock  time.Time
}

// list is one listing: "number:name" with a for archived and p for private in
// front. It returns the changes as "kind name module".
func (o *org) list(t *testing.T, entries ...string) string {
	t.Helper()
	l := &forge.Listing{Origin: o.origin}
	for _, e := range entries {
		number, name, _ := strings.Cut(e, ":")
		flags := strings.TrimRight(number, "0123456789")
		l.Repositories = append(l.Repositories, forge.Repository{Remote: strings.TrimPrefix(number, flags), Name: name, URL: "https://f/" + name, Archived: strings.Contains(flags, "a"), Private: strings.Contains(flags, "p")})
	}
	o.clock = o.clock.Add(time.Hour)
	before := forge.Before{Arrangement: "acme", Organisation: "code", Known: o.known, Taken: o.taken, Agreed: o.agreed, Now: o.clock}
	after := forge.Compare(before, l)
	o.known = after.All
	for _, r := range after.All {
		if r.Module != "" && !evidence.IsID(r.Module) {
			t.Errorf("module %q is no id", r.Module)
		}
	}
	before.Known = after.All
	if again := forge.Compare(before, l); len(again.Put)+len(again.Drop)+len(again.Changes) > 0 {
		t.Errorf("the same listing again changes %+v", again)
	}
	var out []string
	for _, c := range after.Changes {
		text := fmt.Sprintf("%s %s", c.Kind, c.Name)
		if c.Was != "" {
			text += " was " + c.Was
		}
		if c.Module != "" {
			text += " in " + strings.TrimPrefix(c.Module, "code/")
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func TestChanges(t *testing.T) {
	o := &org{origin: "https://f", agreed: escrow.AgreedRepositories{}}
	for _, step := range []struct {
		entries []string
		want    string
	}{
		{[]string{"1:app", "2:web.site", "a3:old"}, "added app in app; added web.site in web-site; added old in old; archived old in old"},
		{[]string{"1:app", "2:web.site", "a3:old"}, ""},
		{[]string{"1:App", "2:web.site", "3:old"}, "renamed App was app in app; unarchived old in old"},
		// A new one under a name that was another's is not the other one.
		{[]string{"1:core", "p2:web.site", "3:old", "4:app"}, "renamed core was App in app; made_private web.site in web-site; added app in app-4"},
		{[]string{"1:core", "4:app", "5:web-site", "6:web_site"}, "added web-site in web-site-5; added web_site in web_site; gone web.site in web-site; gone old in old"},
		{[]string{"1:core", "4:app", "5:web-site", "6:web_site", "a2:web.site"}, "made_public web.site in web-site; returned web.site in web-site; archived web.site in web-site"},
	} {
		if got := o.list(t, step.entries...); got != step.want {
			t.Errorf("%v:\n got %s\nwant %s", step.entries, got, step.want)
		}
	}
	// Another forge counts for itself.
	o.origin = "https://g"
	if got := o.list(t, "1:core"); !strings.HasPrefix(got, "added core in core; gone ") || strings.Count(got, "gone") != 5 {
		t.Error(got)
	}
}

func TestAgreedList(t *testing.T) {
	o := &org{origin: "https://f", agreed: escrow.AgreedRepositories{Mandatory: []string{"app", "docs"}, Optional: []string{"lib-*"}}}
	for _, step := range []struct {
		entries []string
		want    string
	}{
		{[]string{"1:App", "2:lib-a"}, "added App in app; added lib-a in lib-a; missing docs"},
		{[]string{"1:App", "2:lib-a", "3:docs", "4:game"}, "added docs in docs; unlisted game in game; found docs"},
		{[]string{"1:App", "2:tool", "4:game"}, "renamed tool was lib-a in lib-a; unlisted tool in lib-a; gone docs in docs"},
	} {
		if got := o.list(t, step.entries...); got != step.want {
			t.Errorf("%v:\n got %s\nwant %s", step.entries, got, step.want)
		}
	}

	o = &org{origin: "https://f", agreed: escrow.AgreedRepositories{Include: []string{"app*", "core"}}}
	if got := o.list(t, "1:app-1", "2:game"); got != "added app-1 in app-1; unlisted game; missing core" {
		t.Error(got)
	}
	// Renaming it out of the agreement does not end its deposits.
	if got := o.list(t, "1:zzz", "2:game"); got != "renamed zzz was app-1 in app-1; unlisted zzz in app-1" {
		t.Error(got)
	}
	o.agreed.Include = []string{"*"}
	if got := o.list(t, "1:zzz", "2:game"); got != "included game in game" {
		t.Error(got)
	}
	o.agreed.Include = []string{"zzz"}
	if got := o.list(t, "1:zzz", "2:game", "3:toy"); got != "unlisted toy" { // what was included once stays
		t.Error(got)
	}
	if forge.Empty(&forge.Listing{}, "x") == nil || forge.Empty(&forge.Listing{Repositories: make([]forge.Repository, 1)}, "x") != nil {
		t.Error("an empty listing is taken, or another is not")
	}
}

func FuzzSlug(f *testing.F) {
	for _, s := range []string{"app", "Web.Site", "-x-", "___", "é", "a/b", strings.Repeat("a-", 90), ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if id := "code/" + forge.Slug(name); !evidence.IsID(id) {
			t.Errorf("%q gives %q", name, id)
		}
	})
}
