package export

import (
	"path/filepath"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/files"
	"holdfast/internal/intake/git/restore"
)

// recipe tells how to rebuild one repository with stock tools.
func recipe(language, module string, deposits []OpenDeposit) (string, error) {
	var list []restore.RecipeDeposit
	var own []OpenDeposit
	for _, d := range deposits {
		if d.Manifest.Module == module {
			own = append(own, d)
		}
	}
	own = opening(own)
	if len(own) == 0 {
		return "", nil // nothing of it can be opened any more
	}
	for _, d := range own {
		if d.certificate != nil {
			continue
		}
		r := restore.RecipeDeposit{Number: d.Manifest.Number, Kind: escrow.DepositKind(d.Manifest.Kind)}
		for _, o := range d.Manifest.Objects {
			file := restore.RecipeFile{Path: filepath.ToSlash(ObjectPath(o.Name)), SHA256: o.Name}
			switch o.Role {
			case "git":
				r.Git = file
			case "lfs":
				r.LFS = append(r.LFS, file)
			}
		}
		list = append(list, r)
	}
	return restore.Recipe(language, module, list)
}

// kindFiles is the kind of module whose deposits are of directories.
const kindFiles = "files"

// filesRecipe tells how to rebuild a module's directories with stock tools.
func filesRecipe(language, module string, deposits []OpenDeposit) (string, error) {
	var own []OpenDeposit
	for _, d := range deposits {
		if d.Manifest.Module == module {
			own = append(own, d)
		}
	}
	var list []files.RecipeDeposit
	for _, d := range opening(own) {
		if d.certificate == nil && d.Manifest.Files != nil {
			list = append(list, files.RecipeDeposit{Number: d.Manifest.Number, Kind: escrow.DepositKind(d.Manifest.Kind)})
		}
	}
	if len(list) == 0 {
		return "", nil // nothing of it can be opened any more
	}
	return files.Recipe(language, module, list)
}

func guideIntro(language string) string {
	if language == "nl" {
		return `# Wat u in handen heeft

Dit is een uitvoer van regeling "%s": de versleutelde deposito's, de ondertekende
beschrijvingen, de bewijzen en de sleuteldelen. Alles is te controleren en te openen
zonder Holdfast en zonder netwerk, met age (1.3 of nieuwer), sha256sum, git en Python 3.

Met Holdfast gaat het in een keer:

    holdfast verify --export .
    holdfast open --from . --key UW.key --to ./geopend

`
	}
	return `# What you hold

This is an export of arrangement "%s": the sealed deposits, the signed descriptions,
the proofs and the shares. Everything can be checked and opened without Holdfast and
without a network, with age (1.3 or newer), sha256sum, git and Python 3.

With Holdfast it takes one step:

    holdfast verify --export .
    holdfast open --from . --key YOUR.key --to ./opened

`
}

func guideShares(language string) string {
	if language == "nl" {
		return `## De vrijgavesleutel samenstellen

Elk bestand in ` + "`case/approvals/*.age`" + ` is het sleuteldeel van een bewaarder, versleuteld aan u.
Zet eerst ` + "`MINE`" + ` op het pad van uw eigen sleutelbestand.

` + "```sh" + `
mkdir -p shares
for f in case/approvals/*.age; do age -d -i "$MINE" "$f" > "shares/$(basename "$f" .age).txt"; done
python3 combine.py shares/*.txt > release.key
age-keygen -y release.key    # gelijk aan "recipient" in keys/.../manifest.json?
` + "```" + `

`
	}
	return `## Put the release key together

Each file in ` + "`case/approvals/*.age`" + ` is one trustee's share, sealed to you.
First set ` + "`MINE`" + ` to the path of your own key file.

` + "```sh" + `
mkdir -p shares
for f in case/approvals/*.age; do age -d -i "$MINE" "$f" > "shares/$(basename "$f" .age).txt"; done
python3 combine.py shares/*.txt > release.key
age-keygen -y release.key    # equal to "recipient" in keys/.../manifest.json?
` + "```" + `

`
}
