# Sourced by scripts that need databases of their own: private servers on free ports in a temporary folder. What is
# started here is stopped when the script ends, however it ends.
# shellcheck shell=bash

# shellcheck source=scripts/lib/packages.sh
. scripts/lib/packages.sh

# The newest Postgres whose server can be run; a lone initdb in the PATH may be a wrapper for something else.
postgres_bin() {
  local dir
  local places=("$(pg_config --bindir 2>/dev/null || true)" "$(dirname "$(command -v initdb || echo /none/initdb)")")
  mapfile -t -O "${#places[@]}" places < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV)
  for dir in "${places[@]}"; do
    if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && [ -x "$dir/pg_isready" ]; then
      echo "$dir"
      return
    fi
  done
}

install_missing() {
  local missing=()
  [ -n "$(postgres_bin)" ] || missing+=(postgresql)
  if [ "$with_redis" = 1 ]; then command -v redis-server >/dev/null || missing+=(redis-server); fi
  if [ "$with_redis" = 1 ]; then command -v redis-cli >/dev/null || missing+=(redis-tools); fi
  install_packages ${missing[@]+"${missing[@]}"}
  install_compiler
}

folder=$(mktemp -d "${TMPDIR:-/tmp}/bellhop-test.XXXXXX")
chmod 755 "$folder"
servers=()
run_as=()
tests=
with_redis=0

stop() {
  local status=$? pid
  trap - EXIT
  trap '' INT TERM HUP
  if [ -n "$tests" ]; then kill -- "-$tests" 2>/dev/null || true; fi
  # To both servers SIGINT means: drop the clients, write what is to be written, stop.
  for pid in ${servers[@]+"${servers[@]}"}; do kill -INT "$pid" 2>/dev/null || true; done
  for pid in ${servers[@]+"${servers[@]}"}; do wait "$pid" 2>/dev/null || true; done
  # A Postgres that was restarted meanwhile is another process.
  if read -r pid 2>/dev/null <"$folder/postgres/postmaster.pid"; then
    kill -INT "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
      [ -e "$folder/postgres/postmaster.pid" ] || break
      sleep 0.1
    done
  fi
  rm -rf "$folder"
  say "servers stopped"
  exit "$status"
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

# Calls `$1 PORT` (which starts a server and leaves its id in $server) on one free port after another, until `$2 PORT`
# says that it answers. A port can be lost to somebody else between the look and the start.
start() {
  local name=$1 ready=$2 log=$3 port
  for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
    "$name" "$port"
    servers+=("$server")
    for _ in $(seq 300); do
      kill -0 "$server" 2>/dev/null || break
      if "$ready" "$port" 2>/dev/null; then
        started_port=$port
        return
      fi
      sleep 0.1
    done
    kill -KILL "$server" 2>/dev/null || true
  done
  cat "$log" >&2
  die "$name did not succeed"
}

start_postgres() {
  # As it is installed, so that what is tested and measured is what users have; only more connections than the usual 100,
  # since tests run beside each other, each with hubs of its own.
  ${run_as[@]+"${run_as[@]}"} "$bin/postgres" -D "$folder/postgres" -p "$1" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c max_connections=300 >>"$folder/postgres.log" 2>&1 </dev/null &
  server=$!
}
postgres_answers() { "$bin/pg_isready" -q -h 127.0.0.1 -p "$1"; }

start_redis() {
  # The settings come by standard input, where no list of processes shows the password.
  printf '%s\n' "port $1" 'bind 127.0.0.1' 'save ""' 'appendonly no' "dir $folder" "requirepass $password" |
    redis-server - >>"$folder/redis.log" 2>&1 &
  server=$!
}
# One master of a cluster. A cluster has no password here: its nodes would need it for each other.
start_cluster_redis() {
  mkdir -p "$folder/redis-$1"
  printf '%s\n' "port $1" 'bind 127.0.0.1' 'save ""' 'appendonly no' "dir $folder/redis-$1" 'cluster-enabled yes' |
    redis-server - >>"$folder/redis-cluster.log" 2>&1 &
  server=$!
}
# Three masters that know each other and share all slots.
start_redis_cluster() {
  local ports=() nodes=() port
  for _ in 1 2 3; do
    start start_cluster_redis redis_answers "$folder/redis-cluster.log"
    ports+=("$started_port")
    nodes+=("127.0.0.1:$started_port")
  done
  redis-cli --cluster create "${nodes[@]}" --cluster-yes >>"$folder/redis-cluster.log" 2>&1 ||
    { cat "$folder/redis-cluster.log" >&2; die "the Redis Cluster could not be made"; }
  for port in "${ports[@]}"; do
    for _ in $(seq 300); do
      if redis-cli -p "$port" cluster info | grep -q 'cluster_state:ok'; then break; fi
      sleep 0.1
    done
  done
  BELLHOP_TEST_REDIS_CLUSTER=$(IFS=,; echo "${nodes[*]/#/redis://}")
  export BELLHOP_TEST_REDIS_CLUSTER
  say "a Redis Cluster answers on ports ${ports[*]}"
}
redis_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'PING\r\n' >&3 && IFS= read -r -t 2 _ <&3); }

# Postgres refuses to run as root, so that it runs as somebody else then: $owner, by ${run_as[@]}. setpriv stays the same process: its
# id is the server's.
choose_owner() {
  owner=$(id -un)
  if [ "$(id -u)" = 0 ]; then
    owner=nobody
    if id postgres >/dev/null 2>&1; then owner=postgres; fi
    run_as=(setpriv "--reuid=$owner" "--regid=$(id -g "$owner")" --clear-groups)
  fi
}

# Starts Postgres, for `--with-redis` a Redis, and for `--with-redis-cluster` a Redis Cluster too, and says in BELLHOP_TEST_POSTGRES,
# BELLHOP_TEST_REDIS and BELLHOP_TEST_REDIS_CLUSTER where they are.
# Missing Debian packages are installed first.
start_servers() {
  case "${1:-}" in --with-redis*) with_redis=1 ;; esac
  install_missing
  bin=$(postgres_bin)
  [ -n "$bin" ] || die "no Postgres server was found after installing"
  choose_owner
  say "starting Postgres ($bin) in $folder"
  printf '%s' "$password" >"$folder/password"
  mkdir -m 700 "$folder/postgres"
  if [ "$(id -u)" = 0 ]; then chown "$owner" "$folder/postgres" "$folder/password"; fi
  chmod 600 "$folder/password"
  # From a folder that the other user may enter.
  (cd "$folder" && ${run_as[@]+"${run_as[@]}"} "$bin/initdb" -D "$folder/postgres" -U postgres -A scram-sha-256 \
    --pwfile="$folder/password" -E UTF8 --locale=C.UTF-8 --no-sync >"$folder/initdb.log" 2>&1) ||
    { cat "$folder/initdb.log" >&2; die "initdb failed"; }
  rm -f "$folder/password"
  start start_postgres postgres_answers "$folder/postgres.log"
  export BELLHOP_TEST_POSTGRES="postgres://postgres:$password@127.0.0.1:$started_port/postgres"
  say "Postgres answers on port $started_port"
  if [ "$with_redis" = 0 ]; then return; fi
  start start_redis redis_answers "$folder/redis.log"
  export BELLHOP_TEST_REDIS="redis://default:$password@127.0.0.1:$started_port/"
  say "Redis answers on port $started_port"
  if [ "$1" = --with-redis-cluster ]; then start_redis_cluster; fi
}

# Runs cargo in a process group of its own, so that nothing of it is left when this script is told to stop.
run_cargo() {
  say "cargo $*"
  set -m
  { cargo "$@" </dev/null && echo 0 >"$folder/status" || echo $? >"$folder/status"; } | tee -a "$folder/output" &
  tests=$(jobs -p %%)
  set +m
  wait %%
  tests=
  return "$(cat "$folder/status")"
}
