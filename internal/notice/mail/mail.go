// Package mail sends notices by mail: one text and one HTML body, from one
// address of the installation's own domain, so that the mail server can sign
// it (DKIM) and the signature aligns.
//
// It imports go-mail, escrow and the outbox's message. The server is the
// operator's and is named in the configuration; nothing a party says decides
// where a connection goes.
package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"holdfast/internal/escrow"
	"holdfast/internal/notice"
)

// Config says how mail leaves.
type Config struct {
	Server   string // host:port of the mail server that takes our mail
	From     string // address, or name and address
	User     string // "" for none
	Password func() (string, error)
	TLS      TLS
	RootCAs  *x509.CertPool // nil for the system's
	Now      func() time.Time
}

// TLS is how the connection is protected.
type TLS string

// The ways: starttls is required, not hoped for; none is for a mail server on
// this machine.
const (
	StartTLS TLS = "starttls"
	Implicit TLS = "tls"
	None     TLS = "none"
)

// Sender sends mail.
type Sender struct {
	config Config
	host   string
	port   int
	from   string // address
	domain string
}

// New checks a configuration.
func New(c Config) (*Sender, error) {
	host, portText, err := net.SplitHostPort(c.Server)
	port, perr := strconv.Atoi(portText)
	if err != nil || perr != nil || host == "" || port < 1 || port > 65535 {
		return nil, escrow.Errorf(escrow.Invalid, "mail server %q is not an address like smtp.example:587", c.Server)
	}
	from, err := netmail.ParseAddress(c.From)
	if err != nil {
		return nil, escrow.Errorf(escrow.Invalid, "the sender of mail, %q, is not a mail address", c.From)
	}
	if err := escrow.OneLine("the sender of mail", c.From, 300); err != nil {
		return nil, err
	}
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case c.TLS != StartTLS && c.TLS != Implicit && c.TLS != None:
		return nil, escrow.Errorf(escrow.Invalid, "mail protection %q is not one of starttls, tls and none", c.TLS)
	case c.TLS == None && !local:
		return nil, escrow.Errorf(escrow.Invalid, "mail to %s would go unprotected", c.Server).WithHint("use starttls or tls; none is for a mail server on this machine")
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	return &Sender{config: c, host: host, port: port, from: from.Address, domain: domain}, nil
}

// Send implements notice.Sender. The reference is the message's id, which is
// the same at every try: a receiver that got it twice can tell.
func (s *Sender) Send(ctx context.Context, m notice.Message) (string, error) {
	msg, id, err := s.compose(m)
	if err != nil {
		return "", err
	}
	c, err := s.client()
	if err != nil {
		return "", err
	}
	if err := c.DialAndSendWithContext(ctx, msg); err != nil {
		return "", explain(err)
	}
	return id, nil
}

func (s *Sender) compose(m notice.Message) (*gomail.Msg, string, error) {
	for _, line := range []struct{ what, text string }{{"the address", m.To}, {"the name", m.Name}, {"the subject", m.Subject}, {"the id of the message", m.ID}} {
		if err := escrow.OneLine(line.what, line.text, 400); err != nil {
			return nil, "", err
		}
	}
	msg := gomail.NewMsg()
	fail := func(err error) (*gomail.Msg, string, error) {
		return nil, "", escrow.Wrap(err, escrow.Invalid, "a mail to this address cannot be written")
	}
	if err := msg.From(s.config.From); err != nil {
		return fail(err)
	}
	if err := msg.EnvelopeFrom(s.from); err != nil {
		return fail(err)
	}
	var err error
	if m.Name == "" {
		err = msg.To(m.To)
	} else {
		err = msg.AddToFormat(m.Name, m.To)
	}
	if err != nil {
		return fail(err)
	}
	id := m.ID + "@" + s.domain
	msg.SetMessageIDWithValue(id)
	msg.SetDateWithValue(s.config.Now())
	msg.Subject(m.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader(gomail.HeaderContentLang, m.Language)
	msg.SetUserAgent("Holdfast")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, id, nil
}

func (s *Sender) client() (*gomail.Client, error) {
	o := []gomail.Option{gomail.WithPort(s.port), gomail.WithTimeout(8 * time.Second), gomail.WithoutNoop()}
	if s.domain != "" {
		o = append(o, gomail.WithHELO(s.domain))
	}
	o = append(o, gomail.WithTLSConfig(&tls.Config{ServerName: s.host, MinVersion: tls.VersionTLS12, RootCAs: s.config.RootCAs}))
	switch s.config.TLS {
	case Implicit:
		o = append(o, gomail.WithSSL())
	case None:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.config.User != "" {
		password, err := s.config.Password()
		if err != nil {
			return nil, err
		}
		o = append(o, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.config.User), gomail.WithPassword(password))
	}
	c, err := gomail.NewClient(s.host, o...)
	if err != nil {
		return nil, escrow.Wrap(err, escrow.Invalid, "the mail settings do not go together")
	}
	return c, nil
}

// explain says whether trying again may help, without quoting what the other
// side said: a mail server may repeat whatever it was sent.
func explain(err error) error {
	var send *gomail.SendError
	if errors.As(err, &send) && !send.IsTemp() && send.ErrorCode() >= 500 {
		return escrow.Wrap(err, escrow.Invalid, "the mail server refused the message (%d)", send.ErrorCode())
	}
	if errors.As(err, &send) && send.ErrorCode() > 0 {
		return escrow.Wrap(err, escrow.Unavailable, "the mail server did not take the message yet (%d)", send.ErrorCode())
	}
	return escrow.Wrap(err, escrow.Unavailable, "the mail server did not take the message")
}
