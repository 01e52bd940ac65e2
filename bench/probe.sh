#!/bin/sh
# Measures what it costs to check many HTTP targets, beside Prometheus and its
# blackbox exporter on the same targets of this machine, and prints a Markdown
# table. Usage: bench/probe.sh [TARGETS [EVERY [SECONDS]]], by default 5000
# targets every 30 s for 180 s.
#
# Both sides run one after the other. Holdfast's side is the scheduler, the
# prober, the engine that keeps what was seen and its database in one process;
# the other side is both its processes added up. Each check has a connection of
# its own on both sides. Processor time and peak memory are those of
# /proc. PEER=0 leaves Prometheus out.
# Needs Go, curl and, of Debian, the packages prometheus and
# prometheus-blackbox-exporter; it installs nothing.
set -eu
cd "$(dirname "$0")/.."
n=${1:-5000} every=${2:-30} seconds=${3:-180}
for tool in go curl; do
	command -v $tool >/dev/null || { echo "bench/probe.sh: $tool is not installed" >&2; exit 69; }
done
if [ "${PEER:-1}" != 0 ]; then
	for tool in prometheus prometheus-blackbox-exporter; do
		command -v $tool >/dev/null || { echo "bench/probe.sh: $tool is not installed: apt-get install $tool, or PEER=0" >&2; exit 69; }
	done
fi
dir=$(mktemp -d)
pids=
finish() {
	for p in $pids; do kill "$p" 2>/dev/null || true; done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM
say() { echo "bench/probe.sh: $*" >&2; }

go build -o "$dir/probe" ./bench/probe
target=127.0.0.1:18732
"$dir/probe" targets $target & pids="$pids $!"
until curl -fs http://$target/stats >/dev/null; do sleep 0.2; done
field() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" "$2"; }

say "holdfast: $n targets every $every s for $seconds s"
mkdir "$dir/state"
"$dir/probe" watch http://$target "$n" "${every}s" "${seconds}s" "$dir/state" >"$dir/own"
curl -fs -X DELETE http://$target/stats >"$dir/own.stats"
cat "$dir/own" >&2

if [ "${PEER:-1}" != 0 ]; then
	say "prometheus and its blackbox exporter: the same"
	cat >"$dir/blackbox.yml" <<-END
		modules:
		  http_2xx:
		    prober: http
		    timeout: 10s
		    http:
		      preferred_ip_protocol: ip4
		      fail_if_body_not_matches_regexp: ["well"]
	END
	{
		echo '[{"targets": ['
		i=0
		while [ $i -lt "$n" ]; do
			[ $i -eq 0 ] || echo ,
			echo "\"http://$target/t/$i\""
			i=$((i + 1))
		done
		echo ']}]'
	} >"$dir/targets.json"
	cat >"$dir/prometheus.yml" <<-END
		global: {scrape_interval: ${every}s, scrape_timeout: 10s}
		scrape_configs:
		  - job_name: probe
		    metrics_path: /probe
		    params: {module: [http_2xx]}
		    file_sd_configs: [{files: [$dir/targets.json]}]
		    relabel_configs:
		      - {source_labels: [__address__], target_label: __param_target}
		      - {source_labels: [__param_target], target_label: instance}
		      - {target_label: __address__, replacement: "127.0.0.1:18733"}
	END
	prometheus-blackbox-exporter --config.file="$dir/blackbox.yml" --web.listen-address=127.0.0.1:18733 --log.level=error & b=$!
	pids="$pids $b"
	prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/tsdb" --web.listen-address=127.0.0.1:18734 --log.level=error & p=$!
	pids="$pids $p"
	sleep "$seconds"
	usage=$("$dir/probe" usage $b $p)
	curl -fs http://$target/stats >"$dir/peer.stats"
	curl -fs http://127.0.0.1:18734/metrics | grep 'prometheus_target_interval_length_seconds{.*quantile="0.99"' >&2 || true
	kill $b $p
fi

awk_line() { printf '| %s | %s | %s | %s | %s | %s |\n' "$@"; }
echo "$n HTTP targets every $every s for $seconds s, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg) at the end"
echo
awk_line "" "checks" "per target" "begun late, p99" "cores" "peak memory"
awk_line --- --: --: --: --: --:
awk_line "Holdfast" "$(field checks "$dir/own") of $(field due "$dir/own") due" "$(field fewest "$dir/own.stats")–$(field most "$dir/own.stats")" \
	"$(field late_p99_ms "$dir/own") ms" "$(awk "BEGIN {printf \"%.2f\", $(field cpu_seconds "$dir/own") / $(field seconds "$dir/own")}")" "$(printf %.0f "$(field peak_mib "$dir/own")") MiB"
if [ "${PEER:-1}" != 0 ]; then
	set -- $usage
	awk_line "Prometheus and blackbox exporter" "$(field requests "$dir/peer.stats")" "$(field fewest "$dir/peer.stats")–$(field most "$dir/peer.stats")" \
		"not told" "$(awk "BEGIN {printf \"%.2f\", $1 / $seconds}")" "$2 MiB"
fi
