package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"holdfast/internal/config"
	"holdfast/internal/server"
)

// serveCmd runs an installation.
type serveCmd struct {
	Config string `help:"Configuration file; see docs/operate.md." env:"HOLDFAST_CONFIG" type:"existingfile"`
	Data   string `help:"Data directory, overriding the configuration." type:"path"`
	Listen string `help:"Address to listen on, overriding the configuration."`
	Role   string `help:"What this process does: all, web or worker, overriding the configuration. Several processes need PostgreSQL." placeholder:"ROLE"`
	Quiet  bool   `help:"Log warnings and errors only."`

	NewAdminToken bool `help:"Leave a fresh administrator's token in the data directory and revoke the ones before."`
}

// load reads the configuration and lays the flags over it.
func (c *serveCmd) load() (config.Config, error) {
	return config.Load(c.Config, func(name string) string {
		switch {
		case name == "HOLDFAST_DATA" && c.Data != "":
			return c.Data
		case name == "HOLDFAST_LISTEN" && c.Listen != "":
			return c.Listen
		case name == "HOLDFAST_ROLE" && c.Role != "":
			return c.Role
		}
		return os.Getenv(name)
	})
}

func (c *serveCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if c.Quiet {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: level}))
	srv, err := server.Open(ctx, cfg, server.Options{Log: log, NewAdminToken: c.NewAdminToken, Reload: c.load})
	if err != nil {
		return err
	}
	defer srv.Close()
	if cfg.Role.Serves() {
		fmt.Fprintf(s.out, "holdfast serves on http://%s\n", srv.Addr())
	} else {
		fmt.Fprintf(s.out, "holdfast works, and serves no requests\n")
	}
	if cfg.Role != config.RoleAll {
		fmt.Fprintf(s.out, "  role         %s\n", cfg.Role)
	}
	if srv.MetricsAddr() != "" {
		fmt.Fprintf(s.out, "  metrics      http://%s/metrics\n", srv.MetricsAddr())
	}
	fmt.Fprintf(s.out, "  data         %s\n", cfg.Data)
	fmt.Fprintf(s.out, "  ledger key   %s\n", srv.LedgerKey())
	if _, err := os.Stat(srv.AdminTokenFile()); err == nil { // of several processes, one has it
		fmt.Fprintf(s.out, "  admin token  %s (mode 0600; --new-admin-token makes another)\n", srv.AdminTokenFile())
	}
	return srv.Run(ctx)
}
