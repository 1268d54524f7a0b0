# Sourced by scripts/drill: drills in which a copy is restored, or a part of one.
# shellcheck shell=bash
# shellcheck disable=SC2317,SC2154 # the drills are called by their names, and use what drills.sh has

# Times are short here, so that everything of the copy is overdue within a minute.
short_clocks() {
  export BELLHOP__ALERTS__ACCEPT_S=20 BELLHOP__ALERTS__UNDELIVERED_S=3 BELLHOP__ALERTS__MAIL_S=5 \
    BELLHOP__ALERTS__CALL_S=8 BELLHOP__ALERTS__ESCALATE_S=8 BELLHOP__ALERTS__UNANSWERED_PAUSE=100 \
    BELLHOP__SAGAS__OUTAGE_S=3600 BELLHOP__PAYMENTS__PROVIDER=simulated BELLHOP__DISPATCH__OFFER_S=5 \
    BELLHOP__PAYMENTS__WEBHOOK_SECRETS=a-secret-of-the-drill-0123456789
}

# Every device knows that its place in the events is gone, and misses nothing that it was not told of.
expect_resyncs() {
  expect "events without holes" "$(result "r['holes'] + r['repeated']")" 0
  expect "devices that were told resync" "$(result "r['resyncs']")" 2
}

# What the held copy would do, and its release.
release_copy() {
  note "$(bellhop release | tail -n 1)"
  note "$(bellhop release --yes | tail -n 1)"
}

drill_restore_sqlite() {
  local copied data
  hub_ports=("$(free_port)")
  data=$folder/hub-${hub_ports[0]}
  hub_start "${hub_ports[0]}"
  load_start 5 2
  sleep 15
  # What was answered before this is in the copy.
  copied=$(date +%s.%N)
  note "$(scripts/backup sqlite --to "$folder/backups" --data "$data" --hub "$hub")"
  grep -q '^backup_last_success_timestamp_seconds [0-9]*$' "$folder/backups/status.prom"
  sleep 15
  hub_stop "${hub_ports[0]}"
  note "the hub was stopped"
  note "$(scripts/restore sqlite --from "$(find "$folder/backups/sqlite" -name '*.sqlite')" --data "$data" --hub "$hub" | head -n 1)"
  hub_start "${hub_ports[0]}"
  note "the hub is ready again"
  sleep 10
  load_stop
  load_check --until "$copied"
  expect "orders lost that were answered before the copy" "$(result "r['orders_lost_before_the_time']")" 0
  expect_true "what came after the copy is gone, as it must be" "$(result "r['orders_lost']") > 0"
  expect_resyncs
  expect "integrity of the restored file" "$(sqlite3 "$data/bellhop.sqlite" 'PRAGMA integrity_check')" ok
  release_copy
}

drill_restore_postgres() {
  local until at port
  hubs_on_archived_postgres
  as_postgres env PGPORT="${pg_port[one]}" "$folder/backup" base --to "$folder/backups" >/dev/null
  note "a base backup is there"
  sleep 15
  until=$(date -u '+%Y-%m-%d %H:%M:%S.%N+00') at=$(date +%s.%N)
  sleep 15
  pg_ask one "DELETE FROM menu_items" >/dev/null
  note "15 s after $until somebody deleted all menus"
  hubs_stop "${hub_ports[@]}"
  pg_ask one 'SELECT pg_switch_wal()' >/dev/null
  for _ in $(seq 300); do
    [ "$(pg_ask one "SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) FROM pg_stat_archiver")" != t ] || break
    sleep 0.1
  done
  port=${pg_port[one]}
  pg_stop one
  as_postgres "$folder/restore" postgres --from "$folder/backups" --into "$folder/pg/two" --until "$until" >/dev/null
  pg_start two "$port"
  pg_wait_writable two
  note "a server has restored that time"
  note "$(bellhop epochs rotate)"
  hubs_start "${hub_ports[@]}"
  note "the hubs are ready again"
  sleep 10
  load_stop
  load_check --until "$at"
  expect "orders lost that were answered before the time" "$(result "r['orders_lost_before_the_time']")" 0
  expect_true "what came after it is gone" "$(result "r['orders_lost']") > 0"
  expect "items on the menus" "$(pg_ask two 'SELECT count(*) FROM menu_items')" 2
  expect_resyncs
  release_copy
}

# `ask METHOD PATH TOKEN BODY`
ask() {
  curl -sS -m 10 -X "$1" "http://127.0.0.1:${hub_ports[0]}/api/v1$2" -H 'Content-Type: application/json' \
    ${3:+-H "Authorization: Bearer $3"} ${4:+-d "$4"}
}
# `field NAME`: of a JSON object on standard input.
field() { "$python" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
sign_in() { ask POST /auth/login '' "{\"email\":\"$1\",\"password\":\"ring-until-answered\"}" | field access_token; }
rows() { sqlite3 "$folder/hub-${hub_ports[0]}/bellhop.sqlite" "$1"; }
# What the hub has done by itself: refunds begun, uses of mail, telephone and webhook, offers made, orders ended by a deadline.
deeds() {
  rows "SELECT (SELECT count(*) FROM refunds) || ' ' || (SELECT count(*) FROM intents) || ' ' ||
    (SELECT count(*) FROM offers) || ' ' || (SELECT count(*) FROM orders WHERE status = 'cancelled')"
}

# `order BUSINESS SKU FULFILMENT PAYMENT`: places one as Zoë and says its id.
order() {
  local address=''
  if [ "$3" = delivery ]; then address=',"address":{"text":"Rua do Alecrim 1","lat":38.71,"lng":-9.145}'; fi
  ask POST /orders "$zoe" "{\"business_id\":\"$1\",\"fulfilment\":\"$3\",\"payment\":\"$4\",\"customer\":{\"name\":\"Zoë\",\"phone\":\"+351 21 123 45 67\"},
    \"items\":[{\"sku\":\"$2\",\"qty\":1}]$address}" | field id
}

drill_old_copy() {
  local data zoe eva ana dan estrela sol id lost placed=() paid=() brought=() before payment body signature ops
  short_clocks
  hub_ports=("$(free_port)")
  data=$folder/hub-${hub_ports[0]}
  bellhop seed >"$folder/seed.log"
  printf 'a password of an operator\n' | bellhop admin create --email ops@drill.example >/dev/null
  hub_start "${hub_ports[0]}"
  zoe=$(sign_in zoe@seed.example) eva=$(sign_in eva@seed.example) ana=$(sign_in ana@seed.example)
  estrela=$(sed -n 's/^Pastelaria Estrela is //p' "$folder/seed.log") sol=$(sed -n 's/^Cantina Sol is //p' "$folder/seed.log")
  for _ in $(seq 10); do
    placed+=("$(order "$estrela" nata pickup cash)")
    id=$(order "$estrela" bolo pickup online)
    ask POST /payments/initiate "$zoe" "{\"order_id\":\"$id\"}" >/dev/null
    bellhop payments simulate success "$id" --port "${hub_ports[0]}" >/dev/null
    paid+=("$id")
    id=$(order "$sol" caldo delivery cash)
    ask PATCH "/orders/$id/status" "$eva" '{"status":"accepted","version":1,"prep_minutes":1}' >/dev/null
    brought+=("$id")
  done
  note "$(scripts/backup sqlite --to "$folder/backups" --data "$data" --hub "$hub")"
  note "30 orders are in the copy: $(rows "SELECT group_concat(n || ' ' || status, ', ') FROM (SELECT count(*) AS n, status FROM orders GROUP BY status)")"
  for id in "${placed[@]}" "${paid[@]}"; do
    ask PATCH "/orders/$id/status" "$ana" "{\"status\":\"accepted\",\"version\":$(rows "SELECT version FROM orders WHERE id = '$id'")}" >/dev/null
    ask PATCH "/orders/$id/status" "$ana" "{\"status\":\"delivered\",\"version\":$(rows "SELECT version FROM orders WHERE id = '$id'")}" >/dev/null
  done
  for id in "${brought[@]}"; do ask POST "/deliveries/$(rows "SELECT id FROM deliveries WHERE order_id = '$id'")/own" "$eva" '{}' >/dev/null; done
  # A payment that begins after the copy, and whose news come after the restore.
  lost=$(order "$estrela" bica pickup online)
  payment=$(ask POST /payments/initiate "$zoe" "{\"order_id\":\"$lost\"}" | field payment_id)
  hub_stop "${hub_ports[0]}"
  note "20 of them were delivered since, 10 are brought by the business; the hub was stopped"
  scripts/restore sqlite --from "$(find "$folder/backups/sqlite" -name '*.sqlite')" --data "$data" --hub "$hub" >/dev/null
  before=$(deeds)
  hub_start "${hub_ports[0]}"
  note "the copy was restored; within 20 s each order in it is overdue"
  body="{\"payment_id\":\"$payment\",\"order_id\":\"$lost\",\"status\":\"SUCCESS\",\"event_id\":\"drill-1\"}"
  signature=$(printf '%s' "$body" | openssl dgst -sha256 -hmac "$BELLHOP__PAYMENTS__WEBHOOK_SECRETS" | sed 's/.* //')
  expect "answer to news of a payment that the copy does not know" "$(curl -sS -m 10 -o /dev/null -w '%{http_code}' \
    "http://127.0.0.1:${hub_ports[0]}/api/v1/payments/webhook" -H "X-Signature: sha256=$signature" \
    -H 'Content-Type: application/json' -d "$body")" 200
  # A driver who could be asked.
  dan=$(sign_in dan@seed.example)
  ask PUT /drivers/me/status "$dan" '{"online":true}' >/dev/null
  ask PUT /drivers/me/location "$dan" '{"lat":38.709,"lng":-9.14}' >/dev/null
  sleep 45
  expect "refunds, calls and mails, offers, orders ended, before the restore and 45 s after the start" "$(deeds)" "$before"
  zoe=$(sign_in zoe@seed.example)
  id=$(order "$estrela" bica pickup cash)
  sleep 28
  expect "a new order in the held hub, which nobody answered" "$(rows "SELECT status FROM orders WHERE id = '$id'")" cancelled
  ops=$(ask POST /auth/login '' '{"email":"ops@drill.example","password":"a password of an operator"}' | field access_token)
  for _ in $(seq 100); do
    [ "$(rows "SELECT count(*) FROM dead_letters WHERE reason = 'unknown_payment'")" = 0 ] || break
    sleep 0.5
  done
  expect "dead letters of a payment that the copy does not know" \
    "$(ask GET /admin/dead-letters "$ops" '' | grep -o '"reason":"unknown_payment"' | wc -l)" 1
  expect_true "operators are told of it in the room ops" "$(rows "SELECT count(*) FROM room_events WHERE room = 'ops' AND data LIKE '%$payment%'") > 0"
  note "$(bellhop release | tail -n 1)"
  expect "orders that the list names" "$(bellhop release | grep -c '^order ')" 30
  note "$(bellhop release --yes --close-before "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | tail -n 1)"
  sleep 35
  expect "live orders of the copy" "$(rows "SELECT count(*) FROM orders WHERE status NOT IN ('delivered', 'cancelled', 'rejected', 'failed')")" 0
  expect "refunds, calls and mails of the copy, and offers, after the release" "$(rows "SELECT (SELECT count(*) FROM refunds) || ' ' ||
    (SELECT count(*) FROM intents WHERE order_id <> '$id') || ' ' || (SELECT count(*) FROM offers)")" "${before% *}"
  expect "the hold" "$(rows "SELECT count(*) FROM hub WHERE held_since IS NOT NULL")" 0
}

drill_menu() {
  local data estrela ana zoe id before
  hub_ports=("$(free_port)")
  data=$folder/hub-${hub_ports[0]}
  bellhop seed >"$folder/seed.log"
  hub_start "${hub_ports[0]}"
  estrela=$(sed -n 's/^Pastelaria Estrela is //p' "$folder/seed.log")
  ana=$(sign_in ana@seed.example) zoe=$(sign_in zoe@seed.example)
  before=$(ask GET "/businesses/$estrela/menu" "$ana" '')
  note "$(scripts/backup sqlite --to "$folder/backups" --data "$data" --hub "$hub")"
  ask DELETE "/businesses/$estrela/menu/items/nata" "$ana" '' >/dev/null
  ask PATCH "/businesses/$estrela/menu/items/bica" "$ana" '{"price_minor":1}' >/dev/null
  ask POST "/businesses/$estrela/menu/items" "$ana" '{"sku":"odd","name":"A mistake","price_minor":1}' >/dev/null
  ask PATCH "/businesses/$estrela" "$ana" '{"name":"Oops"}' >/dev/null
  id=$(order "$estrela" bolo pickup cash)
  note "its menu and its name were changed by mistake, and an order was placed"
  mkdir -p "$folder/beside"
  cp "$(find "$folder/backups/sqlite" -name '*.sqlite')" "$folder/beside/bellhop.sqlite"
  note "$("$hub" --data "$folder/beside" business export "$estrela" "$folder/estrela.json")"
  bellhop business import "$folder/estrela.json" --dry-run | while IFS= read -r line; do note "dry run: $line"; done
  note "$(bellhop business import "$folder/estrela.json" | tail -n 1)"
  for _ in $(seq 100); do
    [ "$(ask GET "/businesses/$estrela/menu" "$ana" '')" != "$before" ] || break
    sleep 0.1
  done
  expect "the menu that the running hub serves" "$(ask GET "/businesses/$estrela/menu" "$ana" '')" "$before"
  expect "the name" "$(ask GET "/businesses/$estrela" "$ana" '' | field name)" 'Pastelaria Estrela'
  expect "the live order" "$(rows "SELECT status FROM orders WHERE id = '$id'")" placed
  expect "a second import" "$(bellhop business import "$folder/estrela.json" | tail -n 1)" '0 changes of Pastelaria Estrela made'
}
