package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
)

// forgeCard EXPORT PARTY: what somebody does to an export who wants his own
// key to count for the party's: a new card, and every manifest signed anew.
func forgeCard(ts *testscript.TestScript, dir, party string) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	ts.Check(err)
	signer, err := ssh.NewSignerFromKey(private)
	ts.Check(err)
	path := ts.MkAbs(filepath.Join(dir, "contacts", party+"--"+party+".contact"))
	data, err := os.ReadFile(path)
	ts.Check(err)
	old, err := evidence.ParseContact(data)
	ts.Check(err)
	card, err := evidence.SignContact(evidence.Contact{Party: party, Person: party, Recipient: old.Recipient, Created: evidence.At(time.Now())}, signer)
	ts.Check(err)
	ts.Check(os.WriteFile(path, card, 0o600))
	manifests, err := filepath.Glob(ts.MkAbs(filepath.Join(dir, "deposits", "*", "*", "manifest.json")))
	ts.Check(err)
	for _, path := range manifests {
		document, err := os.ReadFile(path)
		ts.Check(err)
		signature, err := evidence.Sign(signer, evidence.NamespaceDeposit, document)
		ts.Check(err)
		ts.Check(os.WriteFile(path+".sig", signature, 0o600))
	}
}

// hollow CASE TRUSTEE hands in an approval of the trustee as it has to be, but
// with no share in it.
func hollow(ts *testscript.TestScript, id, trustee string) {
	dir := filepath.Join("approvals", id, trustee)
	succeeds(ts, []string{"as", trustee, "case", "statement", id, "--out", dir})
	succeeds(ts, []string{"holdfast", "approve", "--from", dir, "--key", "keys/" + trustee + ".key", "--out", dir + "/approval.json", "--yes"})
	path := ts.MkAbs(dir + "/approval.json")
	document, err := os.ReadFile(path)
	ts.Check(err)
	a, err := evidence.ParseApproval(document)
	ts.Check(err)
	card, err := readContact(ts.MkAbs("keys/customer.contact"))
	ts.Check(err)
	recipient, err := age.ParseHybridRecipient(card.Recipient)
	ts.Check(err)
	var sealed bytes.Buffer
	armored := armor.NewWriter(&sealed)
	w, err := age.Encrypt(armored, recipient)
	ts.Check(err)
	_, err = io.WriteString(w, "nothing\n")
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(armored.Close())
	a.Package, a.PackageDigest = sealed.String(), evidence.Digest(sealed.Bytes())
	document, err = a.Bytes()
	ts.Check(err)
	signer, err := readSigner(ts.MkAbs("keys/"+trustee+".sign"), "")
	ts.Check(err)
	signature, err := evidence.Sign(signer, evidence.NamespaceApproval, document)
	ts.Check(err)
	ts.Check(os.WriteFile(path, document, 0o600))
	ts.Check(os.WriteFile(path+".sig", signature, 0o600))
	succeeds(ts, []string{"as", trustee, "case", "approve", id, "--approval", dir + "/approval.json"})
}

// liar is a server of the world between a client and its server. It passes
// everything on until it is told to lie.
type liar struct {
	mu    sync.Mutex
	lie   string
	bases [][]byte // what was answered about the base of a deposit, the oldest first
}

type liarKey struct{}

// startLiar puts a liar in front of the server.
func startLiar(ts *testscript.TestScript) {
	target, err := url.Parse(ts.Getenv("HOLDFAST_SERVER"))
	ts.Check(err)
	l := &liar{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = l.answer
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.says("accepts-nothing") && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/deposits") {
			body, _ := io.ReadAll(r.Body) // the client sees to it
			_, _ = w.Write([]byte(`{"module":"code","number":3,"kind":"FULL","completeness":"complete","manifest":` + string(body[len(`{"manifest":`):])))
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	ts.Setenv("HOLDFAST_SERVER", s.URL)
	ts.Value(liarKey{}).(*holder).liar = l
}

// holder lets a script keep its liar.
type holder struct{ liar *liar }

func lie(ts *testscript.TestScript, what string) {
	l := ts.Value(liarKey{}).(*holder).liar
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lie = what
}

func (l *liar) says(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lie == what
}

func (l *liar) answer(r *http.Response) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	path := r.Request.URL.Path
	if r.StatusCode != http.StatusOK || !strings.HasSuffix(path, "/base") && !strings.HasSuffix(path, "/state") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if strings.HasSuffix(path, "/base") {
		l.bases = append(l.bases, body)
		switch {
		case l.lie == "went-back":
			body = l.bases[1] // when there was one deposit
		case l.lie == "other-key":
			body = bytes.Replace(body, []byte("-----BEGIN SSH SIGNATURE-----"), []byte("-----BEGIN SSH SIGNATURE-----\\n"), 1)
		}
	} else if l.lie == "state" {
		body = bytes.ToUpper(body)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", "")
	r.Header.Del("Content-Length")
	return nil
}
