package gittest

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// SSH is a running ssh server with one client key and its own host keys.
type SSH struct {
	Addr      string // host:port
	User      string
	ClientKey string // private key, OpenSSH PEM
	HostKeys  []string
	signer    ssh.Signer
}

// URL returns the address of a path on the server.
func (s *SSH) URL(path string) string { return "ssh://" + s.User + "@" + s.Addr + path }

// SSHOptions says how the server behaves.
type SSHOptions struct {
	Version  Version           // V0 refuses the GIT_PROTOCOL variable, as sshd does by default
	Message  string            // said on standard error instead of serving, as forges do
	Commands map[string]string // what other commands print, by their line
	RSA      bool              // has an RSA host key beside the ed25519 one, which servers prefer to show less
}

// NewKey makes an ed25519 key pair: an OpenSSH private key, and the public key
// as a line.
func NewKey(tb testing.TB) (private, public string, signer ssh.Signer) {
	tb.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		tb.Fatal(err)
	}
	if signer, err = ssh.NewSignerFromKey(key); err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), signer
}

// ServeSSH starts a server written in Go that runs git upload-pack below
// root: every part of it can be told what to do. [OpenSSH] starts the real one.
func ServeSSH(tb testing.TB, root string, o SSHOptions) *SSH {
	tb.Helper()
	Need(tb, "git")
	s := &SSH{User: "git"}
	s.ClientKey, _, s.signer = NewKey(tb)
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if bytes.Equal(key.Marshal(), s.signer.PublicKey().Marshal()) {
				return nil, nil
			}
			return nil, fmt.Errorf("unknown key")
		},
	}
	_, line, host := NewKey(tb)
	config.AddHostKey(host)
	s.HostKeys = append(s.HostKeys, line)
	if o.RSA {
		rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			tb.Fatal(err)
		}
		rsaHost, err := ssh.NewSignerFromKey(rsaKey)
		if err != nil {
			tb.Fatal(err)
		}
		config.AddHostKey(rsaHost)
		s.HostKeys = append(s.HostKeys, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(rsaHost.PublicKey()))))
	}
	s.Addr = listen(tb, func(conn net.Conn) { serveConn(conn, config, root, o) })
	return s
}

func serveConn(conn net.Conn, config *ssh.ServerConfig, root string, o SSHOptions) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go serveSession(channel, requests, root, o)
	}
}

func serveSession(channel ssh.Channel, requests <-chan *ssh.Request, root string, o SSHOptions) {
	defer channel.Close()
	for r := range requests {
		switch r.Type {
		case "env":
			r.Reply(o.Version != V0, nil)
		case "exec":
			r.Reply(true, nil)
			go func() {
				defer channel.Close()
				var status [4]byte
				binary.BigEndian.PutUint32(status[:], uint32(runUploadPack(channel, string(r.Payload[4:]), root, o)))
				channel.SendRequest("exit-status", false, status[:])
			}()
		default:
			r.Reply(false, nil)
		}
	}
}

func runUploadPack(channel ssh.Channel, line, root string, o SSHOptions) int {
	if out, ok := o.Commands[line]; ok {
		io.WriteString(channel, out)
		return 0
	}
	path, ok := strings.CutPrefix(line, "git-upload-pack '")
	if o.Message != "" || !ok {
		io.WriteString(channel.Stderr(), cmp.Or(o.Message, "command not found")+"\n")
		return 127
	}
	cmd := exec.Command("git", "-c", "safe.directory=*", "upload-pack", filepath.Join(root, filepath.Clean("/"+strings.ReplaceAll(strings.TrimSuffix(path, "'"), `'\''`, "'"))))
	cmd.Env = Env()
	if v := o.Version.env(); v != "" {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+v)
	}
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	go func() { // Wait must not wait for a client that sends no more
		io.Copy(in, channel)
		in.Close()
	}()
	if err := cmd.Run(); err != nil {
		return 128
	}
	return 0
}

// OpenSSH serves by the installed sshd, as the current user. It
// skips the test where there is none. acceptEnv says whether the server
// passes GIT_PROTOCOL on; without it the client gets protocol v0.
func OpenSSH(tb testing.TB, acceptEnv bool) *SSH {
	tb.Helper()
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		sshd = "/usr/sbin/sshd"
		if _, err := os.Stat(sshd); err != nil {
			tb.Skip("sshd is not installed")
		}
	}
	if os.Getuid() == 0 { // its place for privilege separation, made at boot where there is one
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			tb.Skipf("sshd cannot run here: %v", err)
		}
	}
	me, err := user.Current()
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	s := &SSH{User: me.Username}
	hostKey, hostLine, _ := NewKey(tb)
	var public string
	s.ClientKey, public, s.signer = NewKey(tb)
	s.HostKeys = []string{hostLine}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		return path
	}
	conf := "HostKey " + write("host", hostKey) + "\nAuthorizedKeysFile " + write("authorized", public+"\n") +
		"\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nLogLevel ERROR\n"
	if acceptEnv {
		conf += "AcceptEnv GIT_PROTOCOL\n"
	}
	config := write("config", conf)
	// One process for each connection, as inetd starts it: there is no moment
	// in which somebody else could take the port.
	s.Addr = listen(tb, func(conn net.Conn) {
		socket, err := conn.(*net.TCPConn).File()
		if err != nil {
			return
		}
		defer socket.Close()
		cmd := exec.Command(sshd, "-i", "-e", "-f", config)
		cmd.Stdin, cmd.Stdout = socket, socket
		cmd.Run()
	})
	return s
}
