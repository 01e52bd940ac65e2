package check_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/escrow/agreement"
	"holdfast/internal/escrow/agreement/check"
	"holdfast/internal/escrow/agreement/problem"
)

func base(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/base-" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t *testing.T, text string) *agreement.Agreement {
	t.Helper()
	a, problems := agreement.Parse("x.yaml", []byte(text))
	if a == nil {
		t.Fatal(problems)
	}
	return a
}

func rules(list problem.List) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.Rule)
	}
	return out
}

// TestVersions: a version follows on the one before by number and digest, and
// two texts of one version are never both good.
func TestVersions(t *testing.T) {
	text := base(t, "on-premise")
	first := parse(t, text)
	digest, err := first.Digest()
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Replace(text, "version: 1\n", "version: 2\nreplaces: "+digest+"\n", 1)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"the next one":        {second, nil},
		"a version skipped":   {strings.Replace(second, "version: 2", "version: 3", 1), []string{"version-skipped"}},
		"of another text":     {strings.Replace(second, digest[:8], "00000000", 1), []string{"version-other-base"}},
		"another arrangement": {strings.Replace(second, "id: orchard\n", "id: vineyard\n", 1), []string{"version-other-arrangement"}},
		"the same again":      {text, []string{"version-skipped"}},
	} {
		if got := rules(check.Follows("b.yaml", parse(t, c.text), first, "nl")); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	changed := parse(t, strings.Replace(text, "lasts: 730d", "lasts: 365d", 1))
	same := parse(t, "# another comment\n"+text)
	if got := rules(check.Together([]check.Text{{File: "a", Agreement: first}, {File: "b", Agreement: changed}}, "en")); !slices.Equal(got, []string{"two-versions"}) {
		t.Errorf("two texts of one version: %v", got)
	}
	if got := check.Together([]check.Text{{File: "a", Agreement: first}, {File: "b", Agreement: same}}, "en"); len(got) > 0 {
		t.Errorf("the same text twice: %s", got)
	}
}

const framework = `holdfast: framework/v1
id: hosting
version: 1
language: nl
law: NL
host: {name: Voorbeeld Hosting B.V.}
promises: {continues_for: 1mo, warns_before_suspension: 14d, accepts_third_party_payment: true, keeps_no_data_back: true, demands_arrears_first: false, reconfirm_every: 1y}
`

// TestFrameworks: an undertaking promises no more than the framework it is
// given under, which is known by its digest.
func TestFrameworks(t *testing.T) {
	f, problems := agreement.ParseFramework("f.yaml", []byte(framework))
	if f == nil {
		t.Fatal(problems)
	}
	digest, err := f.Digest()
	if err != nil {
		t.Fatal(err)
	}
	under := func(digest string) string {
		return strings.Replace(base(t, "municipality"), "    reconfirm_every: 1y\n\nmodules", "    reconfirm_every: 1y\n    framework: {name: Raamcontract, digest: "+digest+"}\n\nmodules", 1)
	}
	checked := func(text string, fs map[string]*agreement.Framework) []string {
		_, problems := check.Check("a.yaml", []byte(text), check.Options{At: today(), Frameworks: fs})
		return rules(grave(problems, ""))
	}
	at := map[string]*agreement.Framework{digest: f}
	if got := checked(under(digest), at); !slices.Equal(got, []string{"framework-exceeded", "framework-exceeded"}) {
		t.Errorf("three months under one, and an operator let in: %v", got)
	}
	less := strings.NewReplacer("continues_for: 3mo", "continues_for: 1mo", "lets_operator_in: true\n", "lets_operator_in: false\n", "longest: 3mo", "longest: 1mo").Replace(under(digest))
	if got := checked(less, at); !slices.Equal(got, []string{"undertaking-operator"}) {
		t.Errorf("within the framework: %v", got)
	}
	if got := checked(under(strings.Repeat("ab", 32)), at); !slices.Equal(got, []string{"framework-other-text"}) {
		t.Errorf("another framework: %v", got)
	}
	if got := checked(under(digest), nil); len(got) > 0 {
		t.Errorf("without the framework at hand: %v", got)
	}
	mute := strings.Replace(base(t, "municipality"), `role: host, name: "Voorbeeld Hosting B.V."}`, `role: host, name: "Voorbeeld Hosting B.V.", signs: false}`, 1)
	mute = strings.Replace(mute, "kind: host, parties: [host, foundation], readers: [agent]", "kind: host, parties: [foundation, agent], readers: [host]", 1)
	if got := checked(mute, nil); !slices.Equal(got, []string{"undertaking-unsigned"}) {
		t.Errorf("a host that signs nothing promised: %v", got)
	}
	for _, bad := range []string{"holdfast: framework/v2\n", "a: b\n", "holdfast: framework/v1\nid: x\n", strings.Replace(framework, "1mo", "soon", 1), framework + "secret: x\n"} {
		if f, problems := agreement.ParseFramework("bad.yaml", []byte(bad)); f != nil || !problems.Any(problem.Error) {
			t.Errorf("%q is a framework", bad)
		}
	}
}

// TestWhatIsNotHeld: findings that come with others.
func TestWhatIsNotHeld(t *testing.T) {
	text := base(t, "municipality")
	without := func(from, to string) string {
		i, j := strings.Index(text, from), strings.Index(text, to)
		if i < 0 || j < i {
			t.Fatalf("no %q before %q", from, to)
		}
		return text[:i] + text[j:]
	}
	unverified := func(s string) string {
		i, j := strings.Index(s, "verification:"), strings.Index(s, "keys:")
		return s[:i] + s[j:]
	}
	mandate := strings.NewReplacer("rights:\n  - id: host-contract", "rights:\n  - {id: power, kind: mandate, holder: agent, on_insolvency: ends}\n  - id: host-contract",
		"      agent_may_test: true\n", "      agent_may_test: true\n      rights: power\n", "      rights: [host-contract, software-licence]\n", "").Replace(text)
	for want, s := range map[string]string{
		"no-source":     unverified(without("  - repository:\n", "  - data:\n")),
		"no-data":       unverified(without("  - data:\n      id: data\n", "  - dossier:\n")),
		"module-ground": mandate,
	} {
		_, problems := check.Check("a.yaml", []byte(s), check.Options{At: today()})
		if !slices.Contains(rules(problems), want) {
			t.Errorf("want %s:\n%s", want, kinds(problems))
		}
	}
}

// TestRegister: what every stage and module rests on, and how it stands.
func TestRegister(t *testing.T) {
	a := parse(t, base(t, "municipality"))
	got := map[string]check.Colour{}
	for _, g := range check.Register(a) {
		got[g.Kind+" "+g.ID] = g.Colour
	}
	want := map[string]check.Colour{"stage access": check.Amber, "stage materials": check.Amber, "module source": check.Amber, "module dossier": check.Amber}
	if len(got) != len(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for k, w := range want {
		if got[k] != w {
			t.Errorf("%s is %s, want %s", k, got[k], w)
		}
	}
	for i := range a.Rights {
		a.Rights[i].OnInsolvency, a.Rights[i].Counsel = "survives", "mr. X"
	}
	a.Rights[1].Kind = "mandate"
	for _, g := range check.Register(a) {
		if w := map[string]check.Colour{"access": check.Green, "materials": check.Red, "source": check.Red, "dossier": check.Green}[g.ID]; g.Colour != w {
			t.Errorf("%s is %s, want %s", g.ID, g.Colour, w)
		}
	}
}

// FuzzCheck: any text is checked without a panic and in bounded time, and an
// agreement that is returned is usable.
func FuzzCheck(f *testing.F) {
	for _, name := range []string{"municipality", "bank", "on-premise"} {
		data, err := os.ReadFile("testdata/base-" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("holdfast: agreement/v1\n"))
	texts := check.Load()
	f.Fuzz(func(t *testing.T, data []byte) {
		a, problems := check.Check("x.yaml", data, check.Options{At: today(), Language: "nl", Texts: texts})
		if a == nil && !problems.Any(problem.Error) {
			t.Error("no agreement and no error")
		}
	})
}
