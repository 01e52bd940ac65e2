package restore

import (
	_ "embed"
	"fmt"
	"strings"
	"text/template"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

//go:embed recipe_en.md
var recipeEN string

//go:embed recipe_nl.md
var recipeNL string

// RecipeDeposit names the sealed files of one deposit in an export.
type RecipeDeposit struct {
	Number int
	Kind   escrow.DepositKind
	Git    RecipeFile
	LFS    []RecipeFile
}

// RecipeFile is one sealed object: its path in the export, with '/' between
// elements, and the SHA-256 of its bytes.
type RecipeFile struct {
	Path   string
	SHA256 string
}

// Recipe says, in English ("en") or Dutch ("nl"), how to rebuild the
// repository from an export with age, sha256sum, git and Python alone: a page
// of Markdown whose code blocks, run one after the other by sh in the
// export's directory, make repository.git. title says what it is; deposits
// are chosen as [Rebuild] chooses them.
func Recipe(language, title string, deposits []RecipeDeposit) (string, error) {
	text := recipeEN
	switch language {
	case "en":
	case "nl":
		text = recipeNL
	default:
		return "", escrow.Errorf(escrow.Invalid, "no recipe in language %.20q", language).WithHint("there are en and nl")
	}
	var asked []Deposit
	for _, d := range deposits {
		asked = append(asked, Deposit{Number: d.Number, Kind: d.Kind})
	}
	chain, err := chainOf(asked)
	if err != nil {
		return "", err
	}
	used := deposits[len(deposits)-len(chain):]
	var large, files []RecipeFile
	for _, d := range used {
		files = append(files, d.Git)
	}
	seen := make(map[string]bool)
	for _, d := range deposits {
		for _, f := range d.LFS {
			if !seen[f.SHA256] {
				seen[f.SHA256] = true
				large = append(large, f)
			}
		}
	}
	for _, f := range append(files[:len(files):len(files)], large...) {
		if !evidence.IsDigest(f.SHA256) || f.Path == "" || strings.ContainsAny(f.Path, "\\\n\r\x00") {
			return "", escrow.Errorf(escrow.Invalid, "recipe: %.200q with digest %.80q cannot be a sealed file", f.Path, f.SHA256)
		}
	}
	t, err := template.New("recipe").Funcs(template.FuncMap{"sh": shellQuote}).Parse(text)
	if err != nil {
		return "", fmt.Errorf("recipe: %w", err)
	}
	var out strings.Builder
	err = t.Execute(&out, map[string]any{
		"Title": printable(title, 200), "First": used[0].Number, "Last": used[len(used)-1].Number,
		"Deposits": used, "Large": large, "Files": append(files, large...),
	})
	if err != nil {
		return "", fmt.Errorf("recipe: %w", err)
	}
	return out.String(), nil
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
