package config

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/internal/escrow"
)

// Location is one place where sealed objects are kept.
type Location struct {
	// ID names the location in everything that is said about it. It stays with
	// the location for good.
	ID string `yaml:"id"`

	// Kind is file or s3.
	Kind string `yaml:"kind"`

	// Path is the directory of a file location, absolute. Use one directory a
	// disk; two on one disk are one location.
	Path string `yaml:"path"`

	// Bucket, Endpoint, Region and Prefix say where an S3 location is. Without
	// an endpoint it is Amazon's of the region. The bucket must exist.
	Bucket   string `yaml:"bucket"`
	Endpoint string `yaml:"endpoint"`
	Region   string `yaml:"region"`
	Prefix   string `yaml:"prefix"`

	// CredentialsFile holds the access keys, in the usual form of
	// ~/.aws/credentials. Without it AWS_ACCESS_KEY_ID and
	// AWS_SECRET_ACCESS_KEY of the environment are used.
	CredentialsFile string `yaml:"credentials_file"`

	// Retain locks every object for so long, where the bucket has object lock:
	// nobody can delete it earlier. The scrubber extends it while an object is
	// needed.
	Retain Duration `yaml:"retain"`

	// Arrangement limits the location to the objects of one arrangement, such
	// as a beneficiary's own bucket. Empty: it gets everything.
	Arrangement string `yaml:"arrangement"`

	// Quorum says whether a copy here counts towards write_quorum. Without it
	// a location of the installation counts and one of an arrangement does not.
	Quorum *bool `yaml:"quorum"`

	// Bandwidth bounds traffic to and from the location, in bytes a second,
	// and Requests its requests a second; 0 for no bound.
	Bandwidth int64   `yaml:"bandwidth"`
	Requests  float64 `yaml:"requests"`
}

// The kinds of location.
const (
	FileLocation = "file"
	S3Location   = "s3"
)

// DefaultLocation is the id of the directory inside Data that is used when no
// locations are configured.
const DefaultLocation = "data"

// Counts reports whether a copy at the location counts towards the quorum.
func (l Location) Counts() bool {
	if l.Quorum != nil {
		return *l.Quorum
	}
	return l.Arrangement == ""
}

// Place is where the location is, for people.
func (l Location) Place() string {
	if l.Kind == FileLocation {
		return l.Path
	}
	where := l.Endpoint
	if where == "" {
		where = "s3." + l.Region + ".amazonaws.com"
	}
	return fmt.Sprintf("%s/%s/%s", strings.TrimSuffix(where, "/"), l.Bucket, l.Prefix)
}

// AllLocations are the configured locations, or the directory inside Data if
// none is.
func (c Config) AllLocations() []Location {
	if len(c.Locations) > 0 {
		return c.Locations
	}
	return []Location{{ID: DefaultLocation, Kind: FileLocation, Path: c.ObjectsDir()}}
}

// Access reads the location's access keys. They must never be printed.
func (l Location) Access(getenv func(string) string) (id, secret, session string, err error) {
	if l.CredentialsFile == "" {
		id, secret, session = getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")
		if id == "" || secret == "" {
			err = escrow.Errorf(escrow.Invalid, "location %s has no credentials", l.ID).
				WithHint("name a file in credentials_file, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		}
		return id, secret, session, err
	}
	data, err := os.ReadFile(l.CredentialsFile)
	if err != nil {
		return "", "", "", escrow.Wrap(err, escrow.Invalid, "credentials_file %s of location %s cannot be read", l.CredentialsFile, l.ID).
			WithHint("check that it is there and that the account which runs holdfast may read it")
	}
	id, secret, session = parseCredentials(string(data))
	if id == "" || secret == "" {
		return "", "", "", escrow.Errorf(escrow.Invalid, "credentials_file %s of location %s has no access keys", l.CredentialsFile, l.ID).
			WithHint("write aws_access_key_id = … and aws_secret_access_key = … on lines of their own")
	}
	return id, secret, session, nil
}

// parseCredentials reads the first profile of an AWS credentials file.
func parseCredentials(text string) (id, secret, session string) {
	sections := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			if sections++; sections > 1 {
				break
			}
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "aws_access_key_id":
			id = value
		case "aws_secret_access_key":
			secret = value
		case "aws_session_token":
			session = value
		}
	}
	return id, secret, session
}

// checkLocations reports what is wrong with the locations.
func (c Config) checkLocations(bad func(format string, args ...any)) {
	ids, places := map[string]bool{}, map[string]string{}
	counting := 0
	for i, l := range c.Locations {
		at := fmt.Sprintf("locations: %q", l.ID)
		if !plainID(l.ID) {
			bad("locations: entry %d: id %q: use up to 40 lower-case letters, digits and hyphens", i+1, l.ID)
			at = fmt.Sprintf("locations: entry %d", i+1)
		}
		if ids[l.ID] {
			bad("%s is there twice", at)
		}
		ids[l.ID] = true
		switch l.Kind {
		case FileLocation:
			if !filepath.IsAbs(l.Path) {
				bad("%s: path %q is not absolute", at, l.Path)
			}
			if l.Bucket+l.Endpoint+l.Region+l.Prefix+l.CredentialsFile != "" || l.Retain != 0 {
				bad("%s: bucket, endpoint, region, prefix, credentials_file and retain are for kind s3", at)
			}
		case S3Location:
			if l.Bucket == "" || l.Region == "" || l.Path != "" {
				bad("%s: an s3 location has bucket and region, and no path", at)
			}
			if u, err := url.Parse(l.Endpoint); l.Endpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
				bad("%s: endpoint is not a URL like https://s3.example", at)
			} else if err == nil && (u.User != nil || u.RawQuery != "") {
				bad("%s: the endpoint holds more than an address; access keys belong in credentials_file", at)
			}
			if l.Prefix != "" && (!strings.HasSuffix(l.Prefix, "/") || strings.HasPrefix(l.Prefix, "/")) {
				bad("%s: prefix %q: it ends with a slash and does not begin with one", at, l.Prefix)
			}
		default:
			bad("%s: kind %q, want file or s3", at, l.Kind)
		}
		if other, taken := places[l.Place()]; taken {
			bad("%s is at the same place as %q; a second copy there is none", at, other)
		}
		places[l.Place()] = l.ID
		if l.Bandwidth < 0 || l.Bandwidth > 0 && l.Bandwidth < 1024 || l.Requests < 0 || l.Retain < 0 {
			bad("%s: bandwidth is at least 1024 bytes a second, requests and retain are not negative", at)
		}
		if l.Counts() && l.Arrangement == "" {
			counting++
		}
	}
	if len(c.Locations) > 0 && counting == 0 {
		bad("locations: at least one must be for all arrangements and count towards the quorum")
	}
	if c.WriteQuorum < 0 || len(c.Locations) > 0 && c.WriteQuorum > counting || len(c.Locations) == 0 && c.WriteQuorum > 1 {
		bad("write_quorum: %d, but %d locations for all arrangements count", c.WriteQuorum, max(counting, 1))
	}
	if c.ScrubPeriod < Duration(time.Minute) || c.CollectAfter < Duration(time.Hour) || c.UploadQuota < 0 {
		bad("scrub_period wants at least 1m, collect_after at least 1h, upload_quota is not negative")
	}
}

func plainID(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}
