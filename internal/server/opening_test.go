package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/restore"
	"holdfast/internal/seal"
)

// identity puts the release identity of an epoch together from three
// trustees' shares, as only they could.
func (in *installation) identity(epoch int) *age.HybridIdentity {
	in.t.Helper()
	if id := in.identities[epoch]; id != nil {
		return id
	}
	var offered []seal.Offered
	var manifest *evidence.KeyManifest
	for _, party := range []string{"agent", "foundation", "notary"} {
		m, share, err := in.share(in.as(party), in.people[party], epoch)
		if err != nil {
			in.t.Fatal(err)
		}
		manifest, offered = m, append(offered, seal.Offered{Name: party, Text: share.Text})
	}
	combined, err := seal.Combine(offered, manifest)
	if err != nil {
		in.t.Fatal(err)
	}
	in.identities[epoch] = combined.Identity
	return combined.Identity
}

// objectPath is where an object lies on the disk of the server.
func (in *installation) objectPath(name string) string {
	for _, l := range in.config.Locations {
		if path := filepath.Join(l.Path, name[:2], name); l.Path != "" {
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	return filepath.Join(in.config.ObjectsDir(), name[:2], name)
}

// plain decrypts one object of a deposit.
func (in *installation) plain(m *evidence.DepositManifest, o evidence.ObjectEntry) (io.ReadCloser, error) {
	keys, err := evidence.ParseKeyManifest(in.manifest(m.Epoch))
	if err != nil {
		return nil, err
	}
	id := in.identity(m.Epoch)
	sealed, err := os.ReadFile(in.objectPath(o.Name))
	if err != nil {
		return nil, err
	}
	if got := evidence.Digest(sealed); got != o.Name || int64(len(sealed)) != o.Size {
		return nil, escrow.Errorf(escrow.Damaged, "object %s has %d bytes that hash to %s", o.Name, len(sealed), got)
	}
	r, err := seal.Open(bytes.NewReader(sealed), seal.OpenOptions{Name: o.Name, Size: o.Size, SealedTo: keys.SealTo()}, id)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(r), nil
}

// deposits lists the deposits of a module and checks that they are numbered
// without a gap, each on its predecessor.
func (in *installation) deposits(module string) ([]client.Deposit, []*evidence.DepositManifest) {
	in.t.Helper()
	list, err := in.admin.Deposits(in.t.Context(), arrangementID, module)
	if err != nil {
		in.t.Fatal(err)
	}
	return list, parseChain(in.t, list)
}

func parseChain(t testing.TB, list []client.Deposit) []*evidence.DepositManifest {
	t.Helper()
	var manifests []*evidence.DepositManifest
	before := ""
	for i, d := range list {
		m, err := evidence.ParseDepositManifest([]byte(d.Manifest.Document))
		if err != nil {
			t.Fatal(err)
		}
		if d.Number != i+1 || m.Number != d.Number || m.Kind != d.Kind || m.Predecessor != before || evidence.Digest([]byte(d.Manifest.Document)) != d.Digest {
			t.Errorf("deposit %d of %s is out of place: manifest %d %s on %.12s", d.Number, d.Module, m.Number, m.Kind, m.Predecessor)
		}
		before, manifests = d.Digest, append(manifests, m)
	}
	return manifests
}

// kinds renders the kinds of a module's deposits, "FULL INCREMENTAL" say.
func (in *installation) kinds(module string) string {
	in.t.Helper()
	list, _ := in.deposits(module)
	var words []string
	for _, d := range list {
		words = append(words, d.Kind)
	}
	return strings.Join(words, " ")
}

// seen is what a repository shows to whoever clones it.
type seen struct{ refs, head string }

func look(t testing.TB, r *gittest.Repo) seen { return seen{r.Refs(t), r.Head(t)} }

// restored rebuilds a module at a deposit from what lies on the server's disk
// and compares it with what the source showed at that time.
func (in *installation) restored(module string, number int, want seen) (*gittest.Repo, *restore.Report) {
	in.t.Helper()
	_, manifests := in.deposits(module)
	if len(manifests) < number {
		in.t.Fatalf("%s has %d deposits, want deposit %d", module, len(manifests), number)
	}
	var chain []restore.Deposit
	for _, m := range manifests[:number] {
		d := restore.Deposit{Number: m.Number, Kind: escrow.DepositKind(m.Kind)}
		for _, o := range m.Objects {
			open := func(context.Context) (io.ReadCloser, error) { return in.plain(m, o) }
			switch o.Role {
			case "git":
				d.Open = open
			case "lfs":
				d.LFS = append(d.LFS, restore.LFSObject{Name: o.Name, Open: open})
			}
		}
		chain = append(chain, d)
	}
	dir := filepath.Join(in.t.TempDir(), "copy")
	report, err := restore.Rebuild(in.t.Context(), restore.Options{Dir: dir, Deposits: chain})
	if err != nil {
		in.t.Fatalf("%s, deposit %d: %v", module, number, err)
	}
	r := &gittest.Repo{Dir: dir, Format: report.ObjectFormat.String()}
	if got := look(in.t, r); got != want {
		in.t.Errorf("%s, deposit %d is restored as\n%s %s\nwant\n%s %s", module, number, got.head, got.refs, want.head, want.refs)
	}
	if out, err := gittest.Run(dir, nil, "fsck", "--full", "--strict"); err != nil {
		in.t.Errorf("%s, deposit %d: %s %v", module, number, out, err)
	}
	return r, report
}

// acts returns the acts of one kind that a party of the arrangement sees in
// the ledger.
func (in *installation) acts(as *client.Client, kind string) []*evidence.Act {
	in.t.Helper()
	var found []*evidence.Act
	for after := int64(0); ; {
		list, err := as.LedgerEntries(in.t.Context(), arrangementID, after, 1000)
		if err != nil {
			in.t.Fatal(err)
		}
		for _, e := range list {
			after = e.Index + 1
			if e.Payload == "" {
				continue
			}
			a, err := evidence.ParseAct([]byte(e.Payload))
			if err != nil {
				in.t.Fatal(err)
			}
			if a.Kind == kind {
				found = append(found, a)
			}
		}
		if len(list) == 0 {
			return found
		}
	}
}

// data renders what an act says, for comparing.
func data(t testing.TB, a *evidence.Act) string {
	t.Helper()
	text, err := json.Marshal(a.Data)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %s", a.Subject, text)
}
