package images

import (
	"encoding/json"
	"fmt"
	"strings"
)

// descriptor is how manifests name what they are made of.
type descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int64     `json:"size"`
	URLs      []string  `json:"urls"`
	Platform  *platform `json:"platform"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

func (p *platform) String() string {
	if p == nil || p.OS == "" {
		return ""
	}
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// manifest is what indexes and manifests have in common for a deposit: what
// they are made of.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
	Config        *descriptor  `json:"config"`
	Layers        []descriptor `json:"layers"`
	Blobs         []descriptor `json:"blobs"` // of an artifact manifest
}

// parseManifest reads a manifest or an index. Unknown fields are kept byte by
// byte, since the bytes are what is kept.
func parseManifest(data []byte) (*manifest, error) {
	m := &manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if m.SchemaVersion == 1 {
		return nil, fmt.Errorf("schema 1, which no registry has taken since 2017")
	}
	all := append(append(append([]descriptor(nil), m.Manifests...), m.Layers...), m.Blobs...)
	if m.Config != nil {
		all = append(all, *m.Config)
	}
	if len(all) == 0 && m.SchemaVersion != 2 {
		return nil, fmt.Errorf("it names nothing")
	}
	if len(m.Manifests) > maxChildren || len(all) > maxBlobs {
		return nil, fmt.Errorf("it names %d parts", len(all))
	}
	for _, d := range all {
		if !isDigest(d.Digest) || d.Size < 0 {
			return nil, fmt.Errorf("it names %.80q of %d bytes; only sha256 is taken", d.Digest, d.Size)
		}
	}
	return m, nil
}

// isManifest reports whether something of this type is itself made of parts.
func isManifest(mediaType string) bool {
	switch mediaType {
	case "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.artifact.manifest.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json":
		return true
	}
	return false
}
