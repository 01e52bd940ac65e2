package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"holdfast/internal/config"
	"holdfast/internal/escrow"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "holdfast.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func none(string) string { return "" }

func TestLoad(t *testing.T) {
	c, err := config.Load(write(t, "data: /srv/h\norigin: escrow.example/log\nschedule_every: 5m\n"), func(k string) string {
		if k == "HOLDFAST_LISTEN" {
			return "127.0.0.1:1"
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "/srv/h" || c.Listen != "127.0.0.1:1" || time.Duration(c.ScheduleEvery) != 5*time.Minute || c.Workers != config.Default().Workers {
		t.Errorf("%+v", c)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key is located", "data: /x\nlisen: a\n", "lisen"},
		{"no data", "origin: a.b/log\n", "data: name the directory"},
		{"password in the URL", "data: /x\ndatabase: postgres://u:CANARY@h/d\n", "database_password_file"},
		{"password in the query", "data: /x\ndatabase: postgres://u@h/d?password=CANARY\n", "database_password_file"},
		{"other engine", "data: /x\ndatabase: mysql://h/d\n", "postgres://"},
		{"bad duration", "data: /x\nschedule_every: soon\n", "30s or 5m"},
		{"a fault beside a secret", "data: /x\ndatabase: postgres://u:CANARY@h/d\nlisen: a\n", "lisen"},
		{"every problem at once", "workers: 0\norigin: 'a b'\n", "workers: 0"},
	} {
		_, err := config.Load(write(t, c.text), none)
		if escrow.CodeOf(err) != escrow.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: the error shows the secret: %v", c.name, err)
		}
	}
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), none); escrow.CodeOf(err) != escrow.NotFound {
		t.Errorf("missing file: %v", err)
	}
}

func TestDatabaseURLFillsPasswordFromFile(t *testing.T) {
	secret := write(t, "s3cret\n")
	c := config.Default()
	c.Data, c.Database, c.DatabasePasswordFile = "/x", "postgres://u@h/d", secret
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if got, err := c.DatabaseURL(); err != nil || got != "postgres://u:s3cret@h/d" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestEnvironmentSetsEveryKey: what a file can say, the environment can, so
// that a container needs no file.
func TestEnvironmentSetsEveryKey(t *testing.T) {
	values := map[string]string{"DATA": "/d", "DATABASE": "postgres://u@h/d", "DATABASE_PASSWORD_FILE": "/p", "LISTEN": "127.0.0.1:9", "ORIGIN": "o/log",
		"EGRESS_ALLOW": "10.0.0.0/8,git.internal", "PROBE_REFERENCES": "a.example:443,b.example:443", "LOCAL_SOURCES": "true", "WORKERS": "3", "SCHEDULE_EVERY": "2m", "PUBLISH_EVERY": "3m",
		"WITNESSES": "a,b", "MAX_OBJECT": "2000000", "MAX_PACK": "3000000", "RESTIC_QUOTA": "4000000", "CHECK_MEMORY": "200000000",
		"LOCATIONS": "[{id: a, kind: file, path: /a}, {id: b, kind: s3, bucket: x, region: y}]", "WRITE_QUORUM": "2", "SCRUB_PERIOD": "24h", "COLLECT_AFTER": "48h",
		"UPLOAD_QUOTA": "5000000"}
	asked := map[string]bool{}
	c, err := config.Load("", func(k string) string { asked[k] = true; return values[strings.TrimPrefix(k, "HOLDFAST_")] })
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{Role: config.RoleAll, Data: "/d", Database: "postgres://u@h/d", DatabasePasswordFile: "/p", Listen: "127.0.0.1:9", Origin: "o/log",
		EgressAllow: []string{"10.0.0.0/8", "git.internal"}, ProbeReferences: []string{"a.example:443", "b.example:443"}, LocalSources: true, Workers: 3, ScheduleEvery: config.Duration(2 * time.Minute),
		PublishEvery: config.Duration(3 * time.Minute), Witnesses: []string{"a", "b"}, MaxObject: 2000000, MaxPack: 3000000, ResticQuota: 4000000, CheckMemory: 200000000,
		Locations:   []config.Location{{ID: "a", Kind: "file", Path: "/a"}, {ID: "b", Kind: "s3", Bucket: "x", Region: "y"}},
		WriteQuorum: 2, ScrubPeriod: config.Duration(24 * time.Hour), CollectAfter: config.Duration(48 * time.Hour), UploadQuota: 5000000}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	for field := range reflect.TypeFor[config.Config]().Fields() {
		if key := "HOLDFAST_" + strings.ToUpper(field.Tag.Get("yaml")); !asked[key] {
			t.Errorf("%s is never asked for", key)
		}
	}
	for name, value := range map[string]string{"WORKERS": "many", "LOCAL_SOURCES": "yes", "SCHEDULE_EVERY": "soon", "MAX_PACK": "1e9"} {
		_, err := config.Load("", func(k string) string { return map[string]string{"HOLDFAST_DATA": "/d", "HOLDFAST_" + name: value}[k] })
		if escrow.CodeOf(err) != escrow.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}
