package gittest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"holdfast/internal/intake/git/object"
)

// FaultSpecs explains what [ParseFault] reads, one fault a line.
const FaultSpecs = `cut=N                break the connection after N bytes of an answer with a pack
stall=N              send N bytes of it and then nothing
corrupt=N            change byte N of the pack, from its end when negative
corrupt-resealed=N   the same, with a checksum that fits
omit=OID             leave an object out and send the rest as a valid pack
empty                send a pack without objects
vanish=REF           delete a ref and forget its objects after it was listed
status=CODE          answer everything with an HTTP status
status-fetch=CODE    answer the requests for a pack with it
redirect=URL         send every request to another server
redirect-fetch=URL   send the requests for a pack there
endless-refs         list refs for ever
endless-pack         send a pack that never ends
endless-progress     send progress messages for ever
echo                 answer with status 403 and the credentials received`

// ParseFault makes the middleware that a text asks for, for the repository in
// dir, a name and its argument as in [FaultSpecs].
func ParseFault(dir, spec string) (Middleware, error) {
	name, arg, _ := strings.Cut(spec, "=")
	number := func(make func(int) Middleware) (Middleware, error) {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return nil, fmt.Errorf("fault %q needs a number", spec)
		}
		return make(n), nil
	}
	switch name {
	case "cut":
		return number(func(n int) Middleware { return Cut(int64(n)) })
	case "stall":
		return number(func(n int) Middleware { return Stall(int64(n)) })
	case "corrupt", "corrupt-resealed":
		f, err := formatOf(dir)
		if err != nil {
			return nil, err
		}
		return number(func(n int) Middleware { return Corrupt(n, name == "corrupt-resealed", f) })
	case "omit":
		return Omit(dir, arg), nil
	case "empty":
		f, err := formatOf(dir)
		if err != nil {
			return nil, err
		}
		return RewritePack(func([]byte) ([]byte, error) { return EmptyPack(f), nil }), nil
	case "vanish":
		return Vanish(dir, arg), nil
	case "status":
		return number(func(n int) Middleware { return Status(n, http.StatusText(n), nil) })
	case "status-fetch":
		return number(func(n int) Middleware { return Status(n, http.StatusText(n), Fetches) })
	case "redirect":
		return Redirect(arg, nil), nil
	case "redirect-fetch":
		return Redirect(arg, Fetches), nil
	case "endless-refs":
		return EndlessRefs, nil
	case "endless-pack", "endless-progress":
		return EndlessPack(name == "endless-progress"), nil
	case "echo":
		return EchoSecrets, nil
	}
	return nil, fmt.Errorf("unknown fault %q; there are:\n%s", spec, FaultSpecs)
}

func formatOf(dir string) (object.Format, error) {
	out, err := Run(dir, nil, "rev-parse", "--show-object-format")
	if err != nil {
		return 0, err
	}
	return object.ParseFormat(strings.TrimSpace(string(out)))
}

// Vanish deletes a ref and everything only it reaches before the first
// request for a pack is answered.
func Vanish(dir, ref string) Middleware {
	var once sync.Once
	return OnFetch(func(int) {
		once.Do(func() {
			for _, args := range [][]string{{"update-ref", "-d", ref}, {"reflog", "expire", "--expire=now", "--all"}, {"gc", "-q", "--prune=now"}} {
				if _, err := Run(dir, nil, args...); err != nil {
					return // the fetch then succeeds, and whoever asked for the fault sees that
				}
			}
		})
	})
}

// Serve is [HTTPHandler] for one repository with faults in front of it. The
// first fault is the one that the client meets.
func Serve(dir string, o HTTPOptions, faults ...string) (http.Handler, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	h, err := HTTPHandler(filepath.Dir(dir), o)
	if err != nil {
		return nil, err
	}
	for i := len(faults) - 1; i >= 0; i-- {
		m, err := ParseFault(dir, faults[i])
		if err != nil {
			return nil, err
		}
		h = m(h)
	}
	return h, nil
}
