package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/client"
	"holdfast/internal/escrow"
)

// agreementJoinCmd offers a version with one beneficiary more.
type agreementJoinCmd struct {
	scoped
	Party      string   `arg:"" optional:"" help:"Id of the beneficiary that joins."`
	Name       string   `help:"Its full legal name."`
	Register   []string `help:"Its number in a public register, such as nl_kvk=12345678. May be repeated." sep:"none" placeholder:"REGISTER=NUMBER"`
	Person     []string `help:"Somebody who acts for it: ID=NAME. May be repeated." sep:"none" placeholder:"ID=NAME"`
	May        []string `help:"What a person may do for it, as PERSON=sign,claim. May be repeated." sep:"none" placeholder:"PERSON=POWERS"`
	Until      string   `help:"Last day of what the people may do (YYYY-MM-DD)." placeholder:"DAY"`
	Proof      string   `help:"The document that rests on."`
	Controlled string   `name:"controlled-by" help:"The party that controls it, if one does." placeholder:"PARTY"`
	File       string   `help:"The text in force with the joiner in it, where it says more than the above; - reads standard input." placeholder:"FILE"`
	Days       int      `help:"For how many days it can be signed." default:"30"`
	Out        string   `help:"File to write the new text to." type:"path"`
	DryRun     bool     `help:"Say what it takes and offer nothing."`
}

func (agreementJoinCmd) Help() string {
	return `Writes the version after the one in force, with one beneficiary more, checks it and offers it.
The other parts are unchanged by digest and stay signed: only the one that joins and those whom
its own parts name (usually the supplier and the agent) sign. The other beneficiaries neither
sign nor hear of it. What has to be done next is printed, step by step.`
}

func (c *agreementJoinCmd) Run(ctx context.Context, s *streams) error {
	want := client.NewJoin{Until: time.Now().AddDate(0, 0, c.Days).UTC().Format(time.RFC3339), Dry: c.DryRun}
	switch {
	case c.File != "" && (c.Party != "" || c.Name != ""):
		return escrow.Errorf(escrow.Invalid, "the text in %s says who joins", c.File).WithHint("leave the party and its name out")
	case c.File != "":
		text, err := readText(s, c.File)
		if err != nil {
			return err
		}
		want.Agreement = string(text)
	case c.Party == "" || c.Name == "":
		return escrow.Errorf(escrow.Invalid, "who joins is not said").WithHint("give its id and --name, or the whole text with --file")
	default:
		joiner, err := c.joiner()
		if err != nil {
			return err
		}
		want.Joiner = joiner
	}
	cl, _, err := c.connect(ctx, s)
	if err != nil {
		return err
	}
	j, err := cl.Join(ctx, c.Arrangement, want)
	if err != nil {
		return err
	}
	if c.Out != "" {
		if err := writeFiles(filepath.Dir(c.Out), map[string]string{filepath.Base(c.Out): j.Agreement}); err != nil {
			return err
		}
	}
	if s.json {
		return s.printJSON(j)
	}
	c.print(s, j)
	return nil
}

// joiner reads what was said about who joins.
func (c *agreementJoinCmd) joiner() (*client.Joiner, error) {
	j := &client.Joiner{ID: c.Party, Name: c.Name, Controlled: c.Controlled}
	for _, r := range c.Register {
		scheme, number, ok := strings.Cut(r, "=")
		if !ok || scheme == "" || number == "" {
			return nil, escrow.Errorf(escrow.Invalid, "%q is not REGISTER=NUMBER", r).WithHint("write nl_kvk=12345678")
		}
		if j.Register == nil {
			j.Register = map[string]string{}
		}
		j.Register[scheme] = number
	}
	for _, p := range c.Person {
		id, name, ok := strings.Cut(p, "=")
		if !ok || id == "" || name == "" {
			return nil, escrow.Errorf(escrow.Invalid, "%q is not ID=NAME", p).WithHint("write f-fox='F. Fox'")
		}
		j.People = append(j.People, client.JoinerPerson{ID: id, Name: name})
	}
	for _, m := range c.May {
		id, powers, ok := strings.Cut(m, "=")
		i := slices.IndexFunc(j.People, func(p client.JoinerPerson) bool { return p.ID == id })
		if !ok || i < 0 || powers == "" {
			return nil, escrow.Errorf(escrow.Invalid, "%q is not PERSON=POWERS of somebody who was named with --person", m).WithHint("write f-fox=sign,claim")
		}
		j.People[i].May, j.People[i].Until, j.People[i].Proof = strings.Split(powers, ","), c.Until, c.Proof
	}
	return j, nil
}

func (c *agreementJoinCmd) print(s *streams, j client.Joining) {
	p := func(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }
	if c.DryRun {
		p("would be   version %d of %s, in which %s joins; nothing was offered\n", j.Version.Version, c.Arrangement, j.Party)
	} else {
		p("offered   version %d of %s, in which %s joins; it can be signed until %s\n", j.Version.Version, c.Arrangement, j.Party, j.Version.ExpiresAt.Format("2006-01-02 15:04 UTC"))
	}
	p("  digest    %s\n", j.Version.Digest)
	for _, x := range j.Parts {
		p("  to sign   %s: %s%s\n", x.ID, strings.Join(x.Sign, ", "), inForm(x))
	}
	p("  unchanged %s; nobody signs them again\n", count(len(j.Unchanged), "part"))
	if c.Out != "" {
		p("  written   %s\n", c.Out)
	}
	for _, w := range j.Warnings {
		p("  caution   %s\n", w)
	}
	p("\nWhat comes next\n")
	for i, step := range c.steps(j) {
		p("  %d. %s\n", i+1, step.what)
		for _, command := range step.commands {
			p("       %s\n", command)
		}
	}
}

// step is something that has to be done, with the commands for it.
type step struct {
	what     string
	commands []string
}

// inForm says how a part is signed where that is not as usual.
func inForm(p client.JoinedPart) string {
	var words []string
	if p.Form != "" && p.Form != "plain" {
		words = append(words, p.Form)
	}
	if len(p.With) > 0 {
		words = append(words, "with "+strings.Join(p.With, " or "))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// steps says what has to be done until deposits come.
func (c *agreementJoinCmd) steps(j client.Joining) []step {
	on := " -a " + c.Arrangement
	var steps []step
	say := func(what string, commands ...string) { steps = append(steps, step{what, commands}) }
	say(j.Party+" makes keys, is given a token, and its card is pinned", "holdfast key new --party "+j.Party+" --person PERSON",
		"holdfast token issue"+on+" --party "+j.Party+" --person PERSON --out FILE", "holdfast contact add"+on+" PERSON.contact")
	if others := slices.DeleteFunc(slices.Clone(j.NoCard), func(id string) bool { return id == j.Party }); len(others) > 0 {
		say("cards are missing here of " + strings.Join(others, ", ") + ", who sign as well")
	}
	if slices.ContainsFunc(j.Parts, onPaper) {
		say("what is signed on paper is signed, brought, and attested by two people of two parties", "holdfast agreement sign"+on+" PART --copy FILE --key PERSON.key",
			"holdfast agreement attest"+on+" PART PARTY --key PERSON.key")
	}
	say("everybody signs; with the last signature it is in force", "holdfast agreement sign"+on+" --key PERSON.key", "holdfast agreement signatures"+on)
	for _, k := range j.Compartments {
		what := fmt.Sprintf("the supplier seals %s to %s alone", k.ID, k.Holder)
		if k.Holder == "" {
			what = fmt.Sprintf("the supplier deals the key of %s, and %d of %s accept their shares", k.ID, k.Of, strings.Join(k.From, ", "))
		}
		say(what, "holdfast ceremony deal --agreement FILE --compartment "+k.ID+" --contacts DIR --sign PERSON.sign --out DEALT", "holdfast ceremony publish"+on+" DEALT")
	}
	for _, id := range j.Others {
		say(fmt.Sprintf("%s opens for %s too: the supplier deals its next epoch, which pins the keys of %s", id, j.Party, j.Party))
	}
	if len(j.Modules) > 0 {
		var ids []string
		for _, m := range j.Modules {
			ids = append(ids, m.ID+" ("+m.Mode+")")
		}
		say("the first deposits come: " + strings.Join(ids, ", "))
	}
	return steps
}

// onPaper reports whether a part needs a signed copy.
func onPaper(p client.JoinedPart) bool {
	return len(p.With) == 0 && p.Form != "plain" && p.Form != "" || len(p.With) > 0 && !slices.Contains(p.With, "ssh") && !slices.Contains(p.With, "passkey")
}
