// Command gitfault serves a Git repository over HTTP and breaks things as it
// is told, for scripts that show what a deposit does then:
//
//	gitfault -repo PATH [-listen ADDR] [-protocol 0|1|2] [-token T] [fault ...]
//
// It prints the repository's URL on its first line and runs until it is
// stopped. It is for tests; no program that ships contains it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"holdfast/internal/intake/git/gittest"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("gitfault", flag.ContinueOnError)
	flags.SetOutput(stderr)
	repo := flags.String("repo", "", "the repository, a bare one or a .git directory")
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	protocol := flags.Int("protocol", 2, "newest protocol version the server knows")
	token := flags.String("token", "", "password that clients must give")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: gitfault -repo PATH [flags] [fault ...]\n\nfaults:\n"+gittest.FaultSpecs+"\n\nflags:")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil || *repo == "" {
		flags.Usage()
		return 2
	}
	h, err := gittest.Serve(*repo, gittest.HTTPOptions{Version: gittest.Version(*protocol), Token: *token}, flags.Args()...)
	if err != nil {
		fmt.Fprintln(stderr, "gitfault:", err)
		return 2
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(stderr, "gitfault:", err)
		return 1
	}
	abs, err := filepath.Abs(*repo)
	if err != nil {
		abs = *repo
	}
	fmt.Fprintf(stdout, "http://%s/%s\n", l.Addr(), filepath.Base(abs))
	fmt.Fprintln(stderr, "gitfault:", http.Serve(l, h))
	return 1
}
