package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/regime"
)

// agreementMapCmd shows which part of an agreement answers which requirement
// of a regulation.
type agreementMapCmd struct {
	Regime string `help:"The regulation: dora, pra-ss2-21, or the path of a file of your own." required:"" placeholder:"NAME|FILE"`
	Lang   string `help:"Language of the map: nl or en." enum:"nl,en" default:"en"`
	Gaps   bool   `help:"Show only what is missing."`
	File   string `arg:"" help:"The agreement; - reads standard input."`
}

// mapReport is the machine-readable result of agreement map.
type mapReport struct {
	Regime  string       `json:"regime"`
	Source  string       `json:"source"`
	Note    string       `json:"note"`
	File    string       `json:"file"`
	Digest  string       `json:"digest"`
	Covered int          `json:"covered"`
	Partly  int          `json:"partly"`
	Gaps    int          `json:"gaps"`
	Rows    []regime.Row `json:"rows"`
}

func (c agreementMapCmd) Run(s *streams) error {
	r, err := c.load(s)
	if err != nil {
		return err
	}
	data, err := readText(s, c.File)
	if err != nil {
		return err
	}
	a, b, problems := agreement.ParseLocated(c.File, data)
	if err := agreement.Refusal(problems); err != nil {
		return err
	}
	digest, err := a.Digest()
	if err != nil {
		return err
	}
	l := agreement.Language(c.Lang)
	m := mapReport{Regime: r.Name, Source: r.Source, Note: r.Note.In(l), File: c.File, Digest: digest, Rows: []regime.Row{}}
	for _, row := range regime.Map(r, a, b, l) {
		switch row.State {
		case regime.Covered:
			m.Covered++
		case regime.Partly:
			m.Partly++
		default:
			m.Gaps++
		}
		if !c.Gaps || row.State != regime.Covered {
			m.Rows = append(m.Rows, row)
		}
	}
	if s.json {
		return writeIndented(s.out, m)
	}
	m.print(s, r.Title.In(l), l)
	return nil
}

func (c agreementMapCmd) load(s *streams) (*regime.Regime, error) {
	if !strings.ContainsAny(c.Regime, "./\\") {
		return regime.Get(c.Regime)
	}
	data, err := readText(s, c.Regime)
	if err != nil {
		return nil, err
	}
	return regime.Parse(c.Regime, data)
}

func (m mapReport) print(s *streams, title string, l agreement.Language) {
	words := map[string][2]string{
		"covered": {"covered", "gedekt"}, "partly": {"partly", "deels"}, "gap": {"GAP", "GAT"},
		"where": {"where", "waar"}, "line": {"line", "regel"}, "show": {"show", "toon"}, "do": {"do", "doe"},
		"sum": {"%d covered, %d partly, %d missing", "%d gedekt, %d deels, %d ontbreken"},
	}
	say := func(key string) string {
		if l == "nl" {
			return words[key][1]
		}
		return words[key][0]
	}
	fmt.Fprintf(s.out, "%s\n%s\n\n", title, m.Source)
	for _, row := range m.Rows {
		fmt.Fprintf(s.out, "%-8s %s  %s\n", say(string(row.State)), row.Ref, row.Asks)
		if len(row.Places) > 0 {
			places := make([]string, 0, len(row.Places))
			for i, p := range row.Places {
				if i == 4 {
					places = append(places, "…")
					break
				}
				places = append(places, fmt.Sprintf("%s (%s %d)", p.Path, say("line"), p.Pos.Line))
			}
			parts := ""
			if joined := strings.Trim(strings.Join(row.Parts, ", "), ", "); joined != "" {
				parts = "[" + joined + "] "
			}
			fmt.Fprintf(s.out, "         %s: %s%s\n", say("where"), parts, strings.Join(places, ", "))
		}
		if row.State == regime.Gap || row.State == regime.Partly {
			fmt.Fprintf(s.out, "         %s: %s\n", say("do"), row.Do)
		} else {
			fmt.Fprintf(s.out, "         %s: %s\n", say("show"), row.Evidence)
		}
	}
	fmt.Fprintf(s.out, "\n"+say("sum")+"\n%s\n", m.Covered, m.Partly, m.Gaps, m.Note)
}

// agreementRightsCmd shows what every stage and module rests on.
type agreementRightsCmd struct {
	File string `arg:"" help:"The agreement; - reads standard input."`
}

func (c agreementRightsCmd) Run(s *streams) error {
	a, err := loadAgreement(s, c.File)
	if err != nil {
		return err
	}
	grounds, hosts := check.Register(a), check.Hosts(a)
	if s.json {
		type right struct {
			ID           string       `json:"id"`
			Kind         string       `json:"kind"`
			Holder       []string     `json:"holder"`
			From         string       `json:"from,omitempty"`
			OnInsolvency string       `json:"on_insolvency"`
			Counsel      string       `json:"counsel,omitempty"`
			Colour       check.Colour `json:"colour"`
		}
		rights := []right{}
		for i := range a.Rights {
			r := &a.Rights[i]
			rights = append(rights, right{r.ID, r.Kind, r.Holder, r.From, r.OnInsolvency, r.Counsel, check.ColourOf(r)})
		}
		return writeIndented(s.out, map[string]any{"rights": rights, "grounds": grounds, "hosts": hosts})
	}
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "RIGHT\tKIND\tHOLDER\tFROM\tON INSOLVENCY\tCOUNSEL\t")
	for i := range a.Rights {
		r := &a.Rights[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s (%s)\t%s\t\n", r.ID, r.Kind, strings.Join(r.Holder, ", "), dash(r.From), r.OnInsolvency, check.ColourOf(r), dash(r.Counsel))
	}
	fmt.Fprintln(w, "\nWHAT\tRESTS ON\tSTANDS\t")
	red := 0
	for _, g := range grounds {
		if g.Colour == check.Red {
			red++
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\t\n", g.Kind, g.ID, dash(strings.Join(g.Rights, ", ")), g.Colour)
	}
	if len(hosts) > 0 {
		fmt.Fprintln(w, "\nHOST\tSIGNS\tWHAT KEEPS IT GOING\t")
	}
	for _, h := range hosts {
		signs := "something"
		if !h.Signs {
			signs = "nothing"
		}
		if h.Nothing() {
			red++
		}
		for i, line := range hostLines(h) {
			if i > 0 {
				h.Party, signs = "", ""
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", h.Party, signs, line)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if red > 0 {
		fmt.Fprintf(s.out, "\n%d of %d are red: they rest on nothing, or on a mandate alone\n", red, len(grounds)+len(hosts))
		return errFindings
	}
	return nil
}

// hostLines says what there is from a host, one thing a line.
func hostLines(h check.Host) []string {
	if h.Nothing() {
		return []string{"nothing (red)"}
	}
	var out []string
	for _, u := range h.Undertakings {
		out = append(out, "undertaking "+u)
	}
	for _, r := range h.Contracts {
		out = append(out, "a contract of its own, right "+r)
	}
	if x := h.Account; x != nil {
		use := "shared with others"
		if x.Dedicated {
			use = "nothing else runs in it"
		}
		out = append(out, fmt.Sprintf("account %s at %s, of %s; %s", x.ID, x.Provider, x.Owner, use))
		if len(x.Takeover) > 0 {
			out = append(out, "  taken over by "+strings.ReplaceAll(strings.Join(x.Takeover, ", "), "_", " "))
		}
		if x.Mailbox != "" {
			out = append(out, "  root mailbox at "+x.Mailbox)
		}
	}
	return out
}
