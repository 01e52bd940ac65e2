package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"holdfast/evidence"
	"holdfast/internal/config"
	"holdfast/internal/escrow"
	"holdfast/internal/server"
)

// backupCmd writes an installation to one file.
type backupCmd struct {
	Config      string   `help:"Configuration file, as for serve." env:"HOLDFAST_CONFIG" type:"existingfile"`
	Data        string   `help:"Data directory, overriding the configuration." type:"path"`
	Recipient   []string `help:"age recipient (age1…) that the installation's keys are sealed to; several may open them." env:"HOLDFAST_BACKUP_RECIPIENT"`
	WithoutKeys bool     `help:"Leave the keys out: there is a copy of them elsewhere."`
	ListOnly    bool     `help:"Name the objects with their digests instead of copying them: they are kept elsewhere."`
	File        string   `arg:"" help:"File to write; it must not exist." type:"path"`
}

func (backupCmd) Help() string {
	return `The server may go on meanwhile: what is written is the state of one moment, with every
act that was acknowledged before it. The file is read again from end to end, its
ledger, rows and objects are proved, and only then does it get its name. Deposits stay
sealed; the installation's keys are in it only sealed to --recipient.`
}

func (c *backupCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := (&serveCmd{Config: c.Config, Data: c.Data}).load()
	if err != nil {
		return err
	}
	if (len(c.Recipient) == 0) == !c.WithoutKeys {
		return escrow.Errorf(escrow.Invalid, "say what happens with the installation's keys").
			WithHint("give an age recipient that they are sealed to with --recipient, or --without-keys if a copy of the keys directory is kept elsewhere")
	}
	bar := newProgress(s, "backup")
	h, err := server.Backup(ctx, cfg, server.Options{}, server.BackupOptions{To: c.File, Recipients: strings.Join(c.Recipient, "\n"), ListOnly: c.ListOnly, Progress: bar.of})
	bar.done()
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(h)
	}
	fmt.Fprintf(s.out, "backup    %s, read again and proved\n", c.File)
	fmt.Fprintf(s.out, "  ledger    %s, %d entries, root %s\n", h.Origin, h.Size, h.Root)
	objects := "copied"
	if !h.Copied {
		objects = "listed and not copied"
	}
	fmt.Fprintf(s.out, "  objects   %d, %s, %s\n", h.Objects, size(h.Bytes), objects)
	if h.Keys {
		fmt.Fprintf(s.out, "  keys      sealed to the recipient; without its identity the backup is of no use\n")
	} else {
		fmt.Fprintf(s.out, "  keys      not in it\n")
	}
	return nil
}

// restoreCmd makes an installation from a backup.
type restoreCmd struct {
	Config    string   `help:"Configuration file of the installation to make." env:"HOLDFAST_CONFIG" type:"existingfile"`
	Data      string   `help:"Data directory, overriding the configuration. It must not exist, or be empty." type:"path"`
	Identity  string   `help:"age identity file that opens the keys in the backup." type:"existingfile"`
	Pin       []string `help:"File with a checkpoint somebody saw: a witness's, a client's, a receipt's." type:"existingfile"`
	GoingBack string   `help:"Why entries are taken back that --pin shows to have been there; it goes into the ledger." placeholder:"REASON"`
	File      string   `arg:"" help:"The backup." type:"existingfile"`
}

func (restoreCmd) Help() string {
	return `Reads and proves the whole backup before anything appears, and makes all of it or
nothing. What was written after the backup is lost: bring the newest checkpoint that
anybody has (--pin), so that you learn how much that is. Clients and witnesses that
saw a later one refuse the restored server by themselves; see docs/operate.md.`
}

func (c *restoreCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := (&serveCmd{Config: c.Config, Data: c.Data}).load()
	if err != nil {
		return err
	}
	o := server.RestoreOptions{From: c.File, GoingBack: c.GoingBack}
	if c.Identity != "" {
		text, err := readFile(c.Identity, maxKeyFile)
		if err != nil {
			return err
		}
		o.Identities = string(text)
	}
	var pins []evidence.Pin
	for _, path := range c.Pin {
		pin, err := readPin(path)
		if err != nil {
			return err
		}
		pins = append(pins, pin)
	}
	o.Pins = pins
	bar := newProgress(s, "restore")
	o.Progress = func(done, _ int64) { bar.step("objects", done) }
	r, err := server.Restore(ctx, cfg, server.Options{}, o)
	bar.done()
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(r)
	}
	fmt.Fprintf(s.out, "restored  %s, of %s\n", r.Data, r.Made)
	fmt.Fprintf(s.out, "  ledger    %s, %d entries, root %s\n", r.Origin, r.Size, r.Root)
	if r.Copied {
		fmt.Fprintf(s.out, "  objects   %d, %s\n", r.Objects, size(r.Bytes))
	} else {
		fmt.Fprintf(s.out, "  objects   %d are listed and have to be brought; 'holdfast verify' says what is missing\n", r.Objects)
	}
	switch {
	case r.Behind > 0:
		fmt.Fprintf(s.out, "  lost      %d entries that somebody saw; the ledger will say why\n", r.Behind)
	case len(pins) == 0:
		fmt.Fprintf(s.out, "  note      nobody's checkpoint was compared: whoever saw more than %d entries will refuse this server\n", r.Size)
	}
	return nil
}

// moveCmd takes the state to another database.
type moveCmd struct {
	Config       string `help:"Configuration file of the installation as it is." env:"HOLDFAST_CONFIG" type:"existingfile"`
	Data         string `help:"Data directory, overriding the configuration." type:"path"`
	To           string `help:"postgres:// URL of an empty database, or 'sqlite' for a file in the data directory." required:"" placeholder:"DATABASE"`
	PasswordFile string `help:"File with the password of the new PostgreSQL." type:"existingfile"`
}

func (moveCmd) Help() string {
	return `From SQLite to PostgreSQL and back, with every server stopped. The copy is proved
before it counts: the same root of the ledger, every row as its act recorded it. Then
the old database is closed for good, since going on in both would be two ledgers.`
}

func (c *moveCmd) Run(ctx context.Context, s *streams) error {
	cfg, err := (&serveCmd{Config: c.Config, Data: c.Data}).load()
	if err != nil {
		return err
	}
	cfg.Role = config.RoleAll
	to := cfg
	to.Database, to.DatabasePasswordFile = c.To, c.PasswordFile
	if c.To == "sqlite" {
		to.Database = ""
	}
	m, err := server.Move(ctx, cfg, to, server.Options{Log: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	return s.result(m, "moved     %d entries, root %s, the same in both\n  from      %s (closed)\n  to        %s\n  next      name it as 'database' in the configuration, or leave that out for SQLite\n",
		m.Entries, m.Root, m.From, m.To)
}
