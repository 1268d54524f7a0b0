"""Connections that misbehave, one kind at a time, and what they cost the hub; exits with 1 when a bound does not hold."""

import argparse
import json
import os
import resource
import selectors
import socket
import sys
import time
from pathlib import Path

MIB = 1024 * 1024
PASSWORD = "correct horse battery"


class Hub:
    """A hub on this machine, seen from outside."""

    def __init__(self, port, pid):
        self.port, self.pid = port, pid

    def connect(self):
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream

    def memory(self):
        """Resident bytes of its own, without pages of files."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) * 1024

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sockets(self):
        """Descriptors that are sockets."""
        count = 0
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                count += os.readlink(entry).startswith("socket:")
            except FileNotFoundError:
                pass
        return count

    def cpu_share(self, seconds):
        """Cores in use over a time in which nobody asks."""
        before, began = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)
        return (self.cpu_seconds() - before) / (time.monotonic() - began)

    def ask(self, method, path, token=None, body=None):
        """Status and JSON of one request."""
        lines = [f"{method} /api/v1{path} HTTP/1.1", "host: hub", "connection: close"]
        data = b"" if body is None else json.dumps(body).encode()
        if token:
            lines.append(f"authorization: Bearer {token}")
        if body is not None:
            lines += ["content-type: application/json", f"content-length: {len(data)}"]
        with self.connect() as stream:
            stream.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
            answer = b""
            while part := stream.recv(65536):
                answer += part
        head, _, text = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(text or b"null")

    def merchant(self):
        """A merchant's token and business."""
        who = {"email": "olga@example.org", "password": PASSWORD}
        status, _ = self.ask("POST", "/auth/signup", body={**who, "role": "merchant"})
        assert status == 201, status
        status, tokens = self.ask("POST", "/auth/login", body=who)
        assert status == 200, status
        business = {"name": "Soup", "location": {"lat": 38.7, "lng": -9.1}, "zone": "lisbon", "currency": "EUR"}
        status, business = self.ask("POST", "/businesses", token=tokens["access_token"], body=business)
        assert status == 201, business
        return tokens["access_token"], business["id"]


def until(true, within):
    """Seconds until something holds; None when it does not in time."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        if true():
            return time.monotonic() - began
        time.sleep(0.05)
    return None


def seconds(time_taken):
    return "never" if time_taken is None else f"{time_taken:.1f} s"


def heads(hub, header_timeout_s=10, count=2000):
    """Heads of a second request that stop."""
    hub.ask("GET", "/nothing")
    memory, sockets = hub.memory(), hub.sockets()
    streams = []
    for _ in range(count):
        stream = hub.connect()
        stream.sendall(b"GET /health/live HTTP/1.1\r\nhost: hub\r\n\r\n")
        answer = b""
        while b"alive" not in answer:
            answer += stream.recv(4096)
        streams.append(stream)
    for stream in streams:
        stream.sendall(b"GET /h")
    began = time.monotonic()
    grown = (hub.memory() - memory) / count / 1024
    selector = selectors.DefaultSelector()
    for stream in streams:
        stream.setblocking(False)
        selector.register(stream, selectors.EVENT_READ)
    refused = 0
    while selector.get_map() and time.monotonic() - began < header_timeout_s + 5:
        for key, _ in selector.select(timeout=0.5):
            try:
                part = key.fileobj.recv(4096)
            except OSError:
                part = b""
            refused += part.startswith(b"HTTP/1.1 408 ")
            if not part:
                selector.unregister(key.fileobj)
                key.fileobj.close()
    left = len(selector.get_map())
    took = time.monotonic() - began
    free = until(lambda: hub.sockets() <= sockets, 3)
    yield f"{count} later heads that stop: refused with 408", f"{refused}", "all", refused == count
    yield "still open after header_timeout_s and 2 s", f"{left}", "0", left == 0 and took <= header_timeout_s + 2
    yield "their descriptors free", seconds(free), "≤ 3 s", free is not None
    yield "memory of each", f"{grown:.1f} KiB", "≤ 48 KiB", grown <= 48


def behind(hub, path, what, count=10, requests=15_000):
    """Tiny requests behind a request that waits."""
    token, business = hub.merchant()
    path = path.replace("ROOM", f"business:{business}")
    time.sleep(1)
    memory, sockets = hub.memory(), hub.sockets()
    head = f"GET /api/v1/rooms/{path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    pile = b"GET / HTTP/1.1\r\nHost:a\r\n\r\n" * requests
    streams = []
    for _ in range(count):
        stream = hub.connect()
        stream.settimeout(5)
        try:
            stream.sendall(head + pile)
        except OSError:
            pass
        streams.append(stream)
    time.sleep(1)
    open_now = hub.sockets() - sockets
    share = hub.cpu_share(5)
    grown = max(0, hub.memory() - memory) / count / 1024
    for stream in streams:
        stream.close()
    left = until(lambda: hub.sockets() <= sockets, 30)
    after = hub.cpu_share(2)
    yield f"{count} {what}, {requests} requests behind each: open", f"{open_now}", f"{count}", open_now == count
    yield "memory of each", f"{grown:.0f} KiB", "≤ 1024 KiB", grown <= 1024
    yield "cores in use meanwhile", f"{share:.3f}", "≤ 0.050", share <= 0.05
    yield "nothing left after they closed", seconds(left), "≤ 2 s", left is not None and left <= 2
    yield "cores in use after", f"{after:.3f}", "≤ 0.050", after <= 0.05


def bodies(hub, count=300, length=MIB):
    """Bodies that stop before their last byte."""
    hub.ask("GET", "/nothing")
    memory = hub.memory()
    head = (
        "POST /api/v1/auth/refresh HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()
    streams = [hub.connect() for _ in range(count)]
    selector = selectors.DefaultSelector()
    for stream in streams:
        stream.setblocking(False)
        selector.register(stream, selectors.EVENT_WRITE, memoryview(head + b"x" * (length - 1)))
    peak, began = memory, time.monotonic()
    while selector.get_map() and time.monotonic() - began < 20:
        for key, _ in selector.select(timeout=0.2):
            try:
                rest = key.data[key.fileobj.send(key.data[:65536]) :]
            except BlockingIOError:
                continue
            except OSError:
                rest = b""
            if len(rest):
                selector.modify(key.fileobj, selectors.EVENT_WRITE, rest)
            else:
                selector.unregister(key.fileobj)
        peak = max(peak, hub.memory())
    time.sleep(1)
    grown = (max(peak, hub.memory()) - memory) / MIB
    for stream in streams:
        stream.close()
    yield f"{count} unfinished bodies of {length // 1024} KiB without a token: memory", f"{grown:.1f} MiB", "≤ 20 MiB", grown <= 20


def answers(hub, count=20):
    """Answers that nobody takes."""
    hub.ask("GET", "/nothing")
    sockets = hub.sockets()
    streams = []
    for _ in range(count):
        stream = socket.socket()
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.connect(("127.0.0.1", hub.port))
        stream.setblocking(False)
        streams.append(stream)
    ask = b"GET /openapi.json HTTP/1.1\r\nhost: hub\r\n\r\n"
    for stream in streams:
        stream.send(ask * 4)
    time.sleep(2)
    open_now = hub.sockets() - sockets
    free = until(lambda: hub.sockets() <= sockets, 60)
    for stream in streams:
        stream.close()
    yield f"{count} answers that nobody takes: open at first", f"{open_now}", f"{count}", open_now == count
    yield "their descriptors free", seconds(free), "≤ 45 s", free is not None and free <= 43


KINDS = {
    "heads": heads,
    "streams": lambda hub: behind(hub, "ROOM/stream", "event streams"),
    "polls": lambda hub: behind(hub, "ROOM/events?wait=30", "long polls"),
    "bodies": bodies,
    "answers": answers,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = True
    for what, found, bound, holds in KINDS[options.kind](Hub(options.port, options.pid)):
        print(f"{'ok  ' if holds else 'FAIL'}  {what}: {found} ({bound})")
        held &= holds
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
