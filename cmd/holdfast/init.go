package main

import (
	"context"
	"log/slog"

	"holdfast/internal/server"
)

// initCmd begins an installation without serving it.
type initCmd struct {
	Config string `help:"Configuration file, as for serve." env:"HOLDFAST_CONFIG" type:"existingfile"`
	Data   string `help:"Data directory, overriding the configuration." type:"path"`
}

func (initCmd) Help() string {
	return `Makes the data directory, the installation's keys, the database's tables and the
administrator's token. An installation of one process needs no init: its first serve
does the same. Of several processes none may do it, since two that start at once
would make two. What is there already stays as it is.`
}

func (c *initCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := (&serveCmd{Config: c.Config, Data: c.Data}).load()
	if err != nil {
		return err
	}
	made, err := server.Init(ctx, cfg, server.Options{Log: slog.New(slog.NewJSONHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	return s.result(made, "an installation is in %s\n  keys         %s\n  ledger key   %s\n  admin token  %s\n",
		made.Data, made.Keys, made.LedgerKey, made.AdminTokenFile)
}
