package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// noticesCmd shows what a party was told, what came of it, and where its
// people are told.
type noticesCmd struct {
	List     noticesListCmd     `cmd:"" default:"withargs" help:"What your party was told, and what came of it."`
	Show     noticesShowCmd     `cmd:"" help:"Every message of one notice."`
	Read     noticesReadCmd     `cmd:"" help:"Say that you have read a notice."`
	Letter   noticesLetterCmd   `cmd:"" help:"Write the letter of a notice, or record that it was posted (the agent)."`
	Called   noticesCalledCmd   `cmd:"" help:"Record that you called about a notice, and what came of it (the agent)."`
	Channels noticesChannelsCmd `cmd:"" help:"Where the people of your party are told."`
	Channel  noticesChannelCmd  `cmd:"" help:"Set or remove where a person is told."`
}

type noticesListCmd struct{ scoped }

func (c *noticesListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Notices(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NOTICE\tMADE\tTO\tKIND\tUNTIL\tRECEIVED\tSENT\tSUBJECT")
	for _, n := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, minute(&n.MadeAt), n.Audience, n.Kind, minute(n.Due), arrived(n), sentBy(n.Messages), n.Subject)
	}
	return w.Flush()
}

// arrived says in a word or two whether a notice has arrived.
func arrived(n client.PartyNotice) string {
	switch {
	case n.ReadAt != nil:
		return "read"
	case n.ReceivedAt != nil:
		return "by " + minute(n.ReceivedAt)
	case n.Counts:
		return "sent"
	}
	return "open"
}

// sentBy lists the channels beside the program itself, each with how far it is
// where that is not simply sent.
func sentBy(list []client.NoticeMessage) string {
	var out []string
	for _, m := range list {
		if m.Channel == "portal" {
			continue
		}
		word := strings.ReplaceAll(m.Channel, "_", " ")
		if m.State != "sent" {
			word += " " + strings.ReplaceAll(m.State, "_", " ")
		}
		out = append(out, word)
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ", ")
}

type noticesShowCmd struct {
	scoped
	Notice string `arg:"" help:"Id of the notice."`
}

func (c *noticesShowCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Notices(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	for _, n := range list {
		if n.ID != c.Notice {
			continue
		}
		if s.json {
			return s.printJSON(n)
		}
		fmt.Fprintf(s.out, "%s\n\nto        %s\nkind      %s\nmade      %s\nuntil     %s\nreceived  %s\n", n.Subject, n.Audience, n.Kind, minute(&n.MadeAt), minute(n.Due), arrived(n))
		if !n.Counts {
			fmt.Fprintln(s.out, "          no message went over an agreed channel outside the supplier's own domain yet, so this notice does not count")
		}
		fmt.Fprintln(s.out)
		w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "NO\tPERSON\tCHANNEL\tWHY\tSTATE\tAT\tINDEPENDENT\tREFERENCE\tWHAT CAME OF IT")
		for _, m := range n.Messages {
			at := m.SentAt
			if at == nil {
				at = m.Due
			}
			independent := "no"
			if m.Independent {
				independent = "yes"
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Number, dash(m.Person), strings.ReplaceAll(m.Channel, "_", " "), m.Reason, strings.ReplaceAll(m.State, "_", " "), minute(at), independent, dash(m.Reference), dash(m.Error))
		}
		return w.Flush()
	}
	return escrow.Errorf(escrow.NotFound, "no notice %q", c.Notice).WithHint("list them with 'holdfast notices'")
}

type noticesReadCmd struct {
	scoped
	Notice string `arg:"" help:"Id of the notice."`
}

func (c *noticesReadCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.ReadNotice(ctx, c.Arrangement, c.Notice); err != nil {
		return err
	}
	return s.result(map[string]any{"notice": c.Notice, "read": true}, "read      notice %s\n", c.Notice)
}

type noticesLetterCmd struct {
	scoped
	Notice     string `arg:"" help:"Id of the notice."`
	Person     string `help:"To whom; left out: to the party."`
	Out        string `help:"Write the letter as a PDF to this file, to be printed and posted." type:"path" xor:"do"`
	Posted     bool   `help:"It was posted." xor:"do"`
	Registered bool   `help:"As a registered letter."`
	At         string `help:"When it was posted, such as 2026-11-26T09:00:00Z; left out: now."`
	Tracking   string `help:"Tracking number."`
	Proof      string `help:"File that proves it, such as a scan of the receipt; its digest is recorded." type:"existingfile"`
}

func (c *noticesLetterCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if c.Out != "" {
		l, err := cl.NoticeLetter(ctx, c.Arrangement, c.Notice, c.Person)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return escrow.Errorf(escrow.Conflict, "%s: %w", c.Out, err).WithHint("name a file that is not there yet")
		}
		if _, err := f.Write(l.PDF); err != nil {
			return escrow.Wrap(err, escrow.Full, "write %s", c.Out)
		}
		if err := f.Close(); err != nil {
			return escrow.Wrap(err, escrow.Full, "write %s", c.Out)
		}
		return s.result(map[string]any{"notice": c.Notice, "file": c.Out, "digest": l.Digest}, "written   %s  sha256 %s\n", c.Out, l.Digest)
	}
	if !c.Posted {
		return escrow.Errorf(escrow.Invalid, "say what to do with the letter").WithHint("--out FILE writes it, --posted records that it was posted")
	}
	proof := ""
	if c.Proof != "" {
		if proof, err = digestOf(c.Proof); err != nil {
			return err
		}
	}
	if err := cl.LetterPosted(ctx, c.Arrangement, c.Notice, client.NewLetter{Registered: c.Registered, Person: c.Person, Tracking: c.Tracking, PostedAt: c.At, Proof: proof}); err != nil {
		return err
	}
	return s.result(map[string]any{"notice": c.Notice, "tracking": c.Tracking, "proof": proof}, "posted    notice %s\n", c.Notice)
}

// maxProof bounds a file that proves something.
const maxProof = 64 << 20

// digestOf returns the SHA-256 of a file.
func digestOf(name string) (string, error) {
	data, err := readFile(name, maxProof)
	if err != nil {
		return "", err
	}
	return evidence.Digest(data), nil
}

type noticesCalledCmd struct {
	scoped
	Notice  string `arg:"" help:"Id of the notice."`
	Number  string `required:"" help:"The number you called."`
	Outcome string `required:"" enum:"reached,no_answer,voicemail,refused,wrong_number" help:"What came of it: reached, no_answer, voicemail, refused, wrong_number."`
	Person  string `help:"Whom you called."`
	At      string `help:"When, such as 2026-11-26T09:00:00Z; left out: now."`
	Note    string `help:"One line for the record."`
}

func (c *noticesCalledCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if err := cl.Called(ctx, c.Arrangement, c.Notice, client.NewCall{Person: c.Person, Number: c.Number, Outcome: c.Outcome, CalledAt: c.At, Note: c.Note}); err != nil {
		return err
	}
	return s.result(map[string]any{"notice": c.Notice, "outcome": c.Outcome}, "called    about notice %s: %s\n", c.Notice, strings.ReplaceAll(c.Outcome, "_", " "))
}

type noticesChannelsCmd struct{ scoped }

func (c *noticesChannelsCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.NoticeChannels(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTY\tPERSON\tCHANNEL\tCONTACT\tQUIET\tADDRESS")
	for _, n := range list {
		contact, quiet := "first", "-"
		if n.Second {
			contact = "second"
		}
		if n.QuietFrom != "" {
			quiet = n.QuietFrom + "-" + n.QuietTo + " " + n.Zone
		}
		from := ""
		if n.Agreed {
			from = "  (from the agreement)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s%s\n", n.Party, n.Person, strings.ReplaceAll(n.Channel, "_", " "), contact, quiet, strings.ReplaceAll(n.Address, "\n", ", "), from)
	}
	return w.Flush()
}

type noticesChannelCmd struct {
	scoped
	Person   string `arg:"" help:"Id of the person."`
	Channel  string `arg:"" enum:"email,webhook,letter,registered_letter,phone" help:"email, webhook, letter, registered_letter or phone."`
	Address  string `arg:"" optional:"" help:"Address; of a letter its lines, separated by |."`
	Party    string `help:"Of which party; left out: yours. The agent may name another."`
	Second   bool   `help:"The second contact: told when the first is not reached."`
	Language string `help:"nl or en; left out: the agreement's."`
	Quiet    string `help:"Hours in which no mail is sent, such as 22:00-07:00."`
	Zone     string `help:"Time zone of the quiet hours; left out: the agreement's."`
	Secret   string `help:"File that holds the secret which signs the webhook, at least 16 characters." type:"existingfile"`
	Remove   bool   `help:"Take the address back."`
}

func (c *noticesChannelCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if c.Remove {
		if c.Party == "" {
			return escrow.Errorf(escrow.Invalid, "say of which party").WithHint("name it with --party")
		}
		if err := cl.RemoveNoticeChannel(ctx, c.Arrangement, c.Party, c.Person, c.Channel); err != nil {
			return err
		}
		return s.result(map[string]any{"person": c.Person, "channel": c.Channel, "removed": true}, "removed   %s of %s\n", c.Channel, c.Person)
	}
	n := client.NewNoticeChannel{NoticeChannel: client.NoticeChannel{Party: c.Party, Person: c.Person, Channel: c.Channel, Language: c.Language, Second: c.Second, Zone: c.Zone, Address: c.Address}}
	if strings.HasSuffix(c.Channel, "letter") {
		n.Address = strings.ReplaceAll(c.Address, "|", "\n")
	}
	if c.Quiet != "" {
		from, to, ok := strings.Cut(c.Quiet, "-")
		if !ok {
			return escrow.Errorf(escrow.Invalid, "quiet hours %q are not two times of the day", c.Quiet).WithHint("write them like 22:00-07:00")
		}
		n.QuietFrom, n.QuietTo = from, to
	}
	if c.Secret != "" {
		data, err := readFile(c.Secret, maxToken)
		if err != nil {
			return err
		}
		n.Secret = strings.TrimSpace(string(data))
	}
	if err := cl.SetNoticeChannel(ctx, c.Arrangement, n); err != nil {
		return err
	}
	return s.result(map[string]any{"person": c.Person, "channel": c.Channel}, "set       %s of %s\n", c.Channel, c.Person)
}
