#!/usr/bin/env bash
# Measures `gateway convert` on a generated export, on one core, against jq and,
# where there is one, DuckDB, all of which must make the same rows. Fails if
# they differ, or if convert needs more memory than promised.
#
#     scripts/benchconvert.sh [ROWS]      1,000,000 if not given
#
# Ten million rows are 5.5 GB of JSON, need 6 GB of disk below TMPDIR (/tmp),
# and take some twenty minutes. CORE is the core to measure on (0).
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

rows=${1:-1000000}
core=${CORE:-0}
memory=256 # MB: what convert may take, whatever the size of the export

need() {
  echo "benchconvert: needs $1: $2" >&2
  exit 1
}
command -v go >/dev/null || need go 'https://go.dev/dl/'
command -v jq >/dev/null || need jq 'apt-get install jq'
command -v taskset >/dev/null || need taskset 'apt-get install util-linux'
[[ -x /usr/bin/time ]] || need 'GNU time' 'apt-get install time'

work=$(mktemp -d "${TMPDIR:-/tmp}/benchconvert-XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work # the temporary files of convert and sort

echo "generating $rows customers"
go build -o "$work" ./cmd/gateway ./scripts/customers
"$work/customers" -n "$rows" -export "$work/export"
data=("$work"/export/AWSDynamoDB/*/data/*.json.gz)
bytes=$(gzip -dc "${data[@]}" | wc -c)

# measure NAME COMMAND…: its figures go to NAME.cost, its rows to NAME.csv, and
# of these only the checksum is kept; order is not compared, for jq has none.
measure() {
  local name=$1
  shift
  echo "measuring $name"
  /usr/bin/time -o "$work/$name.cost" -f '%e %U %S %M' taskset -c "$core" "$@"
  sort -S 256M "$work/$name.csv" | sha256sum >"$work/$name.sum"
  rm "$work/$name.csv"
}

measure convert "$work/gateway" convert "$work/export" "$work/convert.csv"
measure jq sh -c 'out=$1; shift; gzip -dc "$@" | jq -nrf scripts/convert.jq >"$out"' sh "$work/jq.csv" "${data[@]}"
if command -v duckdb >/dev/null; then
  measure duckdb duckdb -c "$(scripts/duckdb-sql.sh "$work/export/AWSDynamoDB/*/data/*.json.gz" "$work/duckdb.csv")"
else
  echo 'no duckdb in PATH: measuring without'
fi

echo
echo "$rows items, $((bytes / 1000000)) MB of JSON in gzip, on core $core: $(awk -F': ' '/model name/ {print $2; exit}' /proc/cpuinfo)"
printf '%-10s %9s %9s %14s %12s %10s\n' '' seconds 'CPU s' 'MB per CPU s' speed 'peak MB'
status=0
for cost in "$work"/*.cost; do
  name=$(basename "$cost" .cost)
  awk -v name="$name" -v mb="$((bytes / 1000000))" -v base="$(awk '{print $2 + $3}' "$work/convert.cost")" \
    '{cpu = $2 + $3; printf "%-10s %9.1f %9.1f %14.1f %11.2fx %10.0f\n", name, $1, cpu, mb / cpu, base / cpu, $4 * 1024 / 1e6}' "$cost"
  if ! cmp -s "$work/convert.sum" "$work/$name.sum"; then
    echo "FAILED: the rows of $name and of convert differ"
    status=1
  fi
done
if (($(awk '{print $4}' "$work/convert.cost") * 1024 > memory * 1000000)); then
  echo "FAILED: convert took more than $memory MB"
  status=1
fi
exit $status
