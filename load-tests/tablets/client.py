"""The tablets and customers of load-tests/tablets/run."""

import argparse
import base64
import collections
import http.client
import json
import os
import socket
import struct
import sys
import threading
import time

TABLETS = 10
CUSTOMERS = 12
EVERY_S = 0.6
PASSWORD = "correct horse battery"
MOVES = ["accepted", "preparing", "ready", "delivered"]

options = argparse.ArgumentParser()
options.add_argument("--port", type=int, required=True)
options.add_argument("--seconds", type=int, default=120)
options = options.parse_args()


class Tally:
    """What was answered, by what was asked, and how long it took."""

    def __init__(self):
        self.lock = threading.Lock()
        self.statuses = collections.Counter()
        self.times = collections.defaultdict(list)
        self.faults = []

    def count(self, kind, status, seconds):
        with self.lock:
            self.statuses[kind, status] += 1
            self.times[kind].append(seconds)

    def fault(self, text):
        with self.lock:
            self.faults.append(text)


tally = Tally()


class Client:
    """Asks from an address of its own, on one connection."""

    def __init__(self, address):
        self.address = address
        self.token = None
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", options.port, timeout=30, source_address=(address, 0)
        )

    def ask(self, kind, method, path, body=None):
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        began = time.monotonic()
        self.connection.request(method, f"/api/v1{path}", json.dumps(body) if body is not None else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        tally.count(kind, answer.status, time.monotonic() - began)
        if answer.status >= 400:
            tally.fault(f"{kind}: {answer.status} {text[:300].decode(errors='replace')}")
        return json.loads(text) if text else None

    def sign_up(self, email, role):
        self.ask("sign-up", "POST", "/auth/signup", {"email": email, "password": PASSWORD, "role": role, "name": email[0]})

    def sign_in(self, email, device=None):
        body = {"email": email, "password": PASSWORD}
        if device:
            body["device"] = {"id": device, "name": device, "platform": "test"}
        self.token = self.ask("sign-in", "POST", "/auth/login", body)["access_token"]


class Socket:
    """A WebSocket, as far as this test needs one."""

    def __init__(self, client, path):
        self.stream = socket.create_connection(("127.0.0.1", options.port), 30, (client.address, 0))
        key = base64.b64encode(os.urandom(16)).decode()
        self.stream.sendall(
            f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\nauthorization: Bearer {client.token}\r\n\r\n".encode()
        )
        self.file = self.stream.makefile("rb")
        status = self.file.readline()
        if b" 101 " not in status:
            raise SystemExit(f"no socket: {status!r} {self.file.read(2000)!r}")
        while self.file.readline().strip():
            pass

    def send(self, opcode, payload):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack(">H", len(payload))
        self.stream.sendall(bytes([0x80 | opcode]) + length + mask + masked)

    def next(self):
        """The next text as JSON; None at the end."""
        while True:
            head = self.file.read(2)
            if len(head) < 2:
                return None
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self.file.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self.file.read(8))
            payload = self.file.read(length)
            opcode = head[0] & 0x0F
            if opcode == 1:
                return json.loads(payload)
            if opcode == 9:
                self.send(10, payload)
            if opcode == 8:
                return None


class Tablet(threading.Thread):
    """Reads every order, and handles those that are its turn."""

    def __init__(self, number, business, email):
        super().__init__(daemon=True)
        self.number = number
        # One address for the whole shop, as behind its router.
        self.client = Client("127.0.2.2")
        self.client.sign_in(email, f"tablet-{number}")
        self.socket = Socket(self.client, f"/ws/notifications/{business}")
        self.read = set()
        self.handed_over = 0

    def run(self):
        while frame := self.socket.next():
            if frame["type"] == "error":
                tally.fault(f"frame: {frame}")
            if frame["type"] != "event":
                continue
            ack = {"type": "ack", "room": frame["room"], "cursor": frame["cursor"]}
            self.socket.send(1, json.dumps(ack).encode())
            data = frame["event"]["data"]
            if frame["event"]["type"] == "order_created":
                order = self.client.ask("read", "GET", f"/orders/{data['order_id']}")
                self.read.add(data["order_id"])
                if int(data["order_number"]) % TABLETS == self.number:
                    self.handle(order)

    def handle(self, order):
        for status in MOVES:
            body = {"status": status, "version": order["version"]}
            order = self.client.ask("move", "PATCH", f"/orders/{order['id']}/status", body)
            if order.get("status") != status:
                return
        self.handed_over += 1


def main():
    owner = Client("127.0.2.1")
    owner.sign_up("owner@example.org", "merchant")
    owner.sign_in("owner@example.org")
    place = {"name": "Soup Kitchen", "location": {"lat": 38.7, "lng": -9.1}, "currency": "EUR"}
    business = owner.ask("set up", "POST", "/businesses", place)["id"]
    soup = {"sku": "soup", "name": "Soup", "price_minor": 250, "available": True}
    owner.ask("set up", "POST", f"/businesses/{business}/menu/items", soup)
    tablets = [Tablet(number, business, "owner@example.org") for number in range(TABLETS)]
    customers = []
    for number in range(CUSTOMERS):
        customer = Client(f"127.0.1.{number + 1}")
        customer.sign_up(f"c{number}@example.org", "customer")
        customer.sign_in(f"c{number}@example.org")
        customers.append(customer)
    for tablet in tablets:
        tablet.start()

    body = {"business_id": business, "fulfilment": "pickup", "items": [{"sku": "soup", "qty": 1}], "payment": "cash"}
    placed = set()
    began = time.monotonic()
    for number in range(int(options.seconds / EVERY_S)):
        time.sleep(max(0, began + number * EVERY_S - time.monotonic()))
        order = customers[number % CUSTOMERS].ask("order", "POST", "/orders", body)
        if "id" in order:
            placed.add(order["id"])
    deadline = time.monotonic() + 30
    done = lambda: sum(tablet.handed_over for tablet in tablets)
    while time.monotonic() < deadline and (done() < len(placed) or any(t.read != placed for t in tablets)):
        time.sleep(0.1)

    print(f"{len(placed)} orders in {options.seconds} s, {TABLETS} tablets on one account, handed over {done()}")
    for (kind, status), count in sorted(tally.statuses.items()):
        times = sorted(tally.times[kind])
        at = lambda part: 1000 * times[min(len(times) - 1, int(part * len(times)))]
        print(f"{kind:8} {status} {count:6}   p50 {at(0.5):7.1f} ms   p99 {at(0.99):7.1f} ms")
    refused = sum(count for (_, status), count in tally.statuses.items() if status == 429)
    missed = sum(len(placed - tablet.read) for tablet in tablets)
    print(f"refused {refused}, orders a tablet missed {missed}, other faults {len(tally.faults) - refused}")
    for fault in tally.faults[:5]:
        print(fault, file=sys.stderr)
    return 1 if tally.faults or missed or done() < len(placed) else 0


sys.exit(main())
