"""That deploy/nginx has the numbers that were decided. Argument: the root of the tree."""
import re
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1]) / "deploy/nginx"


def lines(name):
    """The directives of a file without comments, each with the blocks that it is in."""
    text = re.sub(r"(?m)^\s*#.*$|\s#\s.*$", "", (FOLDER / name).read_text())
    blocks, found = [], []
    for token in re.findall(r"[^;{}]*[;{}]", text.replace("\n", " ")):
        words, end = " ".join(token[:-1].split()), token[-1]
        if end == "{":
            blocks.append(words)
        elif end == "}":
            blocks.pop()
        else:
            found.append((" / ".join(blocks), words))
    return found


WANTED = {
    "hubs.conf": [
        (r"upstream bellhop", r"least_conn"),
        (r"upstream bellhop", r"keepalive \d+"),
        (r"upstream bellhop", r"server \S+:8000 max_fails=3 fail_timeout=30s"),
    ],
    "nginx.conf": [
        (r"http", r"limit_req_zone \$binary_remote_addr zone=clients:\d+m rate=100r/s"),
        (r"http", r"limit_req_status 429"),
        (r"http", r"client_max_body_size 1m"),
    ],
    "site.conf": [
        (r"server / location /", r"return 308 https://\S+"),
        (r"server", r"listen 443 ssl http2 default_server"),
        (r"server", r"ssl_protocols TLSv1.2 TLSv1.3"),
        (r"server", r"limit_req zone=clients burst=50 nodelay"),
        (r"server", r"proxy_http_version 1.1"),
        (r"server", r"proxy_connect_timeout 5s"),
        (r"server", r"proxy_send_timeout 10s"),
        (r"server", r"proxy_read_timeout 35s"),
        (r"server", r"proxy_set_header X-Forwarded-For \$remote_addr"),
        (r"server", r"proxy_set_header X-Forwarded-Host \$http_host"),
        (r"server", r"proxy_set_header X-Request-ID \$id_of_request"),
        *[
            (rf"server / location {place}", setting)
            for place in (r"/ws/", r"~ \^/api/v1/rooms/\[\^/\]\+/stream\$")
            for setting in ("proxy_buffering off", "proxy_read_timeout 3600s", "proxy_send_timeout 3600s")
        ],
    ],
}
problems = []
for name, wanted in WANTED.items():
    there = lines(name)
    for block, setting in wanted:
        if not any(re.fullmatch(block, where) and re.fullmatch(setting, what) for where, what in there):
            problems.append(f"deploy/nginx/{name}: {block} has no {setting}")
for where, what in lines("hubs.conf"):
    if what.startswith("server ") and not re.fullmatch(WANTED["hubs.conf"][2][1], what):
        problems.append(f"deploy/nginx/hubs.conf: {what}: a hub is taken out after three failures, for 30 s")
every = [what for name in WANTED for _, what in lines(name)]
for word in ("ip_hash", "sticky", "hash "):
    if any(what.startswith(word) for what in every):
        problems.append(f"deploy/nginx: {word}: nothing has to stick to a hub")
sys.exit("\n".join(problems) or 0)
