package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	registryclient "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/rogpeppe/go-internal/testscript"
)

// The registry that scripts use asks for this user and password.
const (
	registryUser     = "puller"
	registryPassword = "CANARY-registry-password"
)

// startRegistry runs a real registry until the script ends; $REGISTRY is its
// address, $REGISTRY_SECRET what opens it.
func startRegistry(ts *testscript.TestScript) {
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != registryUser || password != registryPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	ts.Defer(s.Close)
	ts.Setenv("REGISTRY", s.URL)
	ts.Setenv("REGISTRY_SECRET", registryUser+":"+registryPassword)
}

// pushImage pushes an index of two platforms under a tag. Images of one base
// share their layers; each has one of its own.
func pushImage(ts *testscript.TestScript, repository, tag string) {
	ref, err := name.NewTag(strings.TrimPrefix(ts.Getenv("REGISTRY"), "http://")+"/"+repository+":"+tag, name.Insecure)
	ts.Check(err)
	auth := registryclient.WithAuth(&authn.Basic{Username: registryUser, Password: registryPassword})
	var idx v1.ImageIndex = empty.Index
	for _, arch := range []string{"amd64", "arm64"} {
		base := ref.Context().Tag("base-" + arch)
		image, err := registryclient.Image(base, auth)
		if err != nil {
			image, err = random.Image(60_000, 2)
			ts.Check(err)
			ts.Check(registryclient.Write(base, image, auth))
		}
		layer, err := random.Layer(5_000, "application/vnd.docker.image.rootfs.diff.tar.gzip")
		ts.Check(err)
		image, err = mutate.AppendLayers(image, layer)
		ts.Check(err)
		config, err := image.ConfigFile()
		ts.Check(err)
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", arch
		image, err = mutate.ConfigFile(image, config)
		ts.Check(err)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	ts.Check(registryclient.WriteIndex(ref, idx, auth))
}

// validLayout reads an OCI layout with the reference implementation, checks
// every layer and configuration in it, and that each tag means what it means
// at the registry.
func validLayout(ts *testscript.TestScript, dir, repository string, tags ...string) {
	idx, err := layout.ImageIndexFromPath(ts.MkAbs(dir))
	ts.Check(err)
	if err := validate.Index(idx); err != nil {
		ts.Fatalf("%s: %v", dir, err)
	}
	m, err := idx.IndexManifest()
	ts.Check(err)
	held := map[string]string{}
	for _, d := range m.Manifests {
		held[d.Annotations["org.opencontainers.image.ref.name"]] = d.Digest.String()
	}
	for _, tag := range tags {
		ref, err := name.NewTag(strings.TrimPrefix(ts.Getenv("REGISTRY"), "http://")+"/"+repository+":"+tag, name.Insecure)
		ts.Check(err)
		d, err := registryclient.Head(ref, registryclient.WithAuth(&authn.Basic{Username: registryUser, Password: registryPassword}))
		ts.Check(err)
		if held[tag] != d.Digest.String() {
			ts.Fatalf("%s: %s is %q, at the registry %s", dir, tag, held[tag], d.Digest)
		}
	}
}
