// Command gitdeposit is one side of bench/git.sh. It makes one deposit of a
// repository as the server does, in a process of its own so that its memory
// can be measured, and prints what it cost; and it serves repositories by
// stock git http-backend to both sides alike.
//
//	gitdeposit serve -root DIR             serve the repositories below DIR, print the URL
//	gitdeposit deposit -url URL -dir DIR   make the next deposit into DIR
//
// It depends on the packages a deposit is made of. It keeps keys in the clear
// and acknowledges nothing in a ledger: it is no way to keep a deposit.
package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"holdfast/evidence"
	"holdfast/internal/blob/file"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/git"
	"holdfast/internal/intake/git/gittest"
	"holdfast/internal/intake/git/wire"
	"holdfast/internal/seal"
	"holdfast/internal/vault"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench/gitdeposit:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("usage: gitdeposit serve|deposit [flags]")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	switch args[0] {
	case "serve":
		root := flags.String("root", "", "directory of the repositories")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return serve(*root, out)
	case "deposit":
		url := flags.String("url", "", "repository")
		dir := flags.String("dir", "", "where deposits and keys are kept")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return depositOnce(ctx, *url, *dir, out)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// serve answers until the process is ended.
func serve(root string, out io.Writer) error {
	h, err := gittest.HTTPHandler(root, gittest.HTTPOptions{Version: gittest.V2})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "http://%s\n", l.Addr())
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	return s.Serve(l)
}

// memory is what the next deposit needs, as the server keeps it in its
// database.
type memory struct {
	Epoch  escrow.Epoch
	Latest escrow.Deposit
	State  escrow.SourceState
	Maker  string // age identity
	Signer string // OpenSSH private key
}

func depositOnce(ctx context.Context, url, dir string, out io.Writer) error {
	mem, err := load(filepath.Join(dir, "memory.json"))
	if errors.Is(err, fs.ErrNotExist) {
		mem, err = begin(dir)
	}
	if err != nil {
		return err
	}
	store, err := file.Open(filepath.Join(dir, "objects"))
	if err != nil {
		return err
	}
	identity, err := age.ParseHybridIdentity(mem.Maker)
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey([]byte(mem.Signer))
	if err != nil {
		return err
	}
	maker := deposit.Maker{Objects: store, Identity: identity, Signer: signer, By: vault.ServerName, Checked: vault.ServerName, Now: time.Now}
	base := escrow.DepositBase{
		Agreement: evidence.Digest([]byte("agreement")), Epoch: mem.Epoch, Latest: mem.Latest, State: mem.State,
		Module: escrow.ModuleStatus{Module: escrow.Module{Arrangement: "bench", ID: "code", Compartment: "materials"}},
	}
	var streaming int64 // most memory while the pack came in
	var next int64
	start := time.Now()
	made, err := maker.Git(ctx, base, git.Options{
		Source: git.Source{Endpoint: wire.Endpoint{URL: url}},
		Wire:   wire.Config{Dial: new(net.Dialer).DialContext},
		Progress: func(n int64) {
			if n >= next || n < next-4<<20 {
				next = n + 4<<20
				streaming = max(streaming, peak())
			}
		},
	})
	if err != nil {
		return err
	}
	total := time.Since(start)
	fmt.Fprintf(out, "total=%.3f\n", total.Seconds())
	fmt.Fprintf(out, "peak_kib=%d\n", peak())
	if made == nil {
		fmt.Fprintf(out, "kind=none\nstored=0\n")
		return nil
	}
	stats := made.Result.Stats
	stored := int64(len(made.Submission.Manifest) + len(made.Submission.Signature))
	for _, o := range made.Result.Objects {
		stored += o.Size
	}
	fmt.Fprintf(out, "kind=%s\nobjects=%d\npack=%d\nreceived=%d\nstored=%d\nstream=%.3f\ncheck=%.3f\nstreaming_kib=%d\nsegments=%d\n",
		made.Result.Kind, made.Result.Report.Objects, stats.Pack, stats.Received, stored, stats.Stream.Seconds(), stats.Check.Seconds(), streaming, len(made.Submission.Segments))
	var own int64
	for _, name := range append([]string{made.Manifest.State}, made.Submission.Segments...) {
		n, err := store.Stat(ctx, name)
		if err != nil {
			return err
		}
		own += n
	}
	fmt.Fprintf(out, "own=%d\n", own)

	m := made.Manifest
	mem.Latest = escrow.Deposit{Number: m.Number, Epoch: m.Epoch, Digest: evidence.Digest(made.Submission.Manifest), Kind: made.Result.Kind}
	mem.State = escrow.SourceState{Deposit: m.Number, State: made.Manifest.State, Segments: made.Submission.Segments, Chain: m.Chain}
	return save(filepath.Join(dir, "memory.json"), mem)
}

// begin makes keys: a release key for one person, and the maker's own two.
func begin(dir string) (*memory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, err
	}
	release, err := age.GenerateHybridIdentity()
	if err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "bench")
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	dealt, err := seal.DealDirect(seal.Ceremony{
		Arrangement: "bench", Agreement: evidence.Digest([]byte("agreement")), Compartment: "materials", Epoch: 1,
		Recipients: []evidence.KeyRecipient{{Party: "customer", Person: "one", Recipient: release.Recipient().String()}},
		Party:      "supplier", Person: "dealer", Created: time.Now(),
	}, signer)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "release.key"), []byte(release.String()+"\n"), 0o600); err != nil {
		return nil, err
	}
	mem := &memory{
		Epoch: escrow.Epoch{Arrangement: "bench", Compartment: "materials", Number: 1, Set: dealt.Manifest.Set, Manifest: dealt.Document, Signature: dealt.Signature},
		Maker: identity.String(), Signer: string(pem.EncodeToMemory(block)),
	}
	return mem, nil
}

func load(path string) (*memory, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m memory
	return &m, json.Unmarshal(data, &m)
}

func save(path string, m *memory) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// peak returns the most memory this process has had resident, in KiB, 0 where
// the system does not say.
func peak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(rest)), "kB")), 10, 64)
			return n
		}
	}
	return 0
}
