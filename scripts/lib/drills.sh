# Sourced by scripts/drill: servers that are lost and restored, hubs, clients, and what a drill prints.
# shellcheck shell=bash

# shellcheck source=scripts/lib/servers.sh
. scripts/lib/servers.sh

declare -A pg_port=() hub_pid=()
hub='' logs='' hub_ports=() load_pid='' began=$SECONDS
python=${PYTHON:-python3}
status=0

# A line of the protocol, with the seconds since the drill began.
note() { printf '%4d s  %s\n' "$((SECONDS - began))" "$*"; }
# `expect WHAT LEFT RIGHT`: a promise of the drill.
expect() {
  if [ "$2" = "$3" ]; then note "ok: $1"; else note "BROKEN: $1: $2, expected $3"; status=1; fi
}
# `expect_true WHAT CONDITION`: the same for an expression of arithmetic.
expect_true() { if (($2)); then note "ok: $1"; else note "BROKEN: $1"; status=1; fi; }

# Postgres runs as somebody else, who may not read this folder.
as_postgres() { (cd "$folder" && ${run_as[@]+"${run_as[@]}"} "$@"); }

prepare() {
  local missing=()
  with_redis=1
  install_missing
  command -v sqlite3 >/dev/null || missing+=(sqlite3)
  install_packages ${missing[@]+"${missing[@]}"}
  bin=$(postgres_bin)
  PATH=$bin:$PATH
  choose_owner
  cp scripts/backup scripts/restore "$folder/"
  chmod 755 "$folder/backup" "$folder/restore"
  mkdir "$folder/pg" "$folder/backups"
  if [ "$(id -u)" = 0 ]; then chown "$owner" "$folder/pg" "$folder/backups"; fi
  printf '%s' "$password" >"$folder/password"
  if [ "$(id -u)" = 0 ]; then chown "$owner" "$folder/password"; fi
  chmod 600 "$folder/password"
  export PGPASSWORD=$password PGUSER=postgres PGHOST=127.0.0.1
  SECRET_KEY=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  ENCRYPTION_KEY=k1:$(head -c 32 /dev/urandom | base64)
  export SECRET_KEY ENCRYPTION_KEY
  # One address makes all the requests here.
  export BELLHOP__LIMITS__ENABLED=false BELLHOP__SERVER__DRAIN_SPREAD_S=1
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

# `pg_make NAME`: an empty server.
pg_make() {
  as_postgres "$bin/initdb" -D "$folder/pg/$1" -U postgres -A scram-sha-256 --pwfile="$folder/password" -E UTF8 \
    --locale=C.UTF-8 --no-sync >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; die "initdb failed"; }
}
# `pg_start NAME PORT OPTION…`: starts it and waits until it answers.
pg_start() {
  local name=$1 port=$2
  shift 2
  (cd "$folder" && exec ${run_as[@]+"${run_as[@]}"} "$bin/postgres" -D "$folder/pg/$name" -p "$port" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200 "$@") \
    >>"$folder/pg-$name.log" 2>&1 </dev/null &
  servers+=("$!")
  pg_port[$name]=$port
  for _ in $(seq 600); do
    if "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; then return; fi
    sleep 0.1
  done
  cat "$folder/pg-$name.log" >&2
  die "Postgres $name does not answer"
}
# `pg_kill NAME`: as if its machine was gone: no process of it writes anything more.
pg_kill() {
  local main
  read -r main <"$folder/pg/$1/postmaster.pid"
  kill -STOP "$main"
  pkill -KILL -P "$main" || true
  kill -KILL "$main"
  # Here, so that the shell does not say so later.
  wait "$main" 2>/dev/null || true
}
# `pg_stop NAME`: cleanly.
pg_stop() { as_postgres "$bin/pg_ctl" -D "$folder/pg/$1" -m fast -w -s stop; }
pg_ask() { "$bin/psql" -X -A -t -q -p "${pg_port[$1]}" -d postgres -c "$2"; }
pg_wait_writable() {
  for _ in $(seq 1200); do
    if [ "$(pg_ask "$1" 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; then return; fi
    sleep 0.1
  done
  cat "$folder/pg-$1.log" >&2
  die "Postgres $1 does not end its recovery"
}
use_postgres() { export DATABASE_URL="postgres://postgres:$password@127.0.0.1:$1/postgres?sslmode=disable"; }

redis_start() {
  start_redis "$1"
  # shellcheck disable=SC2034 # for the drill of Redis
  redis_pid=$server
  servers+=("$server")
  export REDIS_URL="redis://default:$password@127.0.0.1:$1/"
  for _ in $(seq 100); do
    if redis_answers "$1" 2>/dev/null; then return; fi
    sleep 0.1
  done
  die "Redis does not answer"
}

# `hubs_start PORT…`, `hub_stop PORT`, `hub_kill PORT`
hub_start() {
  local answer
  RUST_LOG=${RUST_LOG:-warn} "$hub" --data "$folder/hub-$1" serve --port "$1" >>"$folder/hub-$1.log" 2>&1 </dev/null &
  hub_pid[$1]=$!
  for _ in $(seq 600); do
    kill -0 "${hub_pid[$1]}" 2>/dev/null || break
    if (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /health/ready HTTP/1.0\r\n\r\n' >&3 &&
      IFS= read -r -t 2 answer <&3 && [[ $answer == *' 200 '* ]]) 2>/dev/null; then return; fi
    sleep 0.1
  done
  cat "$folder/hub-$1.log" >&2
  die "the hub on port $1 is not ready"
}
hubs_start() { local port; for port in "$@"; do hub_start "$port"; done; }
hub_stop() {
  kill -TERM "${hub_pid[$1]}" 2>/dev/null || true
  wait "${hub_pid[$1]}" 2>/dev/null || true
  unset "hub_pid[$1]"
}
hub_kill() {
  kill -KILL "${hub_pid[$1]}"
  wait "${hub_pid[$1]}" 2>/dev/null || true
  unset "hub_pid[$1]"
}
hubs_stop() { local port; for port in "$@"; do hub_stop "$port"; done; }
urls() { local port; for port in "$@"; do printf 'http://127.0.0.1:%s,' "$port"; done | sed 's/,$//'; }
# `metric PORT NAME`
metric() { curl -sS -m 5 "http://127.0.0.1:$1/metrics" | awk -v name="$2" '$1 == name { print $2 }'; }
# `bellhop ARGUMENT…`, a command with the settings of the hubs and its output in the protocol.
bellhop() { RUST_LOG=warn "$hub" --data "$folder/hub-${hub_ports[0]}" "$@"; }

# `load_start RATE SHOPS`, `load_stop`, `load_check NAME=OPTION…`
load_start() {
  "$python" scripts/lib/drill_client.py load "$folder/ledger.json" --hubs "$(urls "${hub_ports[@]}")" --rate "$1" --shops "$2" \
    >>"$folder/load.log" 2>&1 &
  load_pid=$!
  for _ in $(seq 600); do
    [ ! -s "$folder/ledger.json" ] || break
    kill -0 "$load_pid" 2>/dev/null || { cat "$folder/load.log" >&2; die "the clients ended"; }
    sleep 0.1
  done
  note "clients: $1 orders a second at $2 businesses, half of them accepted; a device of each business listens"
}
load_stop() {
  kill -TERM "$load_pid"
  wait "$load_pid" || { cat "$folder/load.log" >&2; die "the clients failed"; }
  load_pid=''
}
load_check() {
  "$python" scripts/lib/drill_client.py check "$folder/ledger.json" --hubs "$(urls "${hub_ports[@]}")" "$@" >"$folder/result.json" ||
    die "the ledger could not be compared"
  note "compared with the hub: $(cat "$folder/result.json")"
}
# `result PROGRAM`: of the comparison, by an expression of Python with `r`.
result() { "$python" -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$folder/result.json" "$1"; }

stop_drill() {
  local code=$? port
  trap '' INT TERM HUP
  if [ -n "$load_pid" ]; then kill -KILL "$load_pid" 2>/dev/null || true; fi
  for port in "${!hub_pid[@]}"; do kill -TERM "${hub_pid[$port]}" 2>/dev/null || true; done
  for port in "${!hub_pid[@]}"; do wait "${hub_pid[$port]}" 2>/dev/null || true; done
  if [ -n "$logs" ]; then cp "$folder"/*.log "$logs/" || true; fi
  set +e
  (exit "$code")
  stop
}
trap stop_drill EXIT
