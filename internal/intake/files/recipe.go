package files

import (
	_ "embed"
	"fmt"
	"path"
	"strings"
	"text/template"

	"holdfast/evidence"
	"holdfast/internal/escrow"
)

//go:embed recipe_en.md
var recipeEN string

//go:embed recipe_nl.md
var recipeNL string

//go:embed files.py
var restoreScript string

// RestoreScript is files.py: a program of the Python standard library that
// puts directories together from the lists and streams of a chain. It goes
// into every export that has such deposits.
func RestoreScript() string { return restoreScript }

// RecipeDeposit is one deposit of a module in an export.
type RecipeDeposit struct {
	Number int
	Kind   escrow.DepositKind
}

// Recipe says, in English ("en") or Dutch ("nl"), how to rebuild the
// directories of a module from an export with age, zstd, tar, sha256sum and
// Python alone: Markdown whose code blocks, run by sh in the export's
// directory, make opened/MODULE. deposits are in order; those from the last
// FULL one on are used.
func Recipe(language, module string, deposits []RecipeDeposit) (string, error) {
	text := recipeEN
	switch language {
	case "en":
	case "nl":
		text = recipeNL
	default:
		return "", escrow.Errorf(escrow.Invalid, "no recipe in language %.20q", language).WithHint("there are en and nl")
	}
	from := len(deposits) - 1
	for from >= 0 && deposits[from].Kind != escrow.FullDeposit {
		from--
	}
	if from < 0 || !evidence.IsID(module) {
		return "", escrow.Errorf(escrow.Missing, "module %.100q has no full deposit to build on", module)
	}
	var numbers []string
	for _, d := range deposits[from:] {
		numbers = append(numbers, fmt.Sprintf("%06d", d.Number))
	}
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	t, err := template.New("recipe").Funcs(template.FuncMap{"sh": quote}).Parse(text)
	if err != nil {
		return "", fmt.Errorf("recipe: %w", err)
	}
	var out strings.Builder
	if err := t.Execute(&out, map[string]any{
		"Module": module, "Dir": "deposits/" + module, "Out": "opened/" + module, "Parent": path.Dir("opened/" + module),
		"Numbers": strings.Join(numbers, " "), "Single": len(numbers) == 1,
	}); err != nil {
		return "", fmt.Errorf("recipe: %w", err)
	}
	return out.String(), nil
}
