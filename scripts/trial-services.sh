#!/usr/bin/env bash
# Sourced by trial.sh: the services that it needs, all on this machine, below a
# folder of their own and gone with it, and the verbs in which it is told.

need() {
  echo "trial: needs $1: $2" >&2
  missing=1
}

missing=
command -v go >/dev/null || need go 'see https://go.dev/dl/'
command -v jq >/dev/null || need jq 'apt-get install jq'
command -v curl >/dev/null || need curl 'apt-get install curl'
command -v aws >/dev/null || need 'the AWS CLI' 'pip install awscli, or see https://docs.aws.amazon.com/cli/'
command -v moto_server >/dev/null || need moto "pip install 'moto[server]'"
for pg in "${TEST_PG_BIN:-}" "$(dirname "$(readlink -f "$(command -v pg_ctl || true)")")" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
  /usr/libexec/postgresql* /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /usr/local/pgsql/bin; do
  [[ ! -x $pg/initdb || ! -x $pg/pg_ctl || ! -x $pg/psql ]] || break
done
[[ -x $pg/initdb ]] || need PostgreSQL 'apt-get install postgresql, or set TEST_PG_BIN to the folder of initdb'
[[ -z $missing ]] || exit 1

work=$(mktemp -d "${TMPDIR:-/tmp}/gateway-trial-XXXXXX")
chmod 711 "$work" # for PostgreSQL's user
pids=()

# end ends a process, and does not wait for long, as moto may take its time.
end() {
  local i
  kill "$1" 2>/dev/null || return 0
  for ((i = 0; i < 50; i++)); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$1"
  wait "$1" 2>/dev/null || true # without a word about it
}

# finish ends what was started, last first, and shows the log if it failed.
finish() {
  local status=$? i
  trap - EXIT
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do end "${pids[i]}"; done
  [[ ! -d $work/pg/data ]] || as_postgres "$pg/pg_ctl" -D "$work/pg/data" -m immediate -s stop || true
  if ((status != 0)); then
    echo "FAILED${step:+ at: $step}; logs are in $work"
    grep -hs -e '"level":"WARN"' -e '"level":"ERROR"' "$work/gateway.log" | tail -n 5 || true
  else
    rm -rf "$work"
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() {
  step=$1
  printf '\n== %s\n' "$1"
}

fail() {
  echo "not so: $1" >&2
  exit 1
}

# check TEXT A OP B says TEXT if A OP B, and fails if not; < and > are of numbers.
check() {
  case $3 in
  = | !=) test "$2" "$3" "$4" ;;
  *) jq -en "$2 $3 $4" >/dev/null ;;
  esac || fail "$1 ($2 $3 $4)"
  echo "ok: $1"
}

# free_port finds a port that is free.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

new_password() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# await TEXT COMMAND… waits a minute for the command to succeed.
await() {
  local i text=$1
  shift
  for ((i = 0; i < 300; i++)); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.2
  done
  fail "$text within a minute"
}

# as_postgres runs a command as a user other than root, as whom the server
# does not run.
as_postgres() {
  if ((EUID != 0)); then
    "$@"
  elif id postgres >/dev/null 2>&1; then
    runuser -u postgres -- "$@"
  else
    runuser -u nobody -- "$@"
  fi
}

start_postgres() {
  mkdir "$work/pg"
  new_password >"$work/pg/password"
  ((EUID != 0)) || chown -R "$(as_postgres id -un)" "$work/pg"
  pg_port=$(free_port)
  as_postgres "$pg/initdb" -D "$work/pg/data" -U postgres --pwfile "$work/pg/password" -A scram-sha-256 -E UTF8 --locale=C --no-sync >"$work/initdb.log"
  as_postgres "$pg/pg_ctl" -D "$work/pg/data" -l "$work/pg/log" -s -w \
    -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories=" start
}

superuser_password() { cat "$work/pg/password"; }

# psql_as USER PASSWORD ARG… prints bare values.
psql_as() {
  local user=$1 password=$2
  shift 2
  PGPASSWORD=$password "$pg/psql" -h 127.0.0.1 -p "$pg_port" -U "$user" -v ON_ERROR_STOP=1 -qAtX -d postgres "$@"
}

connections_of() { psql_as postgres "$(superuser_password)" -c "SELECT count(*) FROM pg_stat_activity WHERE usename = '$1'"; }

database_secret() {
  printf '{"engine": "postgres", "host": "127.0.0.1", "port": %d, "username": "app", "password": "%s", "dbname": "app"}' "$pg_port" "$1"
}

start_moto() {
  local port
  port=$(free_port)
  moto_server -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
  pids+=($!)
  moto=http://127.0.0.1:$port
  await 'moto answers' curl -fsS "$moto/moto-api/"
}

# start_sandbox also points every AWS SDK here at it.
start_sandbox() {
  "$work/bin/gateway" sandbox --addr "127.0.0.1:$(free_port)" --moto "$moto" >"$work/sandbox.env" 2>"$work/sandbox.log" &
  pids+=($!)
  await 'the sandbox serves' grep -q 'the sandbox serves' "$work/sandbox.log"
  . "$work/sandbox.env"
  export AWS_PAGER=
}

start_gateway() {
  GATEWAY_ADDR=127.0.0.1:$(free_port)
  export GATEWAY_ADDR GATEWAY_DATA_DIR=$work/data GATEWAY_RENEWAL_POLL=500ms GATEWAY_LOG_FORMAT=json
  export GATEWAY_PREDICT_TIMEOUT=30s # moto is no DynamoDB
  url=http://$GATEWAY_ADDR
  "$work/bin/gateway" serve >"$work/gateway.log" 2>&1 &
  pids+=($!)
  await 'the gateway serves' curl -fsS "$url/livez"
  await 'it lets operators in' get /admin/status
}

get() { curl -fsS -H "Authorization: Bearer $(cat "$work/data/admin-token")" "$url$1"; }
status() { curl -s -o /dev/null -w '%{http_code}' "$url$1"; }

# start_asking FILE asks about the customers in it, one after the other, and
# notes of each answer its status and the model.
start_asking() {
  local customer code
  while :; do
    while read -r customer; do
      code=$(curl -s -m 60 -o "$work/asked.json" -w '%{http_code}' "$url/predict" \
        -H 'Content-Type: application/json' -d "{\"customer_id\": \"$customer\"}") || true
      echo "$code $(jq -r '.model // .detail' "$work/asked.json")"
      sleep 0.2
    done < <(tail -n +2 "$1")
  done >"$work/asked" &
  asking=$!
  pids+=("$asking")
}

stop_asking() {
  end "$asking"
}

# ids FILE [FEATURE VALUE] prints a CSV of the ids of the customers in the file,
# or of those who have that value. As on import, the id is customer_id or the
# number of the row.
ids() {
  echo customer_id
  tr -d '"\r' <"$1" | awk -F'[;,]' -v feature="${2:-}" -v value="${3:-}" '
    NR == 1 { for (i = 1; i <= NF; i++) { if ($i == feature) at = i; if ($i == "customer_id") id = i } next }
    !at || $at == value { print id ? $id : NR - 1 }'
}

# sample N keeps the header and some N/2 to N of the lines, evenly.
sample() { awk -v n="$1" '{ line[NR] = $0 } END { every = int((NR - 1) / n) + 1; for (i = 1; i <= NR; i += i == 1 ? 1 : every) print line[i] }'; }

# score scores those customers by what the gateway knows of them.
score() { gateway predict "$work/some.csv" --url "$url" -o "$work/scores.csv"; }

# mean_score is that of those in success.csv; mean_score not, of the others.
mean_score() {
  awk -F, -v other="${1:+1}" 'NR == FNR { chosen[$1]; next } FNR > 1 && ($1 in chosen) == !other { sum += $2; n++ } END { print sum / n }' \
    "$work/success.csv" "$work/scores.csv"
}

# report_outcomes OUTCOME FILE reports it of all customers in the file.
report_outcomes() {
  local answer accepted=0
  tail -n +2 "$2" | jq -Rsc --argjson outcome "$1" \
    'split("\n") - [""] | while(length > 0; .[100:]) | {outcomes: .[:100] | map({customer_id: ., outcome: $outcome})}' >"$work/outcomes.ndjson"
  while read -r list; do
    answer=$(curl -fsS "$url/outcomes" -H 'Content-Type: application/json' -d "$list")
    [[ $(jq .failed <<<"$answer") = 0 ]] || fail "every outcome is taken: $answer"
    accepted=$((accepted + $(jq '.outcomes | length' <<<"$answer")))
  done <"$work/outcomes.ndjson"
  check "all outcomes are taken" "$accepted" = "$(($(wc -l <"$2") - 1))"
}

# rotate is what a rotation function does, in its four steps, and then cuts all
# connections of the gateway, so that it must log in with the new password.
rotate() {
  local old=$password version current
  password=$(new_password)
  version=$(aws secretsmanager put-secret-value --secret-id trial/database --secret-string "$(database_secret "$password")" \
    --version-stages AWSPENDING --query VersionId --output text)
  psql_as postgres "$(superuser_password)" -c "ALTER ROLE app PASSWORD '$password'"
  psql_as app "$password" -d app -c 'SELECT 1' >/dev/null
  ! psql_as app "$old" -d app -c 'SELECT 1' 2>/dev/null || fail 'the database refuses the old password'
  current=$(aws secretsmanager get-secret-value --secret-id trial/database --version-stage AWSCURRENT --query VersionId --output text)
  aws secretsmanager update-secret-version-stage --secret-id trial/database --version-stage AWSCURRENT \
    --move-to-version-id "$version" --remove-from-version-id "$current" >/dev/null
  aws secretsmanager update-secret-version-stage --secret-id trial/database --version-stage AWSPENDING --remove-from-version-id "$version" >/dev/null
  psql_as postgres "$(superuser_password)" -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'" >/dev/null
  await "the gateway uses version $version" uses_version "$version"
  echo "ok: the gateway uses version $version of the secret"
}

uses_version() { get /admin/status | jq -e --arg version "$1" '[.secrets[] | .. | strings] | index($version)'; }
