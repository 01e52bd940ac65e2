// Package config holds the one configuration struct of a Holdfast server, read
// from a file and the environment and validated whole before anything starts.
//
// It imports the standard library, the YAML reader and escrow's error type,
// and keeps no state: the struct is passed, never global.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"holdfast/internal/escrow"
)

// Config is everything an operator can set. The comment of a field is its
// manual; the YAML key is the lower-case name in the tag, and the environment
// variable is HOLDFAST_ and that name in upper case.
type Config struct {
	// Data is the directory that holds everything of an embedded
	// installation: database, objects, keys. It must exist or be creatable by
	// this user; a second server on the same directory is refused.
	Data string `yaml:"data"`

	// Database is empty for SQLite inside Data, or a postgres:// URL.
	// A password belongs in DatabasePasswordFile, not in the URL.
	Database string `yaml:"database"`

	// DatabasePasswordFile names a file that holds the PostgreSQL password.
	DatabasePasswordFile string `yaml:"database_password_file"`

	// Keys is the directory of the installation's own keys; "keys" inside Data
	// if empty. Processes that share a PostgreSQL database name one directory
	// that all of them mount, or each a copy.
	Keys string `yaml:"keys"`

	// Role is what this process does: RoleAll, RoleWeb,
	// RoleWorker or RoleProbe.
	Role Role `yaml:"role"`

	// Listen is the address of the HTTP server.
	Listen string `yaml:"listen"`

	// MetricsListen is the address for /metrics, /healthz and /readyz of this
	// process, empty for none. It has no authentication: let only the
	// monitoring reach it.
	MetricsListen string `yaml:"metrics_listen"`

	// Origin names this installation's ledger in every checkpoint, such as
	// "escrow.example/log". It can never be changed afterwards.
	Origin string `yaml:"origin"`

	// EgressAllow lists addresses, ranges (CIDR) and host names that sources
	// may be at although they are private. Empty: public addresses only.
	EgressAllow []string `yaml:"egress_allow"`

	// ProbeReferences are addresses (host:port) that are known to be there, of
	// several large providers. When a check fails and none of them takes a
	// connection either, this machine is cut off and the target is unknown.
	// Empty: whatever fails is down.
	ProbeReferences []string `yaml:"probe_references"`

	// LocalSources lets pull modules name a path on this machine. Off unless
	// the operator mounts sources on purpose.
	LocalSources bool `yaml:"local_sources"`

	// Workers is how many deposits are made at once.
	Workers int `yaml:"workers"`

	// ScheduleEvery is how often due modules are looked for.
	ScheduleEvery Duration `yaml:"schedule_every"`

	// PublishEvery is how often the ledger's current checkpoint is published
	// for everybody to fetch, for witnesses above all.
	PublishEvery Duration `yaml:"publish_every"`

	// Witnesses are the verifier keys of those whose cosignatures on published
	// checkpoints are taken and shown.
	Witnesses []string `yaml:"witnesses"`

	// Locations are where sealed objects are kept. Empty: one directory inside
	// Data. See docs/locations.md.
	Locations []Location `yaml:"locations"`

	// WriteQuorum is how many locations must have an object before anybody is
	// told that it is stored. 0: two, or one where there is only one.
	WriteQuorum int `yaml:"write_quorum"`

	// ScrubPeriod is the time in which every object at every location is read
	// and compared with its name.
	ScrubPeriod Duration `yaml:"scrub_period"`

	// CollectAfter is how long an object is kept that nothing refers to.
	CollectAfter Duration `yaml:"collect_after"`

	// UploadQuota bounds the bytes that a party has uploaded and no deposit
	// uses yet; 0 for none.
	UploadQuota int64 `yaml:"upload_quota"`

	// MaxObject bounds one uploaded object, in bytes.
	MaxObject int64 `yaml:"max_object"`

	// ResticQuota bounds what restic may store in a module that has no bound
	// of its own, in bytes; 0 for none.
	ResticQuota int64 `yaml:"restic_quota"`

	// MaxPack bounds one fetched Git pack, in bytes.
	MaxPack int64 `yaml:"max_pack"`

	// URL is where people reach this server, such as https://escrow.example:
	// what links in messages begin with. Empty: messages have no links.
	URL string `yaml:"url"`

	// Mail is how notices leave by mail. Empty: none do.
	Mail Mail `yaml:"mail"`

	// CheckMemory is what one content check plans with, in bytes; the process
	// takes about twice as much while it checks.
	CheckMemory int64 `yaml:"check_memory"`
}

// Duration is a time.Duration written as in Go ("30s", "5m").
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration %q: write it like 30s or 5m", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes a duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Default is what an embedded installation runs with when nothing is set but
// the data directory.
func Default() Config {
	return Config{
		Role:          RoleAll,
		Listen:        "127.0.0.1:8731",
		Origin:        "holdfast.local/log",
		Workers:       2,
		ScheduleEvery: Duration(30 * time.Second),
		PublishEvery:  Duration(time.Minute),
		ScrubPeriod:   Duration(14 * 24 * time.Hour),
		CollectAfter:  Duration(7 * 24 * time.Hour),
		UploadQuota:   1 << 40,
		MaxObject:     64 << 30,
		ResticQuota:   1 << 40,
		MaxPack:       64 << 30,
		CheckMemory:   88 << 20,
	}
}

const maxFile = 1 << 20

// Load reads the file (none if path is empty), then the environment over it,
// and validates the result. Every problem is reported at once.
func Load(path string, getenv func(string) string) (Config, error) {
	c := Default()
	if path != "" {
		data, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return c, escrow.Errorf(escrow.NotFound, "configuration %s: %w", path, err)
		case err != nil:
			return c, escrow.Wrap(err, escrow.Invalid, "configuration %s", path)
		case len(data) > maxFile:
			return c, escrow.Errorf(escrow.Invalid, "configuration %s: larger than %d bytes", path, maxFile)
		}
		dec := yaml.NewDecoder(bytes.NewReader(data), yaml.DisallowUnknownField())
		if err := dec.Decode(&c); err != nil && len(bytes.TrimSpace(data)) > 0 {
			return c, escrow.Errorf(escrow.Invalid, "configuration %s: %s", path, yaml.FormatError(err, false, false))
		}
	}
	if err := c.fromEnvironment(getenv); err != nil {
		return c, err
	}
	return c, c.Validate()
}

// fromEnvironment lays HOLDFAST_ and the upper-case key over what the file
// says; lists are separated by commas, and locations are YAML.
func (c *Config) fromEnvironment(getenv func(string) string) error {
	for _, v := range []struct {
		name string
		set  func(text string) error
	}{
		{"DATA", text(&c.Data)},
		{"DATABASE", text(&c.Database)},
		{"DATABASE_PASSWORD_FILE", text(&c.DatabasePasswordFile)},
		{"KEYS", text(&c.Keys)},
		{"ROLE", func(text string) error { c.Role = Role(text); return nil }},
		{"LISTEN", text(&c.Listen)},
		{"METRICS_LISTEN", text(&c.MetricsListen)},
		{"ORIGIN", text(&c.Origin)},
		{"EGRESS_ALLOW", list(&c.EgressAllow)},
		{"PROBE_REFERENCES", list(&c.ProbeReferences)},
		{"LOCAL_SOURCES", boolean(&c.LocalSources)},
		{"WORKERS", integer(&c.Workers)},
		{"SCHEDULE_EVERY", func(text string) error { return c.ScheduleEvery.UnmarshalText([]byte(text)) }},
		{"PUBLISH_EVERY", func(text string) error { return c.PublishEvery.UnmarshalText([]byte(text)) }},
		{"WITNESSES", list(&c.Witnesses)},
		{"LOCATIONS", func(text string) error {
			c.Locations = nil
			return yaml.NewDecoder(strings.NewReader(text), yaml.DisallowUnknownField()).Decode(&c.Locations)
		}},
		{"WRITE_QUORUM", integer(&c.WriteQuorum)},
		{"SCRUB_PERIOD", func(text string) error { return c.ScrubPeriod.UnmarshalText([]byte(text)) }},
		{"COLLECT_AFTER", func(text string) error { return c.CollectAfter.UnmarshalText([]byte(text)) }},
		{"UPLOAD_QUOTA", integer(&c.UploadQuota)},
		{"MAX_OBJECT", integer(&c.MaxObject)},
		{"RESTIC_QUOTA", integer(&c.ResticQuota)},
		{"MAX_PACK", integer(&c.MaxPack)},
		{"CHECK_MEMORY", integer(&c.CheckMemory)},
		{"URL", text(&c.URL)},
		{"MAIL", func(text string) error {
			c.Mail = Mail{}
			return yaml.NewDecoder(strings.NewReader(text), yaml.DisallowUnknownField()).Decode(&c.Mail)
		}},
	} {
		value := getenv("HOLDFAST_" + v.name)
		if value == "" {
			continue
		}
		if err := v.set(value); err != nil {
			return escrow.Errorf(escrow.Invalid, "HOLDFAST_%s: %w", v.name, err)
		}
	}
	return nil
}

func text(field *string) func(string) error {
	return func(s string) error { *field = s; return nil }
}

func list(field *[]string) func(string) error {
	return func(s string) error { *field = strings.Split(s, ","); return nil }
}

func boolean(field *bool) func(string) error {
	return func(s string) error {
		if s != "true" && s != "false" {
			return fmt.Errorf("%q: write true or false", s)
		}
		*field = s == "true"
		return nil
	}
}

func integer[T int | int64](field *T) func(string) error {
	return func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || int64(T(n)) != n {
			return fmt.Errorf("%q is not a whole number", s)
		}
		*field = T(n)
		return nil
	}
}

// Validate reports every rule the configuration breaks in one error.
func (c Config) Validate() error {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.Data == "" {
		bad("data: name the directory that holds the installation")
	}
	if c.Database != "" {
		u, err := url.Parse(c.Database)
		switch {
		case err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql"):
			bad("database: leave it empty for SQLite or give a postgres:// URL")
		case hasPassword(u):
			bad("database: the URL holds a password; put it into a file and name that in database_password_file")
		}
	}
	if problem := c.Role.problem(c.Database != "", len(c.Locations) > 0); problem != "" {
		bad("role: %s", problem)
	}
	if c.MetricsListen != "" {
		if _, _, err := net.SplitHostPort(c.MetricsListen); err != nil {
			bad("metrics_listen: %q is not an address like 127.0.0.1:9731", c.MetricsListen)
		}
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen: %q is not an address like 127.0.0.1:8731", c.Listen)
	}
	if c.Origin == "" || strings.ContainsAny(c.Origin, " \t\n+") || len(c.Origin) > 200 {
		bad("origin: %q cannot name a ledger; use a name like escrow.example/log", c.Origin)
	}
	if c.Workers < 1 || c.Workers > 64 {
		bad("workers: %d, want 1 to 64", c.Workers)
	}
	if c.ScheduleEvery < Duration(time.Second) || c.PublishEvery < Duration(time.Second) {
		bad("schedule_every and publish_every: %s and %s, want at least 1s", time.Duration(c.ScheduleEvery), time.Duration(c.PublishEvery))
	}
	if c.ResticQuota < 0 {
		bad("restic_quota is %d bytes; 0 is for none", c.ResticQuota)
	}
	c.checkLocations(bad)
	c.checkMail(bad)
	if c.MaxObject < 1<<20 || c.MaxPack < 1<<20 || c.CheckMemory < 16<<20 {
		bad("max_object and max_pack want at least 1 MiB, check_memory at least 16 MiB")
	}
	if len(problems) > 0 {
		return escrow.Errorf(escrow.Invalid, "configuration: %s", strings.Join(problems, "; "))
	}
	return nil
}

func hasPassword(u *url.URL) bool {
	if _, set := u.User.Password(); set {
		return true
	}
	return u.Query().Has("password")
}

// DatabaseURL is the URL to connect with, the password filled in from its
// file. It must never be printed.
func (c Config) DatabaseURL() (string, error) {
	if c.DatabasePasswordFile == "" || c.Database == "" {
		return c.Database, nil
	}
	secret, err := os.ReadFile(c.DatabasePasswordFile)
	if err != nil {
		return "", escrow.Wrap(err, escrow.Invalid, "database_password_file %s", c.DatabasePasswordFile)
	}
	u, err := url.Parse(c.Database)
	if err != nil {
		return "", escrow.Errorf(escrow.Invalid, "database: not a URL")
	}
	u.User = url.UserPassword(u.User.Username(), strings.TrimRight(string(secret), "\r\n"))
	return u.String(), nil
}

// SQLitePath is where the embedded database lies.
func (c Config) SQLitePath() string { return filepath.Join(c.Data, "holdfast.db") }

// ObjectsDir is where sealed objects lie.
func (c Config) ObjectsDir() string { return filepath.Join(c.Data, "objects") }

// KeysDir is where the server's own keys lie: the ledger signer and the
// identity that source credentials and sync state are sealed to. No deposit is
// ever sealed to them.
func (c Config) KeysDir() string {
	if c.Keys != "" {
		return c.Keys
	}
	return filepath.Join(c.Data, "keys")
}
