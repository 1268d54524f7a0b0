"""Clients of a drill: customers who order, members who accept, devices that listen with a cursor. Only the standard library of Python.

  drill_client.py load FILE --hubs URL,URL [--rate N] [--shops N]   until SIGTERM; the ledger of what was answered is written to FILE
  drill_client.py lives FILE --hubs URL --orders N [--shops N]      takes orders through their whole life, one after the other
  drill_client.py check FILE --hubs URL [--until SECONDS]           compares a ledger with what the hub has now, and prints a summary
"""

import argparse
import http.client
import json
import os
import signal
import sys
import threading
import time
import uuid

PASSWORD = "ring-until-answered"


class Hubs:
    """Requests to whichever hub answers; a refusal of overload or of an outage is tried again elsewhere."""

    def __init__(self, urls):
        self.places = [url.split("//")[1] for url in urls.split(",")]
        self.turn = 0

    def once(self, place, method, path, body=None, token=None, key=None, timeout=10):
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        connection = http.client.HTTPConnection(place, timeout=timeout)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, "/api/v1" + path, text, headers)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else None
        finally:
            connection.close()

    def ask(self, method, path, body=None, token=None, key=None, patience=300.0, seen=None):
        """The first answer that is neither 5xx nor 429; `seen` is told every attempt with its status, 0 for no answer."""
        ends = time.time() + patience
        while True:
            self.turn += 1
            place = self.places[self.turn % len(self.places)]
            began = time.time()
            try:
                status, content = self.once(place, method, path, body, token, key)
            except (OSError, http.client.HTTPException, ValueError):
                status, content = 0, None
            if seen:
                seen(began, status)
            if status and status != 429 and status < 500:
                return status, content
            if time.time() > ends:
                raise SystemExit(f"{method} {path}: no answer within {patience:.0f} s, the last one was {status}")
            time.sleep(0.1)


def sign_in(hubs, email, role):
    person = {"email": email, "password": PASSWORD, "role": role, "name": email.split("@")[0]}
    hubs.ask("POST", "/auth/signup", person)
    status, content = hubs.ask("POST", "/auth/login", {"email": email, "password": PASSWORD})
    if status != 200:
        raise SystemExit(f"{email} cannot sign in: {status} {content}")
    return content["access_token"]


class Load:
    def __init__(self, hubs, shops, rate):
        self.hubs, self.rate = hubs, rate
        self.stop, self.ended = threading.Event(), threading.Event()
        self.lock = threading.Lock()
        self.placed, self.attempts, self.rooms, self.refused = [], [], {}, []
        run = uuid.uuid4().hex[:8]
        self.run = run
        self.customer = sign_in(hubs, f"customer-{run}@drill.example", "customer")
        self.owner = sign_in(hubs, f"owner-{run}@drill.example", "merchant")
        self.shops = []
        for n in range(shops):
            shop = {"name": f"Drill {n + 1}", "location": {"lat": 38.7, "lng": -9.1}, "currency": "EUR"}
            _, made = hubs.ask("POST", "/businesses", shop, self.owner)
            item = {"sku": "soup", "name": "Soup", "price_minor": 450}
            hubs.ask("POST", f"/businesses/{made['id']}/menu/items", item, self.owner)
            self.shops.append(made["id"])

    def place(self):
        """One order after the other at the rate, each with a key of its own until it is answered."""
        workers = max(1, int(self.rate))
        threads = [threading.Thread(target=self.place_each, args=(n, workers)) for n in range(workers)]
        return threads

    def place_each(self, n, workers):
        pause = workers / self.rate
        time.sleep(pause * n / workers)
        while not self.stop.is_set():
            began = time.time()
            shop = self.shops[n % len(self.shops)]
            order = {
                "business_id": shop, "fulfilment": "pickup", "payment": "cash", "items": [{"sku": "soup", "qty": 1}],
                "customer": {"name": "Zoë", "phone": "+351 21 123 45 67"},
            }
            key = uuid.uuid4().hex
            status, content = self.hubs.ask("POST", "/orders", order, self.customer, key, seen=self.seen)
            with self.lock:
                if status == 201:
                    self.placed.append({"id": content["id"], "shop": shop, "at": time.time(), "took": time.time() - began})
                else:
                    self.refused.append({"at": time.time(), "status": status, "code": (content or {}).get("code")})
            self.stop.wait(max(0.0, pause - (time.time() - began)))

    def seen(self, at, status):
        with self.lock:
            self.attempts.append((at, status))

    def accept_every_other(self):
        """Members answer half of the orders."""
        done = 0
        while not self.stop.is_set():
            with self.lock:
                ready = self.placed[done:]
            for order in ready:
                done += 1
                if done % 2 == 0 and not self.stop.is_set():
                    move = {"status": "accepted", "version": 1}
                    status, _ = self.hubs.ask("PATCH", f"/orders/{order['id']}/status", move, self.owner)
                    if status == 200:
                        order["accepted"] = True
            self.stop.wait(0.2)

    def listen(self, shop):
        """A device that long-polls with its cursor, at whichever hub answers, and lists the state after `resync`."""
        told = {"events": [], "resyncs": [], "holes": []}
        self.rooms[shop] = told
        cursor, turn = None, 0
        while not self.ended.is_set():
            place = self.hubs.places[turn % len(self.hubs.places)]
            path = f"/rooms/business:{shop}/events?wait=2&limit=500" + (f"&cursor={cursor}" if cursor else "")
            try:
                status, page = self.hubs.once(place, "GET", path, token=self.owner, timeout=6)
            except (OSError, http.client.HTTPException, ValueError):
                status, page = 0, None
            if status != 200:
                turn += 1
                time.sleep(0.2)
                continue
            if page["resync"]:
                told["resyncs"].append({"at": time.time(), "from": cursor, "to": page["cursor"]})
            for frame in page["events"]:
                epoch, number = frame["cursor"].split(".")
                if cursor and not page["resync"]:
                    before = cursor.split(".")
                    if before[0] != epoch or int(number) != int(before[1]) + 1:
                        told["holes"].append({"after": cursor, "came": frame["cursor"]})
                cursor = frame["cursor"]
                data = frame["event"].get("data") or {}
                order = data.get("order_id") or data.get("id") or (data.get("order") or {}).get("id")
                told["events"].append([frame["cursor"], frame["event"]["type"], order, time.time()])
            cursor = page["cursor"]

    def ledger(self):
        with self.lock:
            return {
                "run": self.run, "customer": self.customer, "owner": self.owner, "shops": self.shops, "placed": self.placed,
                "refused": self.refused, "rooms": self.rooms, "attempts": self.attempts,
            }


def save(path, ledger):
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(ledger, file)
    os.replace(path + ".part", path)


def load(options):
    running = Load(Hubs(options.hubs), options.shops, options.rate)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: running.stop.set())
    threads = running.place() + [threading.Thread(target=running.accept_every_other)]
    listeners = [threading.Thread(target=running.listen, args=(shop,), daemon=True) for shop in running.shops]
    for thread in listeners + threads:
        thread.start()
    while not running.stop.wait(1.0):
        save(options.file, running.ledger())
    for thread in threads:
        thread.join()
    # What is under way to the devices may still arrive.
    time.sleep(4)
    running.ended.set()
    for thread in listeners:
        thread.join(timeout=10)
    save(options.file, running.ledger())


def lives(options):
    running = Load(Hubs(options.hubs), options.shops, options.rate)
    listeners = [threading.Thread(target=running.listen, args=(shop,), daemon=True) for shop in running.shops]
    for thread in listeners:
        thread.start()
    hubs = running.hubs
    for n in range(options.orders):
        order = {
            "business_id": running.shops[n % len(running.shops)], "fulfilment": "pickup", "payment": "cash",
            "items": [{"sku": "soup", "qty": 2}], "customer": {"name": "Zoë", "phone": "+351 21 123 45 67"}, "notes": "no onions, please",
        }
        _, placed = hubs.ask("POST", "/orders", order, running.customer, uuid.uuid4().hex)
        for version, status in enumerate(("accepted", "ready", "delivered"), start=1):
            answer, said = hubs.ask("PATCH", f"/orders/{placed['id']}/status", {"status": status, "version": version}, running.owner)
            if answer != 200:
                raise SystemExit(f"{status}: {answer} {said}")
    running.ended.set()
    save(options.file, running.ledger())


def outages(attempts, placed):
    """Times from a first failure to the next success, of at least half a second, with the statuses in between."""
    found, began, statuses = [], None, {}
    for at, status in sorted(attempts):
        if status == 0 or status == 429 or status >= 500:
            began = began or at
            statuses[status] = statuses.get(status, 0) + 1
        elif began:
            if at - began > 0.5:
                found.append({"began": began, "seconds": round(at - began, 1), "answers": statuses})
            began, statuses = None, {}
    return found


def check(options):
    with open(options.file, encoding="utf-8") as file:
        ledger = json.load(file)
    hubs = Hubs(options.hubs)
    # A customer who signed up after the copy was made has to sign up again.
    owner = sign_in(hubs, f"owner-{ledger['run']}@drill.example", "merchant")
    lost, before, doubled = [], [], 0
    for order in ledger["placed"]:
        status, _ = hubs.ask("GET", f"/orders/{order['id']}", token=owner)
        if status != 200:
            lost.append(order["at"])
            if options.until and order["at"] <= options.until:
                before.append(order["at"])
    heard = holes = resyncs = repeated = 0
    for told in ledger["rooms"].values():
        cursors = [event[0] for event in told["events"]]
        repeated += len(cursors) - len(set(cursors))
        heard += len(cursors)
        holes += len(told["holes"])
        resyncs += len(told["resyncs"])
    created = {event[2] for told in ledger["rooms"].values() for event in told["events"] if event[1] == "order_created"}
    unheard = [order["at"] for order in ledger["placed"] if order["id"] not in created]
    delays = {event[2]: event[3] for told in ledger["rooms"].values() for event in told["events"] if event[1] == "order_created"}
    late = sorted(delays[order["id"]] - order["at"] for order in ledger["placed"] if order["id"] in delays)
    summary = {
        "orders_answered_201": len(ledger["placed"]),
        "orders_lost": len(lost),
        "orders_lost_before_the_time": len(before) if options.until else None,
        "orders_refused": len(ledger["refused"]),
        "refusals": sorted({str(one["code"] or one["status"]) for one in ledger["refused"]}),
        "first_lost_at": min(lost) if lost else None,
        "last_lost_at": max(lost) if lost else None,
        "last_kept_at": max((o["at"] for o in ledger["placed"] if o["at"] not in set(lost)), default=None),
        "events": heard, "holes": holes, "repeated": repeated, "resyncs": resyncs, "orders_not_heard": len(unheard),
        "slowest_delivery_s": round(late[-1], 2) if late else None,
        "outages": outages(ledger["attempts"], ledger["placed"]),
        "slowest_answer_s": round(max((o["took"] for o in ledger["placed"]), default=0), 1),
    }
    print(json.dumps({name: value for name, value in summary.items() if value is not None}))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("load", "check", "lives"):
        command = commands.add_parser(name)
        command.add_argument("file")
        command.add_argument("--hubs", required=True)
        command.add_argument("--rate", type=float, default=5)
        command.add_argument("--shops", type=int, default=2)
        command.add_argument("--until", type=float)
        command.add_argument("--orders", type=int, default=100)
    options = parser.parse_args()
    {"load": load, "check": check, "lives": lives}[options.command](options)


if __name__ == "__main__":
    sys.exit(main())
