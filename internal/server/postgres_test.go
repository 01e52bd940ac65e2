package server_test

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// ownPostgres is a PostgreSQL of one test, which it may restart.
type ownPostgres struct {
	t    testing.TB
	dir  string
	bin  string
	port int
	url  string
}

// startPostgres makes a cluster from the machine's own PostgreSQL programs,
// with fsync on. It skips where there are none, unless they are demanded.
func startPostgres(t testing.TB) *ownPostgres {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		if os.Getenv("HOLDFAST_TEST_POSTGRES_REQUIRED") == "1" {
			t.Fatal("there are no PostgreSQL programs, but PostgreSQL is required")
		}
		t.Skip("SKIPPED: no PostgreSQL programs in /usr/lib/postgresql")
	}
	sort.Strings(found)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &ownPostgres{t: t, bin: filepath.Dir(found[len(found)-1]), port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	// Not below the test's directory, which is for its own user alone.
	if p.dir, err = os.MkdirTemp("", "holdfast-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(p.dir) })
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		if out, err := exec.Command("chown", "postgres", p.dir).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
	}
	p.run("initdb", "-D", filepath.Join(p.dir, "data"), "-U", "postgres", "--auth=trust", "--locale=C", "-E", "UTF8")
	p.start()
	t.Cleanup(func() { p.run("pg_ctl", "-D", filepath.Join(p.dir, "data"), "-m", "immediate", "stop") })
	p.url = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", p.port)
	return p
}

func (p *ownPostgres) run(program string, args ...string) {
	p.t.Helper()
	words := append([]string{filepath.Join(p.bin, program)}, args...)
	cmd := exec.Command(words[0], words[1:]...)
	if os.Getuid() == 0 {
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		cmd = exec.Command("su", "postgres", "-s", "/bin/sh", "-c", strings.Join(quoted, " "))
	}
	cmd.Dir = "/"
	// Into a file: the server inherits a pipe and would keep it open.
	log, err := os.OpenFile(filepath.Join(p.dir, "programs.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		p.t.Fatalf("%s: %v\n%s", program, err, text)
	}
}

func (p *ownPostgres) start() {
	p.t.Helper()
	p.run("pg_ctl", "-D", filepath.Join(p.dir, "data"), "-l", filepath.Join(p.dir, "server.log"), "-w", "-o",
		fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s", p.port, p.dir), "start")
}

// restart is a crash of the database: nothing is flushed in order.
func (p *ownPostgres) restart() {
	p.t.Helper()
	p.run("pg_ctl", "-D", filepath.Join(p.dir, "data"), "-m", "immediate", "-w", "stop")
	p.start()
}

func (p *ownPostgres) runs() bool {
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		return false
	}
	defer db.Close()
	return db.Ping() == nil
}

// cut ends every connection there is.
func (p *ownPostgres) cut() {
	p.t.Helper()
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`); err != nil {
		p.t.Error(err)
	}
}
