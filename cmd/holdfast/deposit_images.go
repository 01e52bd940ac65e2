package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"holdfast/evidence"
	"holdfast/internal/deposit"
	"holdfast/internal/escrow"
	"holdfast/internal/intake/images"
)

// depositImagesCmd deposits container images from the depositor's machine.
type depositImagesCmd struct {
	depositFlags
	Source     string   `arg:"" help:"Directory with an OCI layout, or https://REGISTRY/REPOSITORY with :TAG or @DIGEST for one image."`
	Exclude    []string `help:"Patterns of tags to leave out, and of platforms as platform:linux/arm64."`
	Credential string   `help:"File with the registry's USER:PASSWORD or token; '-' reads standard input."`
}

func (depositImagesCmd) Help() string {
	return `Takes every image of the repository or layout by digest and seals what is new: layers that
an earlier deposit holds are not sent again. Without --credential the registry is asked as
nobody.`
}

// maxImageBytes bounds one deposit of images made here.
const maxImageBytes = 1 << 40

func (c *depositImagesCmd) Run(ctx context.Context, s *streams) error {
	source, err := c.source(s)
	if err != nil {
		return err
	}
	return c.deposit(ctx, s, func(ctx context.Context, d *depositing, maker deposit.Maker, bar *progress) (*deposit.Made, error) {
		if d.base.Module.Kind != escrow.Images {
			return nil, escrow.Errorf(escrow.Conflict, "module %s is of kind %s; images go into modules of kind %s", c.Module, d.base.Module.Kind, escrow.Images)
		}
		return maker.Images(ctx, d.base, images.Options{Source: source, Exclude: exclude(s, d.base.Module.Source, c.Exclude),
			MaxBlob: maxImageBytes, MaxBytes: maxImageBytes, Progress: func(n int64) { bar.step("sealing", n) }})
	})
}

func (c *depositImagesCmd) source(s *streams) (images.Source, error) {
	if info, err := os.Stat(c.Source); err == nil && info.IsDir() {
		return images.OpenLayout(c.Source)
	}
	credential := ""
	if c.Credential != "" {
		secret, err := readSecret(c.Credential, s.in, true)
		if err != nil {
			return nil, err
		}
		credential = string(secret)
	}
	return images.NewRegistry(images.RegistryOptions{Address: c.Source, Credential: credential, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 30 * time.Second}).DialContext, TLSHandshakeTimeout: 20 * time.Second,
		ResponseHeaderTimeout: 5 * time.Minute, DisableCompression: true, ForceAttemptHTTP2: true}})
}

// wordsImages says what a deposit of images is of.
func wordsImages(m *evidence.ImagesSummary) string {
	words := fmt.Sprintf("%d images, %d new parts of %s", m.Images, m.Blobs, size(m.Bytes))
	if n := len(m.Changes); n > 0 {
		words += fmt.Sprintf(", %d tags changed", n)
	}
	return words
}
