"""Medians of several rounds as a Markdown table; with --page the whole page of docs/benchmarks.md and its plot."""

import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

NAMES = {"bellhop": "Bellhop (SQLite)", "nchan": "nchan", "ws": "Node ws"}
COLUMNS = [
    ("connects_per_s", "opened /s", "{:.0f}"),
    ("kib_per_idle_socket", "KiB per idle socket", "{:.1f}"),
    ("paced_cpu_us", "CPU µs per delivery, paced", "{:.1f}"),
    ("burst_cpu_us", "in a burst", "{:.1f}"),
    ("p50_ms", "p50 ms", "{:.1f}"),
    ("p99_ms", "p99 ms", "{:.1f}"),
    ("events_missed", "missed", "{:.0f}"),
]


def rounds_of(folder, peer):
    return [json.loads(line) for line in Path(folder, f"{peer}.jsonl").read_text().splitlines()]


def table(folder, peers):
    lines = ["| | " + " | ".join(title for _, title, _ in COLUMNS) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    for peer in peers:
        runs = rounds_of(folder, peer)
        cells = [form.format(statistics.median(run[key] for run in runs)) for key, _, form in COLUMNS]
        lines.append(f"| {NAMES[peer]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(folder, peers):
    """CPU of one delivery, a bar for each peer at the pace and in the burst; whiskers are the least and the most."""
    bars = []
    for peer in peers:
        runs = rounds_of(folder, peer)
        for key, label in [("paced_cpu_us", "paced"), ("burst_cpu_us", "burst")]:
            values = [run[key] for run in runs]
            bars.append((f"{NAMES[peer]}, {label}", statistics.median(values), min(values), max(values)))
    scale = 420 / max(most for *_, most in bars)
    height = 34 * len(bars) + 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" font-family="sans-serif" font-size="14">',
           '<rect width="100%" height="100%" fill="#fff"/>',
           '<text x="12" y="24" font-weight="bold">Server CPU per delivery, µs (median; line: least to most)</text>']
    for index, (label, median, least, most) in enumerate(bars):
        y = 44 + 34 * index
        colour = "#1f6f5c" if label.startswith("Bellhop") else "#9aa5b1"
        middle = y + 11
        out += [f'<text x="12" y="{y + 16}">{label}</text>',
                f'<rect x="210" y="{y}" width="{median * scale:.1f}" height="22" fill="{colour}"/>',
                f'<path d="M{210 + least * scale:.1f} {middle}H{210 + most * scale:.1f}" stroke="#222" stroke-width="2"/>',
                f'<text x="{218 + most * scale:.1f}" y="{y + 16}">{median:.1f}</text>']
    return "\n".join(out + ["</svg>"])


def command(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def page(rounds, sockets, events, folder, peers):
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())
    Path("docs/benchmarks.svg").write_text(plot(folder, peers) + "\n")
    return f"""# Benchmarks

One room of {sockets} members on one machine, server and client on the same cores: {events} events at 5 a second, then
{events} in a burst. Medians of {rounds} alternating rounds. Every socket is checked for every event, once and in order.
The hub commits each event to SQLite with full durability before it is sent; the peers keep nothing.

{table(folder, peers)}

![Server CPU per delivery](benchmarks.svg)

Machine: {cpu}, {len(__import__("os").sched_getaffinity(0))} cores, Linux {platform.release()}. Commit {command("git", "rev-parse", "--short", "HEAD")}.
Memory is the growth of resident memory over the second half of the sockets. Absolute figures differ from machine to machine
and from hour to hour; the rows of one run can be compared.

Again, with `--write` to replace this page:

```sh
load-tests/peers/run --rounds {rounds} --sockets {sockets}
```"""


if __name__ == "__main__":
    if sys.argv[1] == "--page":
        rounds, sockets, events, folder, *peers = sys.argv[2:]
        print(page(rounds, sockets, events, folder, peers))
    else:
        print(table(sys.argv[1], sys.argv[2:]))
