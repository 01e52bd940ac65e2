package main

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client"
	"holdfast/evidence"
	"holdfast/internal/escrow"
)

// agreementLeaveCmd gives notice for one's own party, or takes it back.
type agreementLeaveCmd struct {
	scoped
	Key        string `help:"Your key file (NAME.key), to sign the notice. NAME.sign and NAME.contact are expected beside it. Without it you are told what leaving takes." type:"existingfile"`
	Sign       string `help:"Your signing key, when it is not beside the key file." type:"existingfile"`
	Passphrase string `name:"passphrase-file" help:"File with the passphrase of your keys; without it you are asked on the terminal." type:"existingfile"`
	From       string `help:"The first day on which your party takes part no longer (YYYY-MM-DD), or now. Default: the earliest that notice and term allow." placeholder:"DAY"`
	Reason     string `help:"Why, in a sentence: it stays for ever."`
	DeputyFor  string `help:"You sign because this person cannot."`
	TakeBack   bool   `help:"Take the notice back, before it has run."`
	Yes        bool   `help:"Give notice without being asked once more."`
}

func (agreementLeaveCmd) Help() string {
	return `Ends your own accession by your own signed notice; nobody else signs, and the other beneficiaries
do not hear of it. Until the day nothing changes. From the day on your party is out of the
agreement, its keys have ended, its modules take nothing more and its tokens are revoked. What was
deposited for it is destroyed by two people ('holdfast destroy'); a legal hold stops that as long
as it lasts. When nothing is held any more there is a certificate ('holdfast agreement left').

Without --key it only says what leaving takes and what stands in the way.`
}

func (c *agreementLeaveCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	if c.TakeBack {
		if c.Reason == "" {
			return escrow.Errorf(escrow.Invalid, "no reason").WithHint("say it with --reason")
		}
		l, err := cl.TakeNoticeBack(ctx, c.Arrangement, c.Reason)
		if err != nil {
			return err
		}
		return s.result(l, "taken back the notice of %s: it takes part in %s as before\n", l.Party, c.Arrangement)
	}
	d, err := cl.Departure(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	if c.Key == "" {
		if s.json {
			return s.printJSON(d)
		}
		printDeparture(s, c.Arrangement, d)
		return nil
	}
	if d.Refused != "" {
		return escrow.Errorf(escrow.Conflict, "%s", d.Refused).WithHint("%s", d.Hint)
	}
	if c.Reason == "" {
		return escrow.Errorf(escrow.Invalid, "no reason").WithHint("say it with --reason, in a sentence")
	}
	now := time.Now()
	ends, err := c.ends(d, now)
	if err != nil {
		return err
	}
	if err := c.confirm(s, d, ends); err != nil {
		return err
	}
	notice, err := c.notice(d, now, ends)
	if err != nil {
		return err
	}
	l, err := cl.GiveNotice(ctx, c.Arrangement, notice)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(l)
	}
	fmt.Fprintf(s.out, "noticed   %s leaves %s on %s\n", l.Party, c.Arrangement, inZone(l.EndsAt, d.TimeZone))
	fmt.Fprintf(s.out, "  until then nothing changes; 'holdfast agreement leave --take-back' takes it back\n")
	fmt.Fprintf(s.out, "  your token ends with it: fetch what you want to keep before ('holdfast open', the receipts)\n")
	fmt.Fprintf(s.out, "  afterwards the agent sends you the certificate; check it with 'holdfast agreement left check'\n")
	return nil
}

// ends reads the day, in the agreement's zone.
func (c *agreementLeaveCmd) ends(d client.Departure, now time.Time) (time.Time, error) {
	if c.From == "now" || c.From == "" && !d.Earliest.After(now) {
		return now, nil
	}
	zone, err := time.LoadLocation(d.TimeZone)
	if err != nil {
		return now, escrow.Errorf(escrow.Damaged, "the server names the time zone %q", d.TimeZone)
	}
	if c.From == "" { // the first day that begins once notice and term have run
		t := d.Earliest.In(zone)
		day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, zone)
		if day.Before(t) {
			day = day.AddDate(0, 0, 1)
		}
		return day, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, c.From, zone)
	if err != nil {
		return now, escrow.Errorf(escrow.Invalid, "%q is not a day", c.From).WithHint("write YYYY-MM-DD, or now")
	}
	return day, nil
}

func (c *agreementLeaveCmd) notice(d client.Departure, now, ends time.Time) (client.Signed, error) {
	var none client.Signed
	keys := ownKeys{Key: c.Key, Sign: c.Sign, Passphrase: c.Passphrase}
	signer, err := keys.signer()
	if err != nil {
		return none, err
	}
	card, err := readContact(strings.TrimSuffix(c.Key, identityExt) + contactExt)
	if err != nil {
		return none, err
	}
	n := evidence.LeaveNotice{Arrangement: c.Arrangement, Agreement: d.Agreement, Version: d.Version, Party: card.Party, Person: card.Person, DeputyFor: c.DeputyFor,
		Ends: evidence.At(ends), Reason: c.Reason, At: evidence.At(now)}
	for _, p := range d.Parts {
		n.Parts = append(n.Parts, evidence.NamedPart{Part: p.Part, Digest: p.Digest})
	}
	document, err := n.Bytes()
	if err != nil {
		return none, escrow.Errorf(escrow.Invalid, "%w", err)
	}
	signature, err := evidence.Sign(signer, evidence.NamespaceAgreement, document)
	return client.Signed{Document: string(document), Signature: string(signature)}, err
}

// confirm shows what would happen and asks.
func (c *agreementLeaveCmd) confirm(s *streams, d client.Departure, ends time.Time) error {
	if c.Yes {
		return nil
	}
	fmt.Fprintf(s.err, "%s leaves %s on %s. Its parts end (%s), its keys end, its tokens stop", d.Party, c.Arrangement, inZone(ends, d.TimeZone), partNames(d.Parts))
	if len(d.Modules) > 0 {
		fmt.Fprintf(s.err, ", and what is deposited in %s is destroyed", strings.Join(d.Modules, ", "))
	}
	fmt.Fprint(s.err, ".\nType leave to give notice: ")
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if strings.TrimSpace(line) != "leave" {
		return escrow.Wrap(err, escrow.Invalid, "no notice was given").WithHint("nothing was sent")
	}
	return nil
}

func partNames(parts []client.PartDigest) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.Part
	}
	return strings.Join(names, ", ")
}

// inZone writes a moment as the people of the arrangement read it.
func inZone(t time.Time, zone string) string {
	if z, err := time.LoadLocation(zone); err == nil {
		t = t.In(z)
	}
	return t.Format("2006-01-02 15:04 MST")
}

func printDeparture(s *streams, arrangement string, d client.Departure) {
	p := func(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }
	p("%s can leave %s on %s at the earliest, by its own notice\n", d.Party, arrangement, inZone(d.Earliest, d.TimeZone))
	p("  parts     end: %s\n", orDash(partNames(d.Parts)))
	p("  keys      end: %s\n", orDash(strings.Join(d.Epochs, ", ")))
	if len(d.Modules) > 0 {
		within := ""
		if d.DeleteData != "" {
			within = " within " + d.DeleteData
		}
		p("  deposits  of %s are destroyed%s, by two people and against a certificate\n", strings.Join(d.Modules, ", "), within)
	}
	p("  tokens    of its people, and those for its modules, stop\n")
	p("  others    sign nothing\n")
	if len(d.Holds) > 0 {
		p("  held      a legal hold keeps deposits for now: %s\n", strings.Join(d.Holds, ", "))
	}
	if d.Refused != "" {
		p("  not yet   %s\n", d.Refused)
		if d.Hint != "" {
			p("            what to do: %s\n", d.Hint)
		}
		return
	}
	p("  notice    holdfast agreement leave -a %s --key FILE.key --reason TEXT\n", arrangement)
}

// agreementLeftCmd tells who left and hands out the certificates.
type agreementLeftCmd struct {
	List        agreementLeftListCmd        `cmd:"" default:"withargs" help:"List who gave notice, who has left, and what is still held of them."`
	Certificate agreementLeftCertificateCmd `cmd:"" help:"Fetch, check and keep the certificate of a party that has left."`
	Check       agreementLeftCheckCmd       `cmd:"" help:"Check a certificate of leaving offline."`
}

type agreementLeftListCmd struct{ scoped }

func (c *agreementLeftListCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Leavings(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	return c.print(s, list)
}

type agreementLeftCertificateCmd struct {
	scoped
	Party string `arg:"" help:"The party that has left."`
	Out   string `required:"" help:"File to write the certificate to; its signature goes beside it." type:"path"`
}

func (c *agreementLeftCertificateCmd) Run(ctx context.Context, s *streams) error {
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	list, err := cl.Leavings(ctx, c.Arrangement)
	if err != nil {
		return err
	}
	for _, l := range list {
		if l.Party != c.Party {
			continue
		}
		if l.Certificate == nil {
			return notCertified(c.Arrangement, l)
		}
		cert, key, err := keepCertificate(ctx, cl, l.Certificate, c.Out, evidence.VerifyLeavingCertificate)
		if err != nil {
			return err
		}
		return printLeft(s, cert, key, c.Out)
	}
	return escrow.Errorf(escrow.NotFound, "%s has given no notice that you may know of", c.Party).WithHint("'holdfast agreement left' lists them")
}

// notCertified says what keeps a certificate.
func notCertified(arrangement string, l client.Leaving) error {
	e := escrow.Errorf(escrow.Conflict, "%s is %s: there is no certificate yet", l.Party, l.State)
	// What two people can do is said before what waits for somebody else.
	free := slices.IndexFunc(l.StillHeld, func(h client.StillHeld) bool { return len(h.Holds) == 0 })
	switch {
	case free >= 0:
		return e.WithHint("two people destroy what is left of it: %s", destroyCommand(arrangement, l.StillHeld[free]))
	case len(l.StillHeld) > 0:
		h := l.StillHeld[0]
		return escrow.Errorf(escrow.Conflict, "%s has left, and legal hold %s keeps what is held of %s", l.Party, strings.Join(h.Holds, ", "), h.Module).
			WithHint("only the party that placed the hold can lift it; then two people destroy what is left")
	}
	return e.WithHint("'holdfast agreement left' tells how it stands")
}

func destroyCommand(arrangement string, h client.StillHeld) string {
	return fmt.Sprintf("holdfast destroy request -a %s %s %s --ground end_of_contract --reason TEXT --key FILE.key", arrangement, h.Module, ranges(h.Deposits))
}

// ranges writes numbers the way 'holdfast destroy request' reads them.
func ranges(list []int) string {
	var out []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		text := strconv.Itoa(list[i])
		if j > i {
			text += "-" + strconv.Itoa(list[j])
		}
		out = append(out, text)
		i = j + 1
	}
	return strings.Join(out, " ")
}

func (c *agreementLeftListCmd) print(s *streams, list []client.Leaving) error {
	if s.json {
		return s.printJSON(list)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTY\tSTATE\tNOTICE\tBY\tLEAVES\tVERSION")
	for _, l := range list {
		version := "-"
		if l.Version > 0 {
			version = strconv.Itoa(l.Version)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", l.Party, l.State, l.NoticedAt.Format("2006-01-02"), l.Person, l.EndsAt.Format("2006-01-02 15:04 UTC"), version)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, l := range list {
		if l.Blocked != "" {
			fmt.Fprintf(s.out, "%s cannot leave yet: %s\n", l.Party, l.Blocked)
		}
		for _, h := range l.StillHeld {
			if len(h.Holds) > 0 {
				fmt.Fprintf(s.out, "%s: legal hold %s keeps what is held of %s (deposits %s)\n", l.Party, strings.Join(h.Holds, ", "), h.Module, orDash(ranges(h.Deposits)))
				continue
			}
			fmt.Fprintf(s.out, "%s: two people destroy what is left of it:\n  %s\n", l.Party, destroyCommand(c.Arrangement, h))
		}
	}
	return nil
}

// agreementLeftCheckCmd needs no server.
type agreementLeftCheckCmd struct {
	File        string   `arg:"" name:"certificate" help:"Certificate of leaving; its signature lies beside it." type:"existingfile"`
	ServerKey   string   `required:"" help:"The server's signing key, one line as in 'ssh-ed25519 AAAA…', as it was published."`
	Contact     string   `help:"The contact card of who gave notice, to compare the key with." type:"existingfile"`
	Destruction []string `help:"The certificates of destruction that it names; all of them or none. May be repeated." type:"existingfile"`
}

func (c *agreementLeftCheckCmd) Run(_ context.Context, s *streams) error {
	cert, err := readCertificate(c.File, c.ServerKey, evidence.VerifyLeavingCertificate)
	if err != nil {
		return err
	}
	n, err := cert.Left()
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%w", err)
	}
	if c.Contact != "" {
		card, err := readContact(c.Contact)
		if err != nil {
			return err
		}
		if card.Party != n.Party || card.Person != n.Person || card.Key != cert.Key {
			return escrow.Errorf(escrow.Damaged, "the notice was not given by who is on the card: it is signed by %s/%s with another key or name", n.Party, n.Person)
		}
	}
	if err := c.destructions(n, cert); err != nil {
		return err
	}
	return printLeft(s, cert, c.ServerKey, c.File)
}

// destructions checks the certificates of destruction beside the one of
// leaving: each is named by it, and with any at hand every one has to be.
func (c *agreementLeftCheckCmd) destructions(n *evidence.LeaveNotice, cert *evidence.LeavingCertificate) error {
	if len(c.Destruction) == 0 {
		return nil
	}
	missing := map[string]string{}
	for _, m := range cert.Modules {
		for _, d := range m.Certificates {
			missing[d] = m.Module
		}
	}
	for _, path := range c.Destruction {
		signed, err := readSigned(path)
		if err != nil {
			return err
		}
		gone, err := evidence.VerifyCertificate(c.ServerKey, []byte(signed.Document), []byte(signed.Signature))
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "%s: %w", path, err)
		}
		d, err := gone.Destruction()
		if err != nil {
			return escrow.Errorf(escrow.Damaged, "%s: %w", path, err)
		}
		digest := evidence.Digest([]byte(signed.Document))
		if module, ok := missing[digest]; !ok || module != d.Module || d.Arrangement != n.Arrangement {
			return escrow.Errorf(escrow.Damaged, "%s is not among the certificates that the leaving names", path)
		}
		delete(missing, digest)
	}
	for digest, module := range missing {
		return escrow.Errorf(escrow.Missing, "the certificate of destruction %.12s of module %s is not at hand", digest, module).WithHint("give all of them, or none")
	}
	return nil
}

func printLeft(s *streams, c *evidence.LeavingCertificate, serverKey, file string) error {
	n, err := c.Left()
	if err != nil {
		return escrow.Errorf(escrow.Damaged, "%w", err)
	}
	if s.json {
		return s.printJSON(map[string]any{"arrangement": n.Arrangement, "party": n.Party, "person": n.Person, "noticed_at": n.At, "ends": n.Ends, "ended_at": c.EndedAt, "version": c.Version,
			"agreement": c.Agreement, "epochs": c.Epochs, "modules": c.Modules, "done_at": c.DoneAt, "server_key": serverKey, "certificate": file})
	}
	fmt.Fprintf(s.out, "certified %s has left %s, and nothing of it is held any more\n", n.Party, n.Arrangement)
	fmt.Fprintf(s.out, "  notice    by %s/%s, %s: %s\n", n.Party, n.Person, n.At, n.Reason)
	fmt.Fprintf(s.out, "  left      %s, with version %d\n", c.EndedAt, c.Version)
	for _, e := range c.Epochs {
		fmt.Fprintf(s.out, "  key       epoch %d of %s has ended\n", e.Number, e.Compartment)
	}
	for _, m := range c.Modules {
		if m.Deposits == 0 {
			fmt.Fprintf(s.out, "  module    %s: nothing was ever deposited\n", m.Module)
			continue
		}
		fmt.Fprintf(s.out, "  module    %s: %s destroyed, by %s of destruction\n", m.Module, count(m.Deposits, "deposit"), count(len(m.Certificates), "certificate"))
	}
	fmt.Fprintf(s.out, "  done      %s\n", c.DoneAt)
	fmt.Fprintf(s.out, "  signed    by the server with %s; compare it over another channel\n", serverKey)
	if file != "" {
		fmt.Fprintf(s.out, "  file      %s\n", file)
	}
	return nil
}
