#!/bin/sh
# Measures deposits of directories, side by side with what people do now, and
# prints a Markdown table. Usage: bench/vault.sh [DATA [DIR]]
#
# DATA is a directory (default: about 2 GiB of mixed files copied from the Go
# module cache and /usr/lib; SIZE=mebibytes sets another size). It is copied,
# and the copy is changed. DIR is where the work is done (default: a temporary
# directory, removed at the end); it needs room for about eight times the data.
#
# Holdfast runs as it is used: a server with two file locations and a
# depositor on the same machine, through HTTP, with fsync and receipts. Its
# peers are the pipeline tar | zstd -3 -T2 | age with a cp for the second
# place, and restic, which writes to one place. The pipeline's files are only on
# their way to the disk when it ends, Holdfast's are there: what writing them out
# takes then is measured apart. Each step runs once; the peak
# memory is that of the step's largest process by GNU time, and for the server
# what the kernel says of it. Needs tar, zstd, restic, GNU time, curl and Go;
# age is built from its module.
set -eu

cd "$(dirname "$0")/.."
for tool in tar zstd restic /usr/bin/time go awk sed; do
	command -v $tool >/dev/null || { echo "bench/vault.sh: $tool is not installed" >&2; exit 69; }
done
data=${1:-}
size=${SIZE:-2048}
server=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -n "${keep:-}" ] || rm -rf "$dir"
}
if [ $# -ge 2 ]; then
	dir=$2 keep=yes
	mkdir -p "$dir"
else
	dir=$(mktemp -d)
fi
dir=$(cd "$dir" && pwd)
trap finish EXIT
trap 'exit 130' INT TERM
say() { echo "bench/vault.sh: $*" >&2; }

say "building"
holdfast=${HOLDFAST:-$dir/holdfast}
[ -n "${HOLDFAST:-}" ] || CGO_ENABLED=0 go build -trimpath -o "$holdfast" ./cmd/holdfast
age=$(go list -m -f '{{.Version}}' filippo.io/age)
GOBIN=$dir go install "filippo.io/age/cmd/age@$age" "filippo.io/age/cmd/age-keygen@$age"
agreement=$PWD/examples/agreements/demo.yaml
modcache=$(go env GOMODCACHE)
cd "$dir"

# --- the data --------------------------------------------------------------

if [ ! -d data ]; then
	say "gathering data"
	mkdir data
	if [ -n "$data" ]; then
		cp -a "$data/." data/
	else
		# Large files and many small ones, text and binary, in turns until it is enough.
		for from in "$modcache"/cache/download /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu "$modcache"/modernc.org "$modcache"/golang.org "$modcache"/github.com /usr/share "$(go env GOROOT)" /usr/lib; do
			have=$(du -sm data | cut -f 1)
			[ -d "$from" ] && [ "$have" -lt "$size" ] || continue
			room=$((size - have))
			[ "$from" = "$modcache/cache/download" ] && [ $room -gt $((size / 4)) ] && room=$((size / 4))
			to=data/$(echo "$from" | tr / _)
			mkdir -p "$to"
			(cd "$from" && find . -type f -size -200M -printf '%s %p\n') |
				awk -v left=$((room * 1048576)) '{ if (left < $1) exit; left -= $1; sub(/^[0-9]+ /, ""); print }' |
				(cd "$from" && tar -c --no-recursion -T -) | tar -x -C "$to" 2>/dev/null || true
		done
	fi
	chmod -R u+w data
fi
say "$(find data -type f | wc -l) files, $(du -sm data | cut -f 1) MiB"

# --- a server with two locations, and everything a deposit needs -----------

if [ ! -f tokens/admin ]; then
	say "setting up"
	mkdir -p tokens
	if [ -n "${ONE_LOCATION:-}" ]; then
		printf 'schedule_every: 24h\n' > server.yaml
	else
		printf 'schedule_every: 24h\nwrite_quorum: 2\nlocations:\n  - {id: first, kind: file, path: %s/first}\n  - {id: second, kind: file, path: %s/second}\n' "$dir" "$dir" > server.yaml
	fi
fi
"$holdfast" serve --config server.yaml --data server --listen 127.0.0.1:0 > server.out 2> server.log &
server=$!
for _ in $(seq 100); do grep -q 'serves on' server.out && break; sleep 0.1; done
url=$(sed -n 's/^holdfast serves on //p' server.out)
[ -n "$url" ] || { cat server.log >&2; exit 1; }
as() {
	who=$1
	shift
	"$holdfast" "$@" --server "$url" --token-file "tokens/$who" --pins pins --arrangement demo
}
trustees="agent foundation notary accountant expert"
if [ ! -f tokens/admin ]; then
	cp server/admin.token tokens/admin
	sed '/every: 1h/d' "$agreement" > agreement.yaml
	"$holdfast" register agreement.yaml --server "$url" --token-file tokens/admin --pins pins > /dev/null
	for p in supplier customer $trustees; do
		"$holdfast" key new --party $p --person $p --plain --out keys > /dev/null
		as admin token issue --party $p --person $p --out tokens/$p > /dev/null
	done
	as agent contact add keys/*.contact > /dev/null
	"$holdfast" ceremony deal --agreement agreement.yaml --compartment materials --contacts keys --sign keys/supplier.sign --out deal > /dev/null
	as supplier ceremony publish deal > /dev/null
	for t in $trustees; do
		as $t share fetch --compartment materials --out shares/$t > /dev/null
		"$holdfast" share check --from shares/$t --key keys/$t.key --accept --out shares/$t/acceptance.json > /dev/null
		as $t share accept shares/$t/acceptance.json > /dev/null
	done
	as supplier module set code --mode push > /dev/null
fi

# --- measuring -------------------------------------------------------------

"$dir/age-keygen" -pq -o peer.key 2>/dev/null
recipient=$("$dir/age-keygen" -y peer.key)
export RESTIC_PASSWORD=bench RESTIC_REPOSITORY=$dir/restic RESTIC_CACHE_DIR=$dir/restic.cache
restic init -q

# step NAME COMMAND…: seconds and the peak of the largest process in MiB.
step() {
	name=$1
	shift
	sync
	say "$name"
	/usr/bin/time -o "time.$name" -f '%e %M' "$@" > "out.$name" 2>&1 || { cat "out.$name" >&2; exit 1; }
}
# out NAME COMMAND…: the same without writing out what the step before left.
out() {
	name=$1
	shift
	/usr/bin/time -o "time.$name" -f '%e %M' "$@"
}
seconds() { cut -d ' ' -f 1 "time.$1"; }
peak() { awk '{ printf "%d", $2 / 1024 }' "time.$1"; }
mib() { du -sm --apparent-size "$@" | awk '{ n += $1 } END { print n }'; }
ratio() { awk -v a="$(seconds "$1")" -v b="$(seconds "$2")" 'BEGIN { printf "%.2f", b / a }'; }
deposit="$holdfast deposit files --module code --key keys/supplier.key --server $url --token-file tokens/supplier --pins pins --arrangement demo data"
pipeline='set -e; mkdir -p p1 p2; tar -c data | zstd -3 -T2 -q | ./age -r "$1" > p1/$2; cp p1/$2 p2/$2'
stored() { if [ -n "${ONE_LOCATION:-}" ]; then mib server/objects; else mib first; fi; }

[ -z "${WARM:-1}" ] || tar -c data | cat > /dev/null # everybody reads from memory
echo "load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
step full-pipeline sh -c "$pipeline" sh "$recipient" full
out full-written sync p1/full p2/full
step full-restic restic backup -q data
step full-holdfast $deposit
full=$(stored)
restic1=$(mib restic)

say "changing 1 %"
total=$(du -sm data | cut -f 1)
want=$((total / 100))
find data -type f -size +1M -printf '%s %p\n' | sort -k 2 | awk -v every=3 'NR % every == 1 { sub(/^[0-9]+ /, ""); print }' | head -n "$want" > changed
while read -r f; do
	dd if=/dev/urandom of="$f" bs=1M count=1 seek=$(($(stat -c %s "$f") / 2097152)) conv=notrunc status=none
done < changed
left=$((want - $(wc -l < changed)))
[ "$left" -le 0 ] || dd if=/dev/urandom of=data/more bs=1M count="$left" status=none
sleep 3
step second-pipeline sh -c "$pipeline" sh "$recipient" second
step second-restic restic backup -q data
step second-holdfast $deposit
second=$(stored)
restic2=$(mib restic)
step third-restic restic backup -q data
step third-holdfast $deposit

say "a release"
case=$(as customer --json case open --event bankruptcy --stage materials --reason bench | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' | head -n 1)
as agent case notice "$case" --to supplier --channel registered_letter --text bench > /dev/null
as agent case request "$case" --purpose bench > /dev/null
for t in agent foundation notary; do
	as $t case statement "$case" --out approvals/$t > /dev/null
	"$holdfast" approve --from approvals/$t --key keys/$t.key --out approvals/$t/approval.json --yes > /dev/null
	as $t case approve "$case" --approval approvals/$t/approval.json > /dev/null
done
step fetch $holdfast export "$dir/handover" --case "$case" --server "$url" --token-file tokens/customer --pins pins --arrangement demo
mkdir restored
step open-pipeline sh -c 'set -e; mkdir restored/p; ./age -d -i peer.key p1/second | zstd -dc | tar -x -C restored/p'
step open-restic restic restore -q latest --target restored/r
step open-holdfast $holdfast open --from handover --key keys/customer.key --to restored/h --outside-links keep
diff -r --no-dereference data restored/h/code/data
echo "load after: $(cut -d ' ' -f 1-3 /proc/loadavg)"
server_peak=$(awk '/VmHWM/ { printf "%d", $2 / 1024 }' /proc/$server/status)

cat <<EOF

$(find data -type f | wc -l) files, $total MiB; Holdfast, the pipeline with its cp, restic $(restic version | awk '{ print $2 }')

| step | Holdfast | pipeline + cp | restic | against pipeline | against restic | peak MiB (Holdfast, restic) |
|---|---|---|---|---|---|---|
| first deposit | $(seconds full-holdfast) s | $(seconds full-pipeline) s | $(seconds full-restic) s | $(ratio full-holdfast full-pipeline) × | $(ratio full-holdfast full-restic) × | $(peak full-holdfast), $(peak full-restic) |
| after 1 % changed | $(seconds second-holdfast) s | $(seconds second-pipeline) s | $(seconds second-restic) s | $(ratio second-holdfast second-pipeline) × | $(ratio second-holdfast second-restic) × | $(peak second-holdfast), $(peak second-restic) |
| nothing changed | $(seconds third-holdfast) s | | $(seconds third-restic) s | | $(ratio third-holdfast third-restic) × | $(peak third-holdfast), $(peak third-restic) |
| open | $(seconds open-holdfast) s | $(seconds open-pipeline) s | $(seconds open-restic) s | $(ratio open-holdfast open-pipeline) × | $(ratio open-holdfast open-restic) × | $(peak open-holdfast), $(peak open-restic) |
| stored by the first, per location | $full MiB | $(mib p1/full) MiB | $restic1 MiB | | | |
| added by the second | $((second - full)) MiB | $(mib p1/second) MiB | $((restic2 - restic1)) MiB | | | |

The server's peak was $server_peak MiB; fetching the hand-over took $(seconds fetch) s. Writing out the
pipeline's two files took $(seconds full-written) s more.
EOF
