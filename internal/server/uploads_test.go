package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

const mebi = 1 << 20

// upload is an object of 16 MiB in two parts of 8 MiB.
type upload struct {
	in    *installation
	token string
	data  []byte
	name  string
}

func newUpload(in *installation, seed byte) *upload {
	in.t.Helper()
	issued, err := in.admin.IssueToken(in.t.Context(), arrangementID, client.NewToken{Party: "supplier", Person: in.people["supplier"].name})
	if err != nil {
		in.t.Fatal(err)
	}
	u := &upload{in: in, token: issued.Token, data: make([]byte, 16*mebi)}
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(u.data) // never fails
	u.name = evidence.Digest(u.data)
	return u
}

// put sends bytes as the given range and returns the answer's status and how
// the upload stands.
func (u *upload) put(from, to int, body io.Reader) (int, client.UploadState) {
	u.in.t.Helper()
	req, err := http.NewRequestWithContext(u.in.t.Context(), http.MethodPut, u.url(""), body)
	if err != nil {
		u.in.t.Fatal(err)
	}
	req.ContentLength = int64(to - from)
	req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(u.data)))
	return u.do(req)
}

func (u *upload) url(rest string) string {
	return u.in.url + "/api/v1/arrangements/" + arrangementID + "/modules/code/objects/" + u.name + rest
}

func (u *upload) do(req *http.Request) (int, client.UploadState) {
	req.Header.Set("Authorization", "Bearer "+u.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, client.UploadState{}
	}
	defer resp.Body.Close()
	var state client.UploadState
	if resp.StatusCode < 300 {
		if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
			u.in.t.Fatal(err)
		}
	}
	return resp.StatusCode, state
}

func (u *upload) stands() client.UploadState {
	u.in.t.Helper()
	state, err := u.in.as("supplier").UploadOf(u.in.t.Context(), arrangementID, "code", u.name)
	if err != nil {
		u.in.t.Fatal(err)
	}
	return state
}

func (u *upload) part(from, to int) io.Reader { return bytes.NewReader(u.data[from:to]) }

// TestUploadInParts: whatever happens to the second part, an object exists
// only when its length and hash are right, and the upload goes on at the
// right byte.
func TestUploadInParts(t *testing.T) {
	in := install(t, nil)
	in.ceremony(1)
	in.push("code")
	const half, whole = 8 * mebi, 16 * mebi
	check := func(what string, status, want int, state client.UploadState, offset int64, done bool) {
		t.Helper()
		if status != want || want < 300 && (state.Offset != offset || state.Done != done) {
			t.Errorf("%s: status %d, %+v; want %d, offset %d, done %v", what, status, state, want, offset, done)
		}
	}
	u := newUpload(in, 1)
	// The second part first.
	status, state := u.put(half, whole, u.part(half, whole))
	check("second part first", status, http.StatusConflict, state, 0, false)
	status, state = u.put(0, half, u.part(0, half))
	check("first part", status, http.StatusAccepted, state, half, false)
	// Dropped: the deposit is not taken.
	d := in.pushed(in.as("supplier"), "content", func(m *evidence.DepositManifest) {
		m.Objects = append(m.Objects, evidence.ObjectEntry{Name: u.name, Size: whole, Role: "files"})
	})
	if _, err := in.as("supplier").MakeDeposit(t.Context(), arrangementID, "code", d); code(err) != escrow.Conflict {
		t.Errorf("a deposit with half an object: %v", err)
	}
	// The first part repeated.
	status, state = u.put(0, half, u.part(0, half))
	check("first part again", status, http.StatusConflict, state, 0, false)
	if got := u.stands(); got.Offset != half || got.Done {
		t.Errorf("stands at %+v", got)
	}
	// Cut off at 60 % of it all: what arrived counts.
	cut := half + whole*6/10 - half
	status, _ = u.put(half, whole, io.MultiReader(u.part(half, cut), broken{}))
	if status != 0 && status < 400 {
		t.Errorf("cut off: status %d", status)
	}
	got := u.stands()
	if got.Offset < half || got.Offset > int64(cut) || got.Done {
		t.Errorf("after the cut it stands at %+v", got)
	}
	// More than the range says.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u.url(""), io.MultiReader(u.part(int(got.Offset), whole), strings.NewReader("more")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", got.Offset, whole-1, whole))
	status, state = u.do(req)
	check("more than the range", status, http.StatusBadRequest, state, 0, false)
	status, state = u.put(int(got.Offset), whole, u.part(int(got.Offset), whole))
	check("the rest", status, http.StatusCreated, state, whole, true)
	status, state = u.put(half, whole, u.part(half, whole))
	check("second part again, after the object was there", status, http.StatusCreated, state, whole, true)

	// The right length and other bytes.
	u = newUpload(in, 2)
	u.put(0, half, u.part(0, half))
	status, state = u.put(half, whole, u.part(0, half))
	check("wrong bytes", status, http.StatusBadRequest, state, 0, false)
	if got := u.stands(); got.Offset != 0 || got.Done {
		t.Errorf("wrong bytes were kept: %+v", got)
	}
	// Ranges that cannot be.
	for _, header := range []string{"bytes 5-4/10", "bytes 0-9/10-", "bytes */10", "bits 0-9/10", "bytes 0-10/10", "bytes -1-3/10", "bytes 0-9/99999999999999999999"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u.url(""), strings.NewReader("0123456789"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Range", header)
		if status, _ := u.do(req); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", header, status)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

// TestClientGoesOn: the client asks where its upload stands, after a
// connection that broke and in a later run.
func TestClientGoesOn(t *testing.T) {
	in := install(t, nil)
	in.ceremony(1)
	in.push("code")
	u := newUpload(in, 3)
	cut := len(u.data) * 6 / 10
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, u.url(""), io.MultiReader(u.part(0, cut), broken{}))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = int64(len(u.data))
	u.do(req)
	at := u.stands().Offset
	for range 100 { // the server may still be reading
		if at > 0 {
			break
		}
		at = u.stands().Offset
	}
	if at == 0 || at > int64(cut) {
		t.Fatalf("a whole upload that was cut stands at %d of %d", at, cut)
	}
	first := int64(-1)
	err = in.as("supplier").Upload(t.Context(), arrangementID, "code", u.name, bytes.NewReader(u.data), int64(len(u.data)), func(sent int64) {
		if first < 0 {
			first = sent
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if first < at {
		t.Errorf("it began again at %d though %d bytes were there", first, at)
	}
	if got := u.stands(); !got.Done || got.Size != int64(len(u.data)) {
		t.Errorf("stands at %+v", got)
	}
}

// TestUploadWithCurl does what docs/depositing.md says for people without the
// program.
func TestUploadWithCurl(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("SKIPPED: no curl")
	}
	in := install(t, nil)
	in.ceremony(1)
	in.push("code")
	u := newUpload(in, 4)
	if status, _ := u.put(0, 8*mebi, u.part(0, 8*mebi)); status != http.StatusAccepted {
		t.Fatalf("status %d", status)
	}
	script := `
offset=$(curl -s -H "Authorization: Bearer $TOKEN" "$URL/upload" | sed 's/.*"offset":\([0-9]*\).*/\1/')
curl -s -f -H "Authorization: Bearer $TOKEN" -C "$offset" -T "$FILE" "$URL"
`
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/object", u.data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
	cmd.Env = append(cmd.Environ(), "TOKEN="+u.token, "URL="+u.url(""), "FILE="+dir+"/object")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"done":true`) {
		t.Errorf("curl: %v\n%s", err, out)
	}
}
