package restic

import (
	"strings"
	"testing"

	"holdfast/evidence"
)

func TestParse(t *testing.T) {
	name := strings.Repeat("0a", 32)
	for path, want := range map[string]target{
		"/restic/demo/db/":                  {arrangement: "demo", module: "db"},
		"/restic/demo/data%2Fgem-a/config":  {arrangement: "demo", module: "data/gem-a", kind: "config", name: "config"},
		"/restic/demo/db/data/":             {arrangement: "demo", module: "db", kind: "data"},
		"/restic/demo/db/locks/" + name:     {arrangement: "demo", module: "db", kind: "locks", name: name},
		"/restic/demo/db/snapshots/" + name: {arrangement: "demo", module: "db", kind: "snapshots", name: name},
	} {
		if got, ok := parse(path); !ok || got != want {
			t.Errorf("%s: %+v, %v", path, got, ok)
		}
	}
	for _, path := range []string{"", "/", "/restic/", "/restic/demo", "/restic/demo/db", "/restic/demo/db/config/", "/restic/demo/db/config/x", "/restic/demo/db/data",
		"/restic/demo/db/data/" + strings.ToUpper(name), "/restic/demo/db/data/" + name + "/", "/restic/demo/db/data/" + name[1:], "/restic/demo/db/secrets/", "/restic/../db/data/",
		"/restic/demo/%2e%2e/data/", "/restic/demo/db/data/%2e%2e%2fconfig", "/restic/demo/db/data/%zz", "/other/demo/db/data/"} {
		if got, ok := parse(path); ok {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/restic/demo/data%2Fgem-a/keys/" + strings.Repeat("00", 32))
	f.Add("/restic/a/b/config")
	f.Add("/restic/%2e%2e/b/data/%00")
	f.Fuzz(func(t *testing.T, path string) {
		got, ok := parse(path)
		if !ok {
			return
		}
		if !evidence.IsID(got.arrangement) || !evidence.IsID(got.module) || got.kind != "config" && got.name != "" && !evidence.IsDigest(got.name) {
			t.Errorf("%q is taken as %+v", path, got)
		}
	})
}
