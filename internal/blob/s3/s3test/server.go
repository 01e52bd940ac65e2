// Package s3test runs a real S3 server for tests: versitygw, built from its Go
// module by scripts/testtools, over a directory of the test. It imports the
// AWS SDK and the standard library.
package s3test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What the server knows its administrator by, and where it says it is.
const (
	KeyID  = "test-key-id"
	Secret = "test-secret-that-must-not-be-seen"
	Region = "eu-test-1"
)

// Server is a running S3 server.
type Server struct {
	Endpoint string
	Address  string
	Dir      string // where the objects of a bucket are files
	Client   *s3.Client
}

// Start runs a server for the test. It skips the test when
// HOLDFAST_TEST_VERSITYGW does not name the program, or fails it when
// HOLDFAST_TEST_TOOLS_REQUIRED is 1.
func Start(t testing.TB) *Server {
	t.Helper()
	program := os.Getenv("HOLDFAST_TEST_VERSITYGW")
	if program == "" {
		if os.Getenv("HOLDFAST_TEST_TOOLS_REQUIRED") == "1" {
			t.Fatal("HOLDFAST_TEST_VERSITYGW is not set and HOLDFAST_TEST_TOOLS_REQUIRED is 1")
		}
		t.Skip("SKIPPED: build an S3 server with scripts/testtools and set HOLDFAST_TEST_VERSITYGW to run on S3")
	}
	base := t.TempDir()
	s := &Server{Address: freeAddress(t), Dir: filepath.Join(base, "data")}
	s.Endpoint = "http://" + s.Address
	versions, iam := filepath.Join(base, "versions"), filepath.Join(base, "iam")
	for _, dir := range []string{s.Dir, versions, iam} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(base, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--port", s.Address, "--region", Region, "--iam-dir", iam, "--quiet", "posix", "--versioning-dir", versions, s.Dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+KeyID, "ROOT_SECRET_KEY="+Secret)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		log.Close()
		if t.Failed() {
			if text, err := os.ReadFile(log.Name()); err == nil && len(text) > 0 {
				t.Logf("versitygw: %.4000s", text)
			}
		}
	})
	s.Client = s.As(KeyID, Secret)
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", s.Address, time.Second)
		if err == nil {
			conn.Close()
			return s
		}
		select {
		case err := <-ended:
			text, _ := os.ReadFile(log.Name())
			ended <- err
			t.Fatalf("versitygw ended: %v\n%s", err, text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("versitygw does not listen on %s: %v", s.Address, err)
		}
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// As returns a client with other credentials.
func (s *Server) As(id, secret string) *s3.Client {
	return s3.New(s3.Options{Region: Region, BaseEndpoint: &s.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
		})})
}

// User makes a user of the service who owns nothing.
func (s *Server) User(t testing.TB, id, secret string) {
	t.Helper()
	cmd := exec.Command(os.Getenv("HOLDFAST_TEST_VERSITYGW"), "admin", "--endpoint-url", s.Endpoint, "--region", Region,
		"--access", KeyID, "--secret", Secret, "create-user", "--access", id, "--secret", secret, "--role", "user")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("create a user: %v\n%s", err, out)
	}
}

// Bucket makes a bucket of its own for one test.
func (s *Server) Bucket(t testing.TB, locked bool) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", time.Now().UnixNano())
	in := &s3.CreateBucketInput{Bucket: &name}
	if locked {
		in.ObjectLockEnabledForBucket = aws.Bool(true)
	}
	if _, err := s.Client.CreateBucket(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	return name
}
