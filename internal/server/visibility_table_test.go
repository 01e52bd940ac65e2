package server_test

import (
	"maps"
	"slices"
	"strings"
)

// sights is the one table of who may read what. Everything else in this test
// is generated from it: each part, each party and each planted word gets
// markers that nothing else has, every party fetches everything through every
// channel, and finds the markers it may find and no other.
type sights struct {
	file   string
	parts  map[string]reading  // every part instance
	keys   map[string]holding  // compartments that are dealt
	claims map[string]claiming // by the party that claims
	some   []string            // parties that fetch; all of them in a campaign
	words  []word              // planted in the text
}

type reading struct{ sign, read []string }

type holding struct{ from, to []string }

type claiming struct{ event, stage, compartment string }

// word is planted in place of another text of the example.
type word struct {
	what, old, new string
	mark           string
	may            []string
}

func list(s string) []string { return strings.Fields(s) }

func table() []sights {
	frame := list("leverancier ip stichting agent notaris")
	municipalities := sights{
		file: "municipalities.yaml",
		parts: map[string]reading{
			"mantel": {sign: frame},
			"host":   {sign: list("host beheer stichting")},
		},
		keys: map[string]holding{"access": {from: list("agent stichting notaris"), to: list("standby")},
			"data/gem-b": {to: list("gem-b")}, "data/sv-e": {to: list("sv-e")}},
		some:   list("agent gem-b host"),
		claims: map[string]claiming{"gem-b": {"bankruptcy", "access", "access"}, "sv-e": {"bankruptcy", "access", "access"}},
		words: []word{
			{"address of the code", "https://git.example/voorbeeld", "https://git.example/zxcode", "zxcode", list("leverancier ip stichting agent notaris accountant standby gem-a gem-b gem-c gem-d sv-e")},
			{"price of the host", "EUR 6200/mo", "EUR 6543/mo", "6.543", list("host beheer stichting")},
			{"register number of the owner of the rights", "99098124", "99098999", "99098999", frame},
			{"counsel", "mr. X, 2026-10-01", "mr. Zxcounsel, 2026-10-01", "mr. Zxcounsel", frame},
			{"name of gem-b", "name: Gemeente B", "name: Gemeente Zxberk", "Gemeente Zxberk", list("leverancier stichting agent gem-b")},
			{"name of sv-e", "name: Samenwerkingsverband E", "name: Samenwerkingsverband Zxeik", "Samenwerkingsverband Zxeik", list("leverancier stichting agent sv-e")},
			{"proof of gem-a", "mandaatbesluit-2026-114", "mandaatbesluit-zxa", "mandaatbesluit-zxa", list("leverancier stichting agent gem-a")},
		},
	}
	for _, g := range list("gem-a gem-b gem-c gem-d sv-e") {
		municipalities.parts["toetreding/"+g] = reading{sign: list("leverancier stichting agent " + g)}
		municipalities.parts["sla/"+g] = reading{sign: list("leverancier " + g), read: list("agent")}
		municipalities.parts["dpa/"+g] = reading{sign: list("stichting " + g)}
	}
	licenceFrame := list("vendor vendor-holding reseller agent notary auditor")
	licences := sights{
		file: "licences.yaml",
		parts: map[string]reading{
			"frame":             {sign: licenceFrame, read: list("arbiter")},
			"accession/acme":    {sign: list("vendor agent acme")},
			"accession/zorg":    {sign: list("vendor agent zorg")},
			"licence/acme-perp": {sign: list("vendor acme"), read: list("agent")},
			"licence/zorg-sub":  {sign: list("vendor zorg"), read: list("agent")},
		},
		keys: map[string]holding{"materials": {from: list("agent notary auditor vendor-holding"), to: list("acme zorg")},
			"licence/zorg-sub": {from: list("agent notary auditor"), to: list("zorg")}},
		some:   list("acme agent zorg arbiter"),
		claims: map[string]claiming{"acme": {"end-of-life", "materials", "materials"}, "zorg": {"end-of-life", "materials", "materials"}},
		words: []word{
			{"name of acme", "name: Acme Metaal B.V.", "name: Zxacme Metaal B.V.", "Zxacme Metaal", list("vendor agent acme")},
			{"name of zorg", "name: Zorggroep Voorbeeld", "name: Zorggroep Zxvoorbeeld", "Zorggroep Zxvoorbeeld", list("vendor agent zorg")},
			{"version that acme runs", "deployed_version: 10.4.2", "deployed_version: 10.4.2-zxacme", "10.4.2-zxacme", list("vendor agent acme")},
			{"licence server of zorg", "https://lic.example", "https://lic-zxzorg.example", "lic-zxzorg.example", list("vendor agent zorg")},
			{"address of the code", "https://git.example/erp.git", "https://git.example/zxerp.git", "zxerp", slices.Concat(licenceFrame, list("arbiter acme zorg"))},
			{"licence of zorg", "zorg-sub", "zxz-sub", "zxz-sub", list("vendor agent notary auditor zorg")},
		},
	}
	// Who holds a share of a licence's own key knows its number, and no more.
	licences.parts["licence/zxz-sub"] = licences.parts["licence/zorg-sub"]
	delete(licences.parts, "licence/zorg-sub")
	licences.keys["licence/zxz-sub"] = licences.keys["licence/zorg-sub"]
	delete(licences.keys, "licence/zorg-sub")
	bankFrame := list("vendor parent bank agent kpmx trust2")
	bank := sights{
		file: "bank.yaml",
		parts: map[string]reading{
			"frame":   {sign: bankFrame},
			"us-365n": {sign: list("parent bank agent")},
		},
		keys:   map[string]holding{"access": {from: list("agent kpmx trust2 bank"), to: list("bank")}},
		some:   list("bank agent kpmx pra"),
		claims: map[string]claiming{"bank": {"insolvency", "access", "access"}},
		words: []word{
			{"note of the supplement", "note: 11 USC 365(n) supplementary agreement}", "note: 11 USC 365(n) zxsupplement}", "zxsupplement", list("parent bank agent")},
			{"cost of the exit", "GBP 1900000", "GBP 1954321", "1,954,321", bankFrame},
			{"account", `"000000000000"`, `"777700001111"`, "777700001111", bankFrame},
			{"register number of the vendor", `gb_ch: "00000000"`, `gb_ch: "00771177"`, "00771177", bankFrame},
		},
	}
	return []sights{municipalities, licences, bank}
}

// readers of a part.
func (r reading) readers() []string { return slices.Concat(r.sign, r.read) }

// whole lists who reads every part: to them nobody is hidden.
func (s sights) whole() []string {
	var out []string
	for _, id := range slices.Collect(maps.Values(s.parts))[0].readers() {
		if !slices.ContainsFunc(slices.Collect(maps.Values(s.parts)), func(r reading) bool { return !slices.Contains(r.readers(), id) }) {
			out = append(out, id)
		}
	}
	return out
}

// mates are the parties that read a part which the party signs, and itself.
func (s sights) mates(party string) []string {
	out := []string{party}
	for _, r := range s.parts {
		if slices.Contains(r.sign, party) {
			out = append(out, r.readers()...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
