package config

import (
	"net/url"
	"os"
	"strings"

	"holdfast/internal/escrow"
)

// Mail is the mail server that takes what this installation sends. It signs
// with DKIM, if it does, for the domain of From.
type Mail struct {
	// Server is its host and port, such as smtp.example:587.
	Server string `yaml:"server"`
	// From is who the mail is from: an address, or "Name <address>".
	From string `yaml:"from"`
	// User signs in with the password in PasswordFile. Empty: nobody does.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// TLS is starttls (the default; required, not hoped for), tls, or none for
	// a mail server on this machine.
	TLS string `yaml:"tls"`
}

// On reports whether mail is sent at all.
func (m Mail) On() bool { return m.Server != "" }

// Password reads the password, "" where nobody signs in.
func (m Mail) Password() (string, error) {
	if m.User == "" {
		return "", nil
	}
	secret, err := os.ReadFile(m.PasswordFile)
	if err != nil {
		return "", escrow.Wrap(err, escrow.Invalid, "mail: password_file %s", m.PasswordFile)
	}
	return strings.TrimRight(string(secret), "\r\n"), nil
}

func (c Config) checkMail(bad func(format string, args ...any)) {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
			bad("url: %q is not an address like https://escrow.example", c.URL)
		}
	}
	m := c.Mail
	if !m.On() {
		if m != (Mail{}) {
			bad("mail: name the server, such as smtp.example:587")
		}
		return
	}
	if m.From == "" {
		bad("mail: say who it is from, with from")
	}
	if (m.User == "") != (m.PasswordFile == "") {
		bad("mail: user and password_file go together")
	}
	switch m.TLS {
	case "", "starttls", "tls", "none":
	default:
		bad("mail: tls is %q; it is one of starttls, tls and none", m.TLS)
	}
}
