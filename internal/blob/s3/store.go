// Package s3 keeps objects in a bucket that speaks S3. It imports blob, escrow
// and Go CDK's s3blob with the AWS SDK under it.
//
// An object lies under the configured prefix and its name. S3 makes an object
// visible when its upload has ended and not before, and takes a precondition
// that nothing is there yet; so an object is whole or absent, as [blob.Store]
// asks, and never overwritten. S3 has no rename: the name must be known when
// the upload begins, and here it is the digest of the bytes, known only at
// their end. A writer therefore spools its bytes to a local directory and
// uploads them under their name at the end. That costs one local copy, and
// buys that nothing of an upload that was cut off ever lies in the bucket under
// a name, that no server-side copy is needed, and that memory stays at two
// parts whatever the object's size. Behind blob/replica the copy of a local
// location is the spool and nothing is written twice.
package s3

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	gocloud "gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"

	"holdfast/internal/blob"
	"holdfast/internal/escrow"
)

// Options say where a bucket is and how it is reached.
type Options struct {
	Bucket   string
	Endpoint string // URL of the service; "" for Amazon's of the region
	Region   string
	Prefix   string // before every name, such as "holdfast/"
	// Credentials reads the access keys; it is called again every few minutes,
	// so that they can be changed without a restart.
	Credentials func() (Access, error)
	// Retain has every object locked for so long where the bucket has object
	// lock: nobody can delete it earlier, not even with these credentials.
	Retain time.Duration
	Spool  blob.Streamer // takes the bytes of an object whose name is not known yet
	Now    func() time.Time
	// Quiet is how long the service may let a connection wait; default 1 min.
	Quiet time.Duration
}

// Access is what the service knows the server by. It is never printed.
type Access struct{ KeyID, Secret, Session string }

const (
	credentialsFor = 5 * time.Minute
	partSize       = 8 << 20
	partsAtOnce    = 2 // of one upload; memory is partSize times one more
	asidePrefix    = "aside/"
)

// Store is a [blob.Store] in a bucket.
type Store struct {
	o      Options
	bucket *gocloud.Bucket
	client *s3.Client
}

var (
	_ blob.Store    = (*Store)(nil)
	_ blob.Lister   = (*Store)(nil)
	_ blob.Deleter  = (*Store)(nil)
	_ blob.Receiver = (*Store)(nil)
)

// Open prepares a store and looks whether the bucket can be used: that it is
// there, that the credentials are taken, and that it has object lock if Retain
// is set.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Bucket == "" || o.Region == "" || o.Credentials == nil || o.Spool == nil {
		return nil, escrow.Errorf(escrow.Invalid, "an S3 location needs bucket, region, credentials and a spool")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Quiet <= 0 {
		o.Quiet = time.Minute
	}
	s := &Store{o: o}
	s.client = s3.New(s3.Options{
		Region:       o.Region,
		BaseEndpoint: endpoint(o.Endpoint),
		UsePathStyle: o.Endpoint != "",
		HTTPClient:   httpClient(o.Quiet),
		Credentials: aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			a, err := o.Credentials()
			return aws.Credentials{AccessKeyID: a.KeyID, SecretAccessKey: a.Secret, SessionToken: a.Session, Source: "holdfast", CanExpire: true, Expires: time.Now().Add(credentialsFor)}, err
		})),
		// The bytes are compared with their name; a second checksum, which not
		// every service computes alike, adds nothing.
		RequestChecksumCalculation: checksums(o), ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		DisableLogOutputChecksumValidationSkipped: true,
	})
	bucket, err := s3blob.OpenBucket(ctx, s.client, o.Bucket, &s3blob.Options{RequestChecksumCalculation: checksums(o)})
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "bucket %s: %w", o.Bucket, err)
	}
	s.bucket = bucket
	if err := s.Probe(ctx); err != nil {
		return nil, err
	}
	return s, s.checkLock(ctx)
}

// checksums: a locked object must come with one, others need not.
func checksums(o Options) aws.RequestChecksumCalculation {
	if o.Retain > 0 {
		return aws.RequestChecksumCalculationWhenSupported
	}
	return aws.RequestChecksumCalculationWhenRequired
}

func endpoint(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// httpClient does not wait for ever for a service that has gone: connections
// time out when nothing moves, however long a transfer takes.
func httpClient(quiet time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &quietConn{c, quiet}, nil
		},
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: quiet, IdleConnTimeout: quiet / 2, MaxIdleConnsPerHost: 8, ForceAttemptHTTP2: true,
	}}
}

type quietConn struct {
	net.Conn
	quiet time.Duration
}

func (c *quietConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.quiet)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *quietConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.quiet)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Probe looks whether the bucket is there and takes the credentials.
func (s *Store) Probe(ctx context.Context) error {
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.o.Bucket})
	return s.explain(ctx, err)
}

// checkLock refuses to promise a retention that the bucket does not keep.
func (s *Store) checkLock(ctx context.Context) error {
	if s.o.Retain <= 0 {
		return nil
	}
	out, err := s.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.o.Bucket})
	if err == nil && out.ObjectLockConfiguration != nil && out.ObjectLockConfiguration.ObjectLockEnabled == types.ObjectLockEnabledEnabled {
		return nil
	}
	if err != nil && apiCode(err) != "ObjectLockConfigurationNotFoundError" && apiCode(err) != "ObjectLockConfigurationNotFound" {
		return s.explain(ctx, err)
	}
	return escrow.Errorf(escrow.Invalid, "bucket %s has no object lock, so nothing in it can be retained", s.o.Bucket).
		WithHint("make the bucket with object lock, or leave 'retain' out")
}

func (s *Store) key(name string) string { return s.o.Prefix + name }

// Put implements [blob.Receiver].
func (s *Store) Put(ctx context.Context, name string, size int64, r io.Reader) error {
	return s.store(ctx, name, size, r, true)
}

func (s *Store) store(ctx context.Context, name string, size int64, r io.Reader, ifNew bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := blob.CheckName(name); err != nil {
		return err
	}
	if ifNew && size > partSize { // not worth sending in parts only to hear that it is there
		switch _, err := s.Stat(ctx, name); escrow.CodeOf(err) {
		case "":
			return s.compare(ctx, name, size)
		case escrow.Missing:
		default:
			return err
		}
	}
	source := &remembering{r: blob.Exactly(ctx, r, name, size)}
	err := s.bucket.Upload(ctx, s.key(name), source, &gocloud.WriterOptions{
		ContentType: "application/octet-stream", BufferSize: partSize, MaxConcurrency: partsAtOnce, IfNotExist: ifNew,
		BeforeWrite: func(as func(any) bool) error {
			var in *transfermanager.UploadObjectInput
			if s.o.Retain > 0 && as(&in) {
				in.ObjectLockMode = tmtypes.ObjectLockModeCompliance
				in.ObjectLockRetainUntilDate = aws.Time(s.o.Now().Add(s.o.Retain).UTC())
			}
			return nil
		},
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case source.err != nil: // the bytes are at fault, not the bucket
		return source.err
	case apiCode(err) == "PreconditionFailed" || apiCode(err) == "ConditionalRequestConflict":
		return s.compare(ctx, name, size)
	}
	return s.explain(ctx, err)
}

// remembering keeps the error of a reader: the uploader wraps it.
type remembering struct {
	r   io.Reader
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// compare looks whether what has the name already is the object.
func (s *Store) compare(ctx context.Context, name string, size int64) error {
	r, err := s.Open(ctx, name)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != size {
		return escrow.Errorf(escrow.Damaged, "object %s is held with %d bytes, its name belongs to %d bytes", name, r.Size(), size)
	}
	return blob.Check(ctx, r, name)
}

// Replace implements [blob.Receiver]. S3 replaces an object in one step; what
// was there is copied aside first, as far as the bucket lets us.
func (s *Store) Replace(ctx context.Context, name string, size int64, r io.Reader) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	switch err := s.compare(ctx, name, size); escrow.CodeOf(err) {
	case "":
		return nil
	case escrow.Missing:
		return s.store(ctx, name, size, r, true)
	case escrow.Damaged:
	default:
		return err
	}
	aside := s.o.Prefix + asidePrefix + name + "." + s.o.Now().UTC().Format("20060102T150405")
	_ = s.bucket.Copy(ctx, aside, s.key(name), nil) // for whoever wants to know why; a good copy is worth more
	return s.store(ctx, name, size, r, false)
}

// Stat implements [blob.Store].
func (s *Store) Stat(ctx context.Context, name string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := blob.CheckName(name); err != nil {
		return 0, err
	}
	a, err := s.bucket.Attributes(ctx, s.key(name))
	if err != nil {
		return 0, s.objectError(ctx, err, name)
	}
	return a.Size, nil
}

// List implements [blob.Lister]. S3 lists keys in the order of their bytes.
func (s *Store) List(ctx context.Context, fn func(name string, size int64) error) error {
	it := s.bucket.List(&gocloud.ListOptions{Prefix: s.o.Prefix, Delimiter: "/"})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return s.explain(ctx, err)
		}
		name := o.Key[min(len(s.o.Prefix), len(o.Key)):]
		if o.IsDir || blob.CheckName(name) != nil {
			continue
		}
		if err := fn(name, o.Size); err != nil {
			return err
		}
	}
}

// Delete implements [blob.Deleter]: all versions go, where the bucket keeps
// versions. One that is locked stays until its time is over; that is a
// Conflict.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := blob.CheckName(name); err != nil {
		return err
	}
	key := s.key(name)
	pages := s3.NewListObjectVersionsPaginator(s.client, &s3.ListObjectVersionsInput{Bucket: &s.o.Bucket, Prefix: &key})
	found := false
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if apiCode(err) == "NotImplemented" || apiCode(err) == "MethodNotAllowed" {
			break
		}
		if err != nil {
			return s.explain(ctx, err)
		}
		var ids []*string
		for _, v := range page.Versions {
			if aws.ToString(v.Key) == key {
				ids = append(ids, v.VersionId)
			}
		}
		for _, m := range page.DeleteMarkers {
			if aws.ToString(m.Key) == key {
				ids = append(ids, m.VersionId)
			}
		}
		for _, id := range ids {
			found = true
			if err := s.deleteVersion(ctx, name, id); err != nil {
				return err
			}
		}
	}
	if found {
		return nil
	}
	return s.deleteVersion(ctx, name, nil)
}

func (s *Store) deleteVersion(ctx context.Context, name string, id *string) error {
	key := s.key(name)
	if aws.ToString(id) == "null" && s.o.Retain <= 0 {
		id = nil // a bucket without versions calls its only one so
	}
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.o.Bucket, Key: &key, VersionId: id})
	switch code := apiCode(err); {
	case err == nil, code == "NoSuchKey", code == "NotFound", code == "NoSuchVersion":
		return nil
	case code == "AccessDenied" || code == "ObjectLocked" || code == "InvalidRequest":
		if until := s.lockedUntil(ctx, key, id); !until.IsZero() {
			return escrow.Wrap(err, escrow.Conflict, "object %s is locked in bucket %s until %s", name, s.o.Bucket, until.UTC().Format(time.DateTime)).
				WithHint("it is removed when that time is over")
		}
	}
	return s.explain(ctx, err)
}

func (s *Store) lockedUntil(ctx context.Context, key string, id *string) time.Time {
	out, err := s.client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &s.o.Bucket, Key: &key, VersionId: id})
	if err != nil || out.Retention == nil {
		return time.Time{}
	}
	return aws.ToTime(out.Retention.RetainUntilDate)
}

// Renew extends the lock of an object that would end within half of the
// retention. Who scrubs calls it for every object that is to stay.
func (s *Store) Renew(ctx context.Context, name string) error {
	if s.o.Retain <= 0 {
		return nil
	}
	key := s.key(name)
	if until := s.lockedUntil(ctx, key, nil); until.Sub(s.o.Now()) > s.o.Retain/2 {
		return nil
	}
	_, err := s.client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &s.o.Bucket, Key: &key,
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: aws.Time(s.o.Now().Add(s.o.Retain).UTC())}})
	return s.explain(ctx, err)
}

// Host is where a location's bucket is, for people.
func Host(endpointURL, region string) string {
	if u, err := url.Parse(endpointURL); err == nil && u.Host != "" {
		return u.Host
	}
	return region
}
