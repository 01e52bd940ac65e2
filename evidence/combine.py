#!/usr/bin/env python3
"""combine.py SHARE... > release.key    puts a Holdfast release identity together again

Reads holdfast-share/v1 texts (docs/formats.md); needs Python 3.9 and nothing else. It checks
checksums, set and thresholds, and below one it prints nothing. It has no curve arithmetic: it
can neither check a share against its commitments nor name a liar. So check the result:
`age-keygen -y release.key | tr -d '\\n' | sha256sum` is what the texts call "release".
"""
import base64, hashlib, hmac, sys
L = 2**252 + 27742317777372353535851937790883648493  # order of ristretto255's scalars
PUBLIC = "arrangement compartment epoch identity-epoch set release recipient group parts".split()
refuse = lambda message: sys.exit("combine.py: " + message)

def read(path):  # what a text says in public, and its number and share for each part
    text = open(path, "rb").read().decode("utf-8-sig", "replace")
    lines = [line.rstrip(" \t\r") for line in text.rstrip(" \t\r\n").split("\n")]
    body = "".join(line + "\n" for line in lines[:-1])
    if lines[0] != "holdfast-share/v1" or lines[-1] != "checksum: " + hashlib.sha256(body.encode()).hexdigest()[:16]:
        refuse(path + ": not a share text, or changed or mistyped: its checksum does not match")
    here = head = {"recipient": [], "parts": []}
    shares = {}
    for key, value in (line.split(": ", 1) for line in lines[1:-1]):
        if key == "part":
            head["parts"].append(here := {"commitment": []})
        if key == "index":
            index = int(value)
        elif key == "share":
            shares[here["part"]] = index, int.from_bytes(base64.b64decode(value + "="), "little") % L
        elif key not in ("blind", "trustee"):
            here[key] = here[key] + [value] if key in ("recipient", "commitment") else value
    return head, shares

paths = sys.argv[1:] or refuse("give the share texts: combine.py SHARE... > release.key")
texts = [read(path) for path in paths]
head, secret = texts[0][0], 0
for path, (other, _) in zip(paths, texts):
    for key in (k for k in PUBLIC if other[k] != head[k]):
        refuse("%s and %s differ in %s: not shares of one set" % (paths[0], path, key))
for part in head["parts"]:
    points = sorted({shares[part["part"]] for _, shares in texts if part["part"] in shares})
    if len({x for x, _ in points}) < len(points):
        refuse("part %s: two different shares have the same number; one is false" % part["part"])
    if (missing := int(part["threshold"]) - len(points)) > 0:
        refuse("part %s: %d of %s - %d more needed" % (part["part"], len(points), part["threshold"], missing))
    for x, y in points:  # Lagrange at 0, over every share offered
        for other in (o for o, _ in points if o != x):
            y = y * other * pow(other - x, -1, L) % L
        secret = (secret + y) % L
salt = "\n".join(head[k] for k in ("arrangement", "compartment", "identity-epoch")).encode()
prk = hmac.new(salt, secret.to_bytes(32, "little"), "sha256").digest()  # HKDF-SHA256
seed = hmac.new(prk, b"holdfast/v1/release-identity\x01", "sha256").digest()
hrp, check, bits = "age-secret-key-pq-", 1, "".join(format(byte, "08b") for byte in seed)  # bech32
values = [int(bits[i:i + 5].ljust(5, "0"), 2) for i in range(0, len(bits), 5)]
for v in [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp] + values + [0] * 6:
    top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ v
    for i, g in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
        check ^= g if top >> i & 1 else 0
values += [(check ^ 1) >> 5 * (5 - i) & 31 for i in range(6)]
print("# release identity; the SHA-256 of its public key must be " + head["release"])
print((hrp + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[v] for v in values)).upper())
