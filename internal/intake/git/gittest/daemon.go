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

// ServeDaemon serves the repositories below root by git daemon and returns
// git://host:port. Since the daemon does what the client asks, the question
// is changed to the version wanted on its way.
func ServeDaemon(tb testing.TB, root string, v Version) string {
	tb.Helper()
	Need(tb, "git")
	// The daemon itself and not "git daemon", which would leave it behind when killed.
	libexec, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		tb.Fatal(err)
	}
	daemon := filepath.Join(string(bytes.TrimSpace(libexec)), "git-daemon")
	addr := listen(tb, func(conn net.Conn) {
		_, first, err := wire.NewPacketReader(conn).Next()
		if err != nil {
			return
		}
		line := string(first)
		if i := bytes.Index(first, []byte("\x00\x00")); i >= 0 {
			line = line[:i+1]
		}
		if e := v.env(); e != "" {
			line += "\x00" + e + "\x00"
		}
		cmd := exec.Command(daemon, "--inetd", "--export-all", "--base-path="+root, root)
		cmd.Env = Env("GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*")
		cmd.Stdout = conn
		in, err := cmd.StdinPipe()
		if err != nil || cmd.Start() != nil {
			return
		}
		go func() { // Wait must not wait for a client that sends no more
			defer in.Close()
			if _, err := in.Write(wire.AppendPacket(nil, line)); err == nil {
				io.Copy(in, conn)
			}
		}()
		cmd.Wait()
	})
	return "git://" + addr
}

// listen serves connections until the test ends and returns the address.
func listen(tb testing.TB, serve func(net.Conn)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}
