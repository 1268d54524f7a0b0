# Sourced by scripts/check-monitoring: a real Prometheus in front of three hubs under `bellhop demo`, a standby of their Postgres, a hub
# with a backup, and a TLS address. All of it is private and gone at the end.
# shellcheck shell=bash

# shellcheck source=scripts/lib/servers.sh
. scripts/lib/servers.sh

install_live() {
  local missing=()
  command -v prometheus >/dev/null || missing+=(prometheus)
  command -v prometheus-blackbox-exporter >/dev/null || missing+=(prometheus-blackbox-exporter)
  command -v openssl >/dev/null || missing+=(openssl)
  install_packages ${missing[@]+"${missing[@]}"}
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

start_standby() {
  # A copy of the primary with the settings that let it follow.
  rm -rf "$folder/standby"
  install -d -m 700 "$folder/standby"
  if [ "$(id -u)" = 0 ]; then chown "$(stat -c %U "$folder/postgres")" "$folder/standby"; fi
  (cd "$folder" && PGPASSWORD=$password ${run_as[@]+"${run_as[@]}"} "$bin/pg_basebackup" -h 127.0.0.1 -p "$primary_port" -U postgres \
    -D "$folder/standby" -R -d "application_name=standby1" >>"$folder/standby.log" 2>&1)
  ${run_as[@]+"${run_as[@]}"} "$bin/postgres" -D "$folder/standby" -p "$1" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c max_connections=300 >>"$folder/standby.log" 2>&1 </dev/null &
  server=$!
}
start_demo() {
  DATABASE_URL="$BELLHOP_TEST_POSTGRES?sslmode=disable" REDIS_URL=$BELLHOP_TEST_REDIS "$hub" demo --nodes 3 --port "$1" \
    --orders-per-second 10 --seed 1 >>"$folder/demo.log" 2>&1 </dev/null &
  server=$!
}
start_hub_with_backup() {
  printf 'backup_last_success_timestamp_seconds %s\n' "$(date +%s)" >"$folder/backup.prom"
  env -u DATABASE_URL -u REDIS_URL RUST_LOG=warn BELLHOP__OPS__BACKUP_STATUS="$folder/backup.prom" "$hub" --data "$folder/alone" \
    serve --port "$1" >>"$folder/alone.log" 2>&1 </dev/null &
  server=$!
}
start_tls() {
  openssl s_server -accept "127.0.0.1:$1" -www -key "$folder/tls.key" -cert "$folder/tls.crt" >>"$folder/tls.log" 2>&1 </dev/null &
  server=$!
}
start_blackbox() {
  prometheus-blackbox-exporter --config.file=deploy/monitoring/blackbox/blackbox.yml --web.listen-address="127.0.0.1:$1" \
    >>"$folder/blackbox.log" 2>&1 </dev/null &
  server=$!
}
start_prometheus() {
  prometheus --config.file="$folder/prometheus/prometheus.yml" --storage.tsdb.path="$folder/prometheus/data" \
    --web.listen-address="127.0.0.1:$1" >>"$folder/prometheus.log" 2>&1 </dev/null &
  server=$!
}

# The shipped configuration, with the addresses and paths of this machine and shorter intervals.
write_prometheus() {
  local at="$folder/prometheus"
  mkdir -p "$at/targets"
  cp -r deploy/monitoring/rules "$at/rules"
  sed -e "s|/etc/prometheus/|$at/|" -e "s|blackbox:9115|127.0.0.1:$blackbox_port|" -e 's|_interval: 15s|_interval: 2s|' \
    -e 's|scrape_timeout: 10s|scrape_timeout: 2s|' deploy/monitoring/prometheus/prometheus.yml >"$at/prometheus.yml"
  printf "%s\n" "- targets: ['127.0.0.1:$demo_port', '127.0.0.1:$((demo_port + 1))', '127.0.0.1:$((demo_port + 2))', '127.0.0.1:$alone_port']" \
    >"$at/targets/bellhop.yml"
  printf "%s\n" "- targets: ['https://127.0.0.1:$tls_port/']" >"$at/targets/bellhop-ready.yml"
}

# `check_live HUB`
check_live() {
  hub=$1
  if [ -z "$hub" ]; then
    say "building"
    cargo build --quiet --bin bellhop --package bellhop
    hub=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/bellhop
  fi
  install_live
  trap stop_hubs_first EXIT
  # Each in a process group of its own: a program that a script starts in the background ignores SIGINT otherwise.
  set -m
  start_servers --with-redis
  primary_port=${BELLHOP_TEST_POSTGRES##*:} primary_port=${primary_port%%/*}
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj /CN=hub.example \
    -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>/dev/null
  start start_standby answers "$folder/standby.log"
  start start_tls answers "$folder/tls.log"; tls_port=$started_port
  start start_blackbox answers "$folder/blackbox.log"; blackbox_port=$started_port
  start start_hub_with_backup answers "$folder/alone.log"; alone_port=$started_port; alone=$server
  start start_demo answers "$folder/demo.log"; demo_port=$started_port; demo=$server
  write_prometheus
  start start_prometheus answers "$folder/prometheus.log"
  # The hubs count the whole every 30 s; a rate needs two samples of a minute; the demo has to have seen a bit of everything.
  say "Prometheus on port $started_port scrapes for 100 s"
  sleep 100
  kill -0 "$demo" || { cat "$folder/demo.log" >&2; die "the demo has ended"; }
  # shellcheck disable=SC2154 # the script that sources this has it
  (cd deploy/monitoring && "$tool" live "http://127.0.0.1:$started_port")
}

demo='' alone=''
stop_hubs_first() {
  local status=$? one
  for one in $demo $alone; do kill -KILL "$one" 2>/dev/null || true; done
  set +e
  (exit "$status")
  stop
}
