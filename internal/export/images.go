package export

import (
	"fmt"

	"holdfast/internal/escrow"
	"holdfast/internal/intake/images"
)

// kindImages is how the index calls a module with container images.
const kindImages = string(escrow.Images)

// imagesRecipe tells how to make an OCI layout of a module's images with stock
// tools.
func imagesRecipe(language, module string, deposits []OpenDeposit) string {
	chain := 0
	for _, d := range deposits {
		if d.Manifest.Module == module && d.Manifest.Kind == string(escrow.FullDeposit) && d.certificate == nil {
			chain = d.Manifest.Number
		}
	}
	if chain == 0 {
		return ""
	}
	commands := fmt.Sprintf("```sh\npython3 - '%[1]s' %[2]d release.key <<'END'\n%[3]sEND\n```\n\n```sh\nskopeo copy oci:'opened/%[1]s':TAG docker://REGISTRY/NAME:TAG   # or podman pull, crane push, ctr images import\n```\n\n",
		module, chain, imagesLayout)
	if language == "nl" {
		return fmt.Sprintf("## Module %s: containerimages\n\nMaak er een OCI-layout van; elk onderdeel wordt met zijn digest vergeleken. Is het compartiment\n"+
			"rechtstreeks aan u versleuteld, noem dan uw eigen sleutelbestand in plaats van `release.key`.\n\n%s", module, commands)
	}
	return fmt.Sprintf("## Module %s: container images\n\nMake an OCI layout of them; every part is compared with its digest. Where the compartment is\n"+
		"sealed to you directly, name your own key file instead of `release.key`.\n\n%s", module, commands)
}

// imagesLayout does what images.Restore does, for those without Holdfast.
const imagesLayout = `import base64, hashlib, json, os, subprocess, sys
module, chain, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
root = os.path.join("opened", module)
blobs = os.path.join(root, "blobs", "sha256")
os.makedirs(blobs, exist_ok=True)
deposits = os.path.join("deposits", module)
def opened(name):
    return subprocess.run(["age", "-d", "-i", key, os.path.join("objects", name)], check=True, stdout=subprocess.PIPE).stdout
for n in sorted(d for d in os.listdir(deposits) if d.isdigit() and int(d) >= chain):
    for o in json.load(open(os.path.join(deposits, n, "manifest.json")))["objects"]:
        if o["role"] != "` + images.RoleSet + `":
            continue
        held = json.loads(opened(o["sha256"]))
        for b in held["blobs"]:
            data = opened(b["object"]) if b.get("object") else base64.b64decode(b.get("data", ""))
            name = b["digest"].split(":")[1]
            if hashlib.sha256(data).hexdigest() != name:
                sys.exit("blob " + b["digest"] + " is damaged")
            with open(os.path.join(blobs, name), "wb") as f:
                f.write(data)
index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
for i in held["images"]:
    d = {"mediaType": i["media_type"], "digest": i["digest"], "size": i["size"]}
    if i.get("name"):
        d["annotations"] = {"org.opencontainers.image.ref.name": i["name"]}
    index["manifests"].append(d)
json.dump(index, open(os.path.join(root, "index.json"), "w"))
json.dump({"imageLayoutVersion": "1.0.0"}, open(os.path.join(root, "oci-layout"), "w"))
`
