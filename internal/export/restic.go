package export

import (
	"fmt"
	"strings"

	"holdfast/evidence"
)

// kindRestic is how the index calls a module that restic wrote to.
const kindRestic = "restic"

// resticPassword returns the last password of the module's deposits.
func resticPassword(module string, deposits []OpenDeposit) (name string, chain int) {
	for _, d := range deposits {
		for _, o := range d.Manifest.Objects {
			if d.Manifest.Module == module && o.Role == evidence.RoleResticPassword {
				name, chain = o.Name, d.Manifest.Number
			}
		}
	}
	return name, chain
}

// resticRecipe tells how to put a restic repository together and restore it
// with stock tools.
func resticRecipe(language, module string, deposits []OpenDeposit) string {
	password, chain := resticPassword(module, deposits)
	if password == "" {
		return ""
	}
	commands := fmt.Sprintf("```sh\nmkdir -p 'opened/%[1]s'\nage -d -i release.key objects/%[2]s > 'opened/%[1]s/password'\npython3 - '%[1]s' %[3]d <<'END'\n%[4]sEND\n```\n\n```sh\n%[5]s```\n\n",
		module, password, chain, resticLayout, strings.ReplaceAll(resticCommands, "DIR", "'opened/"+module+"'"))
	if language == "nl" {
		return fmt.Sprintf("## Module %s: een restic-repository\n\nOpen het wachtwoord en leg de bestanden op hun plaats; restic zelf controleert daarna elk\n"+
			"byte. Is het compartiment rechtstreeks aan u versleuteld, gebruik dan uw eigen sleutelbestand in plaats van `release.key`.\n\n%s", module, commands)
	}
	return fmt.Sprintf("## Module %s: a restic repository\n\nOpen the password and put the files in their places; restic itself then checks every byte.\n"+
		"Where the compartment is sealed to you directly, use your own key file instead of `release.key`.\n\n%s", module, commands)
}

// resticLayout puts the objects where restic expects them, comparing each with
// its name.
const resticLayout = `import hashlib, json, os, shutil, sys
module, chain = sys.argv[1], int(sys.argv[2])
root = os.path.join("opened", module, "repository")
for d in ("data", "index", "keys", "locks", "snapshots"):
    os.makedirs(os.path.join(root, d), exist_ok=True)
deposits = os.path.join("deposits", module)
for n in sorted(d for d in os.listdir(deposits) if d.isdigit() and int(d) >= chain):
    for o in json.load(open(os.path.join(deposits, n, "manifest.json")))["objects"]:
        if not o["role"].startswith("restic-file/"):
            continue
        name, place = o["sha256"], o["role"].split("/")[1]
        path = {"config": ["config"], "data": ["data", name[:2], name]}.get(place, [place, name])
        target = os.path.join(root, *path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.join("objects", name), target)
        with open(target, "rb") as f:
            h = hashlib.sha256()
            for block in iter(lambda: f.read(1 << 20), b""):
                h.update(block)
            if h.hexdigest() != name:
                sys.exit("object " + name + " is damaged")
`

const resticCommands = `restic -r DIR/repository --password-file DIR/password check --read-data
restic -r DIR/repository --password-file DIR/password snapshots
restic -r DIR/repository --password-file DIR/password restore latest --target DIR/data
`

// ResticReadme tells whoever opened a repository what to do with it.
func ResticReadme(language string) string {
	commands := strings.ReplaceAll(resticCommands, "DIR/", "")
	if language == "nl" {
		return "Dit is een restic-repository (map repository) met zijn wachtwoord (bestand password).\n" +
			"Elke versie van restic vanaf 0.14 opent hem, in deze map, zonder Holdfast en zonder netwerk:\n\n" + commands +
			"\nIn de map data, als die er is, staat de nieuwste momentopname al.\n" +
			"Zet niet als root terug wat u niet vertrouwt: restic zet ook apparaten en rechten terug.\n"
	}
	return "This is a restic repository (directory repository) with its password (file password).\n" +
		"Every restic from 0.14 on opens it, in this directory, without Holdfast and without a network:\n\n" + commands +
		"\nThe directory data, if it is there, holds the newest snapshot already.\n" +
		"Do not restore as root what you do not trust: restic brings devices and rights back too.\n"
}
