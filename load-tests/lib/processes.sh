# Sourced by load tests: servers under load on free ports, in a temporary folder, stopped however the script ends.
# shellcheck shell=bash

say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

folder=$(mktemp -d "${TMPDIR:-/tmp}/bellhop-load.XXXXXX")
running=()

stop_all() {
  local pid
  for pid in ${running[@]+"${running[@]}"}; do kill "$pid" 2>/dev/null || true; done
  for pid in ${running[@]+"${running[@]}"}; do wait "$pid" 2>/dev/null || true; done
  running=()
}

# What else is to be taken back at the end; a script may say so itself.
clean_up() { :; }
end() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  stop_all
  clean_up
  rm -rf "$folder"
  exit "$status"
}
trap end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Builds hub and load client, and says in $target where they are.
build() {
  say "building"
  cargo build --release --workspace --quiet
  target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
  load=$target/release/bellhop-socket-load
  # Every socket is a descriptor here and there; the hard limit is the machine's word.
  ulimit -n "$(ulimit -Hn)"
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# Waits until something answers: `answers PORT [ADDRESS]`.
answers() {
  for _ in $(seq 200); do
    if (exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null; then return; fi
    sleep 0.05
  done
  say "nothing answers on port $1"; return 1
}

# Starts a hub with SQLite, without limits: its process is $hub then, its port $port. Settings of its own may follow.
start_hub() {
  port=$(free_port)
  env BELLHOP__SESSIONS__MAX_PER_USER=10000 BELLHOP__SESSIONS__MAX_PER_IP=100000 BELLHOP__LIMITS__ENABLED=false \
    RUST_LOG=warn "$@" "$target/release/bellhop" --data "$folder/hub-$port" serve --port "$port" \
    >"$folder/hub.log" 2>&1 </dev/null &
  hub=$!
  running+=("$hub")
}
