package gittest

import (
	"bytes"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"testing"

	"holdfast/internal/intake/git/wire"
)

// ServeDaemon starts git daemon on the repositories below root and returns
// git://host:port. Since the daemon does what the client asks, a small proxy
// before it changes the question to the version wanted.
func ServeDaemon(tb testing.TB, root string, v Version) string {
	tb.Helper()
	Need(tb, "git")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	// The daemon itself and not "git daemon", which would leave it behind when killed.
	libexec, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		tb.Fatal(err)
	}
	daemon := filepath.Join(string(bytes.TrimSpace(libexec)), "git-daemon")
	cmd := exec.Command(daemon, "--export-all", "--reuseaddr", "--base-path="+root, "--listen="+host, "--port="+port, root)
	cmd.Env = Env("GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	back := net.JoinHostPort(host, port)
	waitFor(tb, back, &stderr)
	return "git://" + proxy(tb, back, func(client io.Reader, server io.Writer) error {
		_, first, err := wire.NewPacketReader(client).Next()
		if err != nil {
			return err
		}
		line := string(first)
		if i := bytes.Index(first, []byte("\x00\x00")); i >= 0 {
			line = line[:i+1]
		}
		if e := v.env(); e != "" {
			line += "\x00" + e + "\x00"
		}
		_, err = server.Write(wire.AppendPacket(nil, line))
		return err
	})
}

// proxy passes connections on to back, after opening has had the first word.
func proxy(tb testing.TB, back string, opening func(client io.Reader, server io.Writer) error) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				server, err := net.Dial("tcp", back)
				if err != nil {
					return
				}
				defer server.Close()
				if opening(client, server) != nil {
					return
				}
				go func() {
					io.Copy(server, client)
					server.(*net.TCPConn).CloseWrite()
				}()
				io.Copy(client, server)
			}()
		}
	}()
	return l.Addr().String()
}
