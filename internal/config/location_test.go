package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/internal/config"
)

func TestLocationRules(t *testing.T) {
	for _, tt := range []struct{ locations, want string }{
		{"[{id: A, kind: file, path: /a}]", "lower-case"},
		{"[{id: a, kind: file, path: a}]", "not absolute"},
		{"[{id: a, kind: tape}]", "want file or s3"},
		{"[{id: a, kind: file, path: /a}, {id: a, kind: file, path: /b}]", "twice"},
		{"[{id: a, kind: file, path: /a}, {id: b, kind: file, path: /a}]", "same place"},
		{"[{id: a, kind: s3, bucket: x}]", "bucket and region"},
		{"[{id: a, kind: s3, bucket: x, region: y, endpoint: 'http://key:CANARY@h'}]", "credentials_file"},
		{"[{id: a, kind: s3, bucket: x, region: y, endpoint: 'http://h?secret=CANARY'}]", "credentials_file"},
		{"[{id: a, kind: s3, bucket: x, region: y, prefix: /p}]", "slash"},
		{"[{id: a, kind: file, path: /a, retain: 1h}]", "for kind s3"},
		{"[{id: a, kind: file, path: /a, arrangement: x}]", "at least one"},
		{"[{id: a, kind: file, path: /a, colour: red}]", "colour"},
		{"[{id: a, kind: file, path: /a, bandwidth: 3}]", "bandwidth"},
	} {
		_, err := config.Load("", env(map[string]string{"HOLDFAST_DATA": "/d", "HOLDFAST_LOCATIONS": tt.locations}))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, want %q", tt.locations, err, tt.want)
		}
	}
	if _, err := config.Load("", env(map[string]string{"HOLDFAST_DATA": "/d", "HOLDFAST_WRITE_QUORUM": "2"})); err == nil {
		t.Error("a quorum of two with one location is taken")
	}
	c, err := config.Load("", env(map[string]string{"HOLDFAST_DATA": "/d"}))
	if err != nil {
		t.Fatal(err)
	}
	if l := c.AllLocations(); len(l) != 1 || l[0].Path != "/d/objects" || !l[0].Counts() {
		t.Errorf("without locations: %+v", l)
	}
}

func env(values map[string]string) func(string) string {
	return func(k string) string { return values[k] }
}

func TestCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte("# keys\n[default]\naws_access_key_id = id\naws_secret_access_key=se=cret\n[other]\naws_access_key_id = no\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := config.Location{ID: "a", CredentialsFile: path}
	id, secret, _, err := l.Access(env(nil))
	if err != nil || id != "id" || secret != "se=cret" {
		t.Errorf("%q, %q, %v", id, secret, err)
	}
	l.CredentialsFile = ""
	if _, _, _, err := l.Access(env(nil)); err == nil {
		t.Error("no credentials and no error")
	}
	if id, secret, _, err := l.Access(env(map[string]string{"AWS_ACCESS_KEY_ID": "e", "AWS_SECRET_ACCESS_KEY": "s"})); err != nil || id != "e" || secret != "s" {
		t.Errorf("of the environment: %q, %q, %v", id, secret, err)
	}
}
