package main

import (
	"fmt"
	"runtime/debug"
)

// versionCmd prints what this binary was built from.
type versionCmd struct{}

func (versionCmd) Run(s *streams) error {
	version, revision := "devel", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, b := range info.Settings {
			if b.Key == "vcs.revision" {
				revision = b.Value
			}
		}
	}
	if s.json {
		return s.printJSON(map[string]string{"version": version, "revision": revision})
	}
	_, err := fmt.Fprintf(s.out, "holdfast %s (%s)\n", version, revision)
	return err
}
