#!/bin/sh
# Measures deposits of a Git repository against what people do now, and prints
# a Markdown table. Usage: bench/git.sh REPO [DIR]
#
# REPO is a path or URL; its default branch and its tags are used. DIR is where
# the work is done (default: a temporary directory, removed at the end).
# BRANCH=name takes another branch, REFS=n sets how many refs the second part
# has (default 100001, 0 leaves it out), PEERS=0 leaves the archives out.
#
# Both sides fetch from the same server: stock git http-backend, protocol v2,
# on this machine. Each step runs once, in a process of its own; the peak
# memory is what GNU time reports: that of the largest process of the step.
# Needs git, bash, zstd, GNU time and Go; age is built from its module.
set -eu

[ $# -ge 1 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 64; }
repo=$1
case $repo in /* | *://* | *@*:*) ;; *) repo=$(cd "$repo" && pwd) ;; esac
cd "$(dirname "$0")/.."
for tool in git bash zstd /usr/bin/time go awk; do
	command -v $tool >/dev/null || { echo "bench/git.sh: $tool is not installed" >&2; exit 69; }
done

server=
keep=
finish() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -n "$keep" ] || rm -rf "$dir"
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

export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0
say() { echo "bench/git.sh: $*" >&2; }

say "building"
go build -o "$dir/gitdeposit" ./bench/gitdeposit
age=$(go list -m -f '{{.Version}}' filippo.io/age)
GOBIN=$dir go install "filippo.io/age/cmd/age@$age" "filippo.io/age/cmd/age-keygen@$age"
rm -f "$dir/peer.key"
"$dir/age-keygen" -pq -o "$dir/peer.key" 2>/dev/null
recipient=$("$dir/age-keygen" -y "$dir/peer.key")

# --- the origin ------------------------------------------------------------

say "copying the repository"
origin=$dir/served/origin.git
if [ ! -d "$origin" ]; then
	git init -q --bare "$origin"
	branch=${BRANCH:-$(git ls-remote --symref "$repo" HEAD | sed -n 's|^ref: refs/heads/\(.*\)	HEAD$|\1|p')}
	[ -n "$branch" ] || { echo "bench/git.sh: $repo has no default branch; set BRANCH" >&2; exit 65; }
	git -C "$origin" fetch -q "$repo" "+refs/heads/$branch:refs/bench/tip" "+refs/tags/*:refs/bench/tags/*"
	git -C "$origin" symbolic-ref HEAD "refs/heads/$branch"
fi
branch=$(git -C "$origin" symbolic-ref --short HEAD)
git -C "$origin" config transfer.hideRefs refs/bench

# state makes the origin what it was n commits ago, by first parents: the
# branch, and the tags of that time.
state() {
	tip=$(git -C "$origin" rev-parse "refs/bench/tip~$1")
	git -C "$origin" for-each-ref --format='delete %(refname)' refs/heads refs/tags | git -C "$origin" update-ref --stdin
	git -C "$origin" update-ref "refs/heads/$branch" "$tip"
	git -C "$origin" for-each-ref --merged="$tip" --format='create refs/tags/%(refname:lstrip=3) %(objectname)' refs/bench/tags |
		git -C "$origin" update-ref --stdin
	git -C "$origin" pack-refs --all
}

rm -f "$dir/server" # of an earlier run in the same directory
"$dir/gitdeposit" serve -root "$dir/served" >"$dir/server" &
server=$!
while ! [ -s "$dir/server" ]; do sleep 0.1; done
url=$(cat "$dir/server")

# --- measuring -------------------------------------------------------------

# timed LABEL COMMAND... sets seconds and mib.
timed() {
	label=$1
	shift
	sync
	/usr/bin/time -f '%e %M' -o "$dir/time" "$@" >"$dir/out" 2>"$dir/err" || { cat "$dir/err" >&2; say "$label failed"; exit 1; }
	read -r seconds kib <"$dir/time"
	mib=$(ratio "$kib" 1024)
	say "$label: $seconds s, $mib MiB"
}

# ratio A B prints A/B to a useful number of places.
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { if (b == 0) { print "-"; exit }; r = a / b; if (r >= 100) printf "%.0f", r; else if (r >= 10) printf "%.1f", r; else printf "%.2f", r }'
}
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a - b }'; }
plus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a + b }'; }
size() { awk -v n="$1" 'BEGIN { if (n >= 1e6) printf "%.1f MB", n / 1e6; else if (n >= 1e4) printf "%.1f kB", n / 1e3; else printf "%d B", n }'; }
bytes() { stat -c %s "$1"; }

# value KEY reads what gitdeposit printed.
value() { sed -n "s/^$1=//p" "$dir/deposited"; }

deposit() { # LABEL REPOSITORY DIRECTORY
	timed "$1" "$dir/gitdeposit" deposit -url "$url/$2" -dir "$3"
	cp "$dir/out" "$dir/deposited"
}

archives() { # of the mirror: sets tar_s tar_mib tar_n bundle_s bundle_mib bundle_n
	[ "${PEERS:-1}" != 0 ] || { tar_s=0 tar_mib=0 tar_n=0 bundle_s=0 bundle_mib=0 bundle_n=0; return; }
	timed "tar | zstd | age" bash -o pipefail -c "tar -C '$dir' -cf - mirror.git | zstd -q | '$dir/age' -r '$recipient' -o '$dir/mirror.tar.age'"
	tar_s=$seconds tar_mib=$mib tar_n=$(bytes "$dir/mirror.tar.age")
	timed "bundle --all | age" bash -o pipefail -c "git -C '$dir/mirror.git' bundle create -q - --all | '$dir/age' -r '$recipient' -o '$dir/mirror.bundle.age'"
	bundle_s=$seconds bundle_mib=$mib bundle_n=$(bytes "$dir/mirror.bundle.age")
	rm "$dir/mirror.tar.age" "$dir/mirror.bundle.age"
}

row() { echo "| $1 | $2 | $3 | $4 | $5 | $6 |"; }

# rows STEP MIRROR-SECONDS MIRROR-MIB MIRROR-WORD prints the four sides of a
# step; the deposit's figures are in $dir/deposited and d_s, d_mib.
rows() {
	stream=$(minus "$d_s" "$(value check)")
	row "$1" "deposit, sealed, not checked" "$stream" "$(ratio "$stream" "$2")" "$(size "$(value stored)")" "$(ratio "$(value streaming_kib)" 1024)"
	row "" "**deposit, sealed and checked**" "$d_s" "**$(ratio "$d_s" "$2")**" "**$(size "$(value stored)")**" "$d_mib"
	row "" "$4 (checked, in the clear)" "$2" "1" "-" "$3"
	[ "${PEERS:-1}" != 0 ] || return 0
	t=$(plus "$2" "$tar_s") b=$(plus "$2" "$bundle_s")
	row "" "… + tar \\| zstd \\| age" "$t" "$(ratio "$t" "$2")" "$(size "$tar_n")" "$(awk -v a="$3" -v b="$tar_mib" 'BEGIN { print (a > b ? a : b) }')"
	row "" "… + bundle --all \\| age" "$b" "$(ratio "$b" "$2")" "$(size "$bundle_n")" "$(awk -v a="$3" -v b="$bundle_mib" 'BEGIN { print (a > b ? a : b) }')"
}

load=$(cut -d' ' -f1-3 /proc/loadavg)
table=$dir/table.md
{
	echo "Measured $(date -u '+%Y-%m-%d %H:%M UTC') on $(nproc) CPUs ($(uname -sm), $(git --version), $(go env GOVERSION), age $age); load average before: $load."
	echo
	echo "| step | side | seconds | × the mirror's | stored by this step | peak MiB |"
	echo "|---|---|---|---|---|---|"
} >"$table"

# --- first, +1, +100 -------------------------------------------------------

rm -rf "$dir/mirror.git" "$dir/deposits"
state 101
objects=$(git -C "$origin" rev-list --objects --all --not --glob='refs/bench/*' 2>/dev/null | wc -l)
timed "git clone --mirror" git clone -q --mirror "$url/origin.git" "$dir/mirror.git"
m_s=$seconds m_mib=$mib
deposit "first deposit" origin.git "$dir/deposits"
d_s=$seconds d_mib=$mib
first_pack=$(value pack) objects=$(value objects)
cp "$dir/deposited" "$dir/deposited.first"
archives
rows "first: $objects objects, pack $(size "$first_pack")" "$m_s" "$m_mib" "git clone --mirror" >>"$table"

# The clone's own check, by itself: the pack the clone received.
pack=$(ls "$dir"/mirror.git/objects/pack/*.pack | head -n 1)
timed "git index-pack" git index-pack --threads="$(nproc)" -o "$dir/again.idx" "$pack"
i_s=$seconds i_mib=$mib
rm -f "$dir/again.idx" "$dir/again.rev"
check_first=$(sed -n 's/^check=//p' "$dir/deposited.first")

step() { # COMMITS-BEFORE-THE-TIP TITLE
	state "$1"
	timed "git remote update" git -C "$dir/mirror.git" remote update --prune
	m_s=$seconds m_mib=$mib
	deposit "$2" origin.git "$dir/deposits"
	d_s=$seconds d_mib=$mib
	archives
	rows "$2: $(value objects) objects, pack $(size "$(value pack)")" "$m_s" "$m_mib" "git remote update" >>"$table"
}
own_first=$(value own)
step 100 "+1 commit"
one_over=$(minus "$(value stored)" "$(value pack)") one_tar=$(ratio "$(plus "$m_s" "$tar_s")" "$d_s") one_received=$(value received)
own_one=$(value own)
step 0 "+100 commits"
timed "nothing new, deposit" "$dir/gitdeposit" deposit -url "$url/origin.git" -dir "$dir/deposits"
n_s=$seconds n_mib=$mib
timed "nothing new, remote update" git -C "$dir/mirror.git" remote update --prune
row "nothing new" "**deposit**" "$n_s" "**$(ratio "$n_s" "$seconds")**" "**0 B**" "$n_mib" >>"$table"
row "" "git remote update" "$seconds" "1" "-" "$mib" >>"$table"

# --- many refs -------------------------------------------------------------

refs=${REFS:-100001}
if [ "$refs" -gt 0 ]; then
	say "making $refs refs"
	many=$dir/served/many.git
	rm -rf "$many" "$dir/mirror.git" "$dir/many"
	git init -q --bare "$many"
	echo "$origin/objects" >"$many/objects/info/alternates"
	tip=$(git -C "$origin" rev-parse refs/bench/tip~1)
	# One ref for each commit, from the newest, over again when there are fewer.
	git -C "$origin" rev-list "$tip" | awk -v n=$((refs - 1)) '{ c[NR] = $1 } END { for (i = 0; i < n; i++) printf "create refs/heads/many/%06d %s\n", i, c[i % NR + 1] }' |
		git -C "$many" update-ref --stdin
	git -C "$many" update-ref refs/heads/main "$tip"
	git -C "$many" symbolic-ref HEAD refs/heads/main
	git -C "$many" pack-refs --all
	PEERS=0
	timed "clone --mirror, $refs refs" git clone -q --mirror "$url/many.git" "$dir/mirror.git"
	m_s=$seconds m_mib=$mib
	deposit "first deposit, $refs refs" many.git "$dir/many"
	d_s=$seconds d_mib=$mib
	rows "first, $refs refs" "$m_s" "$m_mib" "git clone --mirror" >>"$table"
	git -C "$many" update-ref refs/heads/main "$(git -C "$origin" rev-parse refs/bench/tip)"
	timed "remote update, $refs refs" git -C "$dir/mirror.git" remote update --prune
	m_s=$seconds m_mib=$mib
	deposit "+1 commit, $refs refs" many.git "$dir/many"
	d_s=$seconds d_mib=$mib
	rows "+1 commit, $refs refs: $(value objects) objects, pack $(size "$(value pack)")" "$m_s" "$m_mib" "git remote update" >>"$table"
	deposit "nothing new, $refs refs" many.git "$dir/many"
	timed_s=$seconds timed_mib=$mib
	timed "remote update, nothing new, $refs refs" git -C "$dir/mirror.git" remote update --prune
	row "nothing new, $refs refs" "**deposit**" "$timed_s" "**$(ratio "$timed_s" "$seconds")**" "**0 B**" "$timed_mib" >>"$table"
	row "" "git remote update" "$seconds" "1" "-" "$mib" >>"$table"
fi

cat "$table"
cat <<END

The check of the first deposit alone took $check_first s; \`git index-pack\` of the same repository's pack took $i_s s and $i_mib MiB ($(ratio "$check_first" "$i_s") of it).
+1 commit: stored ${one_over%.*} bytes more than the pack; $one_tar times less time than remote update + tar | zstd | age; received $(size "$one_received").
For the next deposit the maker keeps $(size "$own_first") after the first and $(size "$own_one") after +1 commit, sealed to itself: ids and commits held, refs, large files. It is not in the table, being no part of a deposit.

What each side checks. The deposit reads its own sealed bytes back, computes every object's id, resolves every delta, reads every commit, tree and tag, and looks every id they name up among this pack's and the earlier deposits' ids. clone --mirror and remote update check the same by index-pack and rev-list, on files in the clear; tar, zstd and bundle check nothing more. Git's SHA-1 also looks for collision attacks, which makes it several times slower; the deposit's is the standard library's, which uses the processor's instructions and does not look for them. "Not checked" is the deposit's time without its check: what a sync of that kind would cost, though none is made.
The times of the deposit include sealing to a post-quantum recipient, writing, fsync, signing, and sealing what the next deposit needs to know. The server's own time (one git upload-pack) is in every side's seconds and in nobody's memory.
END
