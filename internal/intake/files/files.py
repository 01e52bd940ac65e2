"""Rebuilds directories from a chain of Holdfast files deposits.

    python3 files.py WORK TO

WORK has, for every deposit from the last FULL one on, NUMBER.list and
NUMBER.stream: its sealed list and its packs in order, decrypted by age and
decompressed by zstd. TO must not exist. Needs Python 3.8, nothing else.
"""
import base64, hashlib, json, os, sys


def fail(text):
    sys.exit("files.py: " + text)


def name(line, key):
    if key + "_base64" in line:
        return base64.b64decode(line[key + "_base64"])
    return line.get(key, "").encode()


def safe(path):
    parts = path.split(b"/")
    drive = len(path) > 1 and path[1:2] == b":" and path[:1].isalpha()
    if drive or b"\0" in path or b"\\" in path[:1] or any(p in (b"", b".", b"..") or b"..\\" in p or b"\\.." in p for p in parts):
        fail("refused: the name %r leads out of the tree" % path)
    return path


def leads_out(path, target):
    if target[:1] in (b"", b"/") or b"\\" in target or target[1:2] == b":":
        return True
    depth, down = path.count(b"/"), False
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
            if down or depth < 0:
                return True
        elif part not in (b"", b"."):
            down = True
    return False


def read_lists(work):
    tree = {}
    numbers = sorted(f[:-5] for f in os.listdir(work) if f.endswith(".list"))
    if not numbers:
        fail("no lists in " + work)
    for n, number in enumerate(numbers):
        with open(os.path.join(work, number + ".list"), encoding="utf-8") as f:
            head = json.loads(f.readline())
            if head["format"] != "holdfast-files/v1" or head["deposit"] != int(number):
                fail("%s.list is not the list of deposit %d" % (number, int(number)))
            if (n == 0) != (head["kind"] == "FULL"):
                fail("the lists must begin with the last FULL deposit")
            count = 0
            for text in f:
                line = json.loads(text)
                path = safe(name(line, "path"))
                if line["kind"] == "gone":
                    del tree[path]
                else:
                    tree[path] = line
                count += 1
            if count != head["entries"]:
                fail("%s.list has %d of its %d entries" % (number, count, head["entries"]))
    for path, line in tree.items():
        parent = path.rpartition(b"/")[0]
        if parent and tree.get(parent, {}).get("kind") != "dir":
            fail("refused: %r lies in something that is not a directory" % path)
        if line["kind"] not in ("dir", "file", "symlink", "hardlink"):
            fail("refused: %r is a %s" % (path, line["kind"]))
        if line["kind"] == "hardlink" and tree.get(name(line, "target"), {}).get("kind") != "file":
            fail("refused: %r is a link to something that is not a file" % path)
    return tree


def main(work, to):
    tree = read_lists(work)
    paths = sorted(tree)
    streams = {}
    os.mkdir(to, 0o700)
    place = lambda path: os.path.join(os.fsencode(to), path)
    for path in paths:
        line = tree[path]
        if line["kind"] == "dir":
            os.mkdir(place(path), 0o700)
        elif line["kind"] == "file":
            with open(place(path), "xb") as out:
                for deposit, at, size, digest in line.get("chunks", []):
                    if deposit not in streams:
                        streams[deposit] = open(os.path.join(work, "%06d.stream" % deposit), "rb")
                    streams[deposit].seek(at)
                    data = streams[deposit].read(size)
                    if hashlib.sha256(data).hexdigest() != digest:
                        fail("damaged: %r is not what the list names" % path)
                    out.write(data)
                os.chmod(out.fileno(), line.get("mode", 0) & 0o777)
            if os.path.getsize(place(path)) != line.get("size", 0):
                fail("damaged: %r has another length" % path)
            os.utime(place(path), ns=(line.get("mtime_ns", 0),) * 2)
    # Links come last, so that nothing is written through one.
    for path in paths:
        line = tree[path]
        if line["kind"] == "hardlink":
            os.link(place(name(line, "target")), place(path))
    for path in paths:
        line = tree[path]
        if line["kind"] == "symlink":
            target = name(line, "target")
            if leads_out(path, target):
                print("left out: %r is a link to %r, outside of the tree" % (path, target), file=sys.stderr)
                continue
            os.symlink(target, place(path))
            os.utime(place(path), ns=(line.get("mtime_ns", 0),) * 2, follow_symlinks=False)
    for path in reversed(paths):
        line = tree[path]
        if line["kind"] == "dir":
            os.chmod(place(path), line.get("mode", 0) & 0o777)
            os.utime(place(path), ns=(line.get("mtime_ns", 0),) * 2)
    print("%d entries restored to %s" % (len(paths), to))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
