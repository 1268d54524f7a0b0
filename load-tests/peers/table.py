"""Medians of several rounds, and which bounds hold, as Markdown; with --page docs/benchmarks.md and its plot. Exits
with 1 when a bound does not hold."""

import json
import os
import platform
import statistics
import sys
from pathlib import Path

NAMES = {"bellhop": "Bellhop (SQLite)", "nchan": "nchan", "ws": "Node ws"}
IDLE = [("connects_per_s", "opened a second", "{:.0f}"), ("kib_per_idle_socket", "KiB per idle socket", "{:.2f}")]
ROOM = [
    ("paced_cpu_us", "CPU µs per delivery, at 5 a second", "{:.2f}"),
    ("burst_cpu_us", "in a burst", "{:.2f}"),
    ("burst_deliveries_per_s", "deliveries a second in a burst", "{:.0f}"),
    ("p50_ms", "p50 ms", "{:.1f}"),
    ("p99_ms", "p99 ms", "{:.1f}"),
    ("max_ms", "most ms", "{:.1f}"),
]


class Runs:
    """What the load client printed, round by round."""

    def __init__(self, folder, rounds, peers):
        self.peers = peers
        self.of = {}
        for name in [*(f"{peer}.{kind}" for peer in peers for kind in ("idle", "room")), "stated"]:
            path = Path(folder, f"{name}.jsonl")
            self.of[name] = [json.loads(line) for line in path.read_text().splitlines()]
            # A round without a figure is one that failed; the others' median would hide it.
            if len(self.of[name]) != rounds:
                sys.exit(f"{name}: {len(self.of[name])} of {rounds} rounds came to a figure")

    def values(self, name, key):
        return [run[key] for run in self.of[name]]

    def median(self, name, key):
        return statistics.median(self.values(name, key))

    def ratio(self, kind, key):
        """The median over the rounds of the hub's figure by nchan's of the same round."""
        pairs = zip(self.values(f"bellhop.{kind}", key), self.values(f"nchan.{kind}", key))
        return statistics.median(ours / theirs for ours, theirs in pairs)


def bounds(runs):
    """What is bounded, what it came to, the bound, whether it holds."""
    kib = runs.median("bellhop.idle", "kib_per_idle_socket")
    # Nothing at all would be no measurement.
    yield "memory of an idle authenticated socket", f"{kib:.2f} KiB", "≤ 6 KiB", 0 < kib <= 6
    if "nchan" in runs.peers:
        opened = runs.ratio("idle", "connects_per_s")
        yield "sockets opened a second, by nchan's", f"{opened:.2f}", "≥ 0.50", opened >= 0.5
        for key, what in (("paced_cpu_us", "at 5 a second"), ("burst_cpu_us", "in a burst")):
            ratio = runs.ratio("room", key)
            yield f"server CPU per delivery {what}, by nchan's", f"{ratio:.2f}", "≤ 1.05", ratio <= 1.05
        for key, what in (("p50_ms", "p50"), ("p99_ms", "p99")):
            ours, theirs = runs.median("bellhop.room", key), runs.median("nchan.room", key)
            yield f"{what} at 5 a second, no later than nchan's", f"{ours:.1f} ms", f"≤ {theirs:.1f} ms", ours <= theirs
    p50 = runs.median("bellhop.room", "p50_ms")
    yield "p50 at 5 a second", f"{p50:.1f} ms", "< 30 ms", p50 < 30
    stated = runs.median("stated", "p99_ms")
    yield "p99 of the stated load", f"{stated:.1f} ms", "≤ 50 ms", stated <= 50
    names = ("bellhop.room", "stated")
    keys = ("events_missed", "out_of_order", "repeated_on_the_wire")
    wrong = sum(sum(runs.values(name, key)) for name in names for key in keys)
    yield "events missed, repeated or out of order", f"{wrong}", "0", wrong == 0
    for peer in runs.peers[1:]:
        # Against one that lost events there is nothing to compare.
        lost = sum(sum(runs.values(f"{peer}.room", key)) for key in keys[:2])
        yield f"events missed or out of order with {NAMES[peer]}", f"{lost}", "0", lost == 0


def bounds_table(runs):
    lines = ["| | measured | bound | |", "| --- | ---: | ---: | --- |"]
    for what, measured, bound, holds in bounds(runs):
        lines.append(f"| {what} | {measured} | {bound} | {'holds' if holds else '**does not hold**'} |")
    return "\n".join(lines)


def table(runs, kind, columns):
    lines = ["| | " + " | ".join(title for _, title, _ in columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for peer in runs.peers:
        cells = [form.format(runs.median(f"{peer}.{kind}", key)) for key, _, form in columns]
        lines.append(f"| {NAMES[peer]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def stated_line(runs):
    run = runs.of["stated"][0]
    cells = {key: runs.median("stated", key) for key in ("paced_deliveries_per_s", "p50_ms", "p99_ms", "max_ms")}
    put_off = sum(runs.values("stated", "put_off"))
    again = f" In all rounds the publisher was told {put_off} times to come again, which counts." if put_off else ""
    return (
        f"{run['sockets']} sockets in {run['rooms']} rooms, 500 events a second with messages of 200 to 500 bytes, "
        f"{cells['paced_deliveries_per_s']:.0f} deliveries a second:\n"
        f"p50 {cells['p50_ms']:.1f} ms, p99 {cells['p99_ms']:.1f} ms, most {cells['max_ms']:.1f} ms from when an event "
        f"was due to be posted to its receipt.{again}"
    )


def plot(runs):
    """CPU of one delivery, a bar for each peer at the pace and in the burst; whiskers are the least and the most."""
    bars = []
    for peer in runs.peers:
        for key, label in [("paced_cpu_us", "paced"), ("burst_cpu_us", "burst")]:
            values = runs.values(f"{peer}.room", key)
            bars.append((f"{NAMES[peer]}, {label}", statistics.median(values), min(values), max(values)))
    scale = 420 / max(max(most for *_, most in bars), 0.01)
    height = 34 * len(bars) + 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" '
           'font-family="sans-serif" font-size="14">',
           '<rect width="100%" height="100%" fill="#fff"/>',
           '<text x="12" y="24" font-weight="bold">Server CPU per delivery, µs (median; line: least to most)</text>']
    for index, (label, median, least, most) in enumerate(bars):
        y = 44 + 34 * index
        colour = "#1f6f5c" if label.startswith("Bellhop") else "#9aa5b1"
        middle = y + 11
        out += [f'<text x="12" y="{y + 16}">{label}</text>',
                f'<rect x="210" y="{y}" width="{median * scale:.1f}" height="22" fill="{colour}"/>',
                f'<path d="M{210 + least * scale:.1f} {middle}H{210 + most * scale:.1f}" '
                'stroke="#222" stroke-width="2"/>',
                f'<text x="{218 + most * scale:.1f}" y="{y + 16}">{median:.1f}</text>']
    return "\n".join(out + ["</svg>"])


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())
    # What follows the version names a build, which nobody else has.
    version = platform.release().split("-")[0]
    return f"{len(os.sched_getaffinity(0))} cores, {cpu}, Linux {version}"


def page(runs, again, commit):
    written = Path("docs/benchmarks/soak.md").exists()
    soak = "\n## For an hour\n\n[A mixed load for an hour](benchmarks/soak.md): what levels off.\n" if written else ""
    written = Path("docs/benchmarks/k6.md").exists()
    scenarios = "[k6 against three hubs](benchmarks/k6.md): orders, sockets, a mix, a spike, a soak."
    k6 = f"\n## From outside\n\n{scenarios}\n" if written else ""
    idle, room = runs.of["bellhop.idle"][0]["sockets"], runs.of["bellhop.room"][0]["sockets"]
    return f"""# Benchmarks

Server and load client on the same cores of one machine; hub and peers take turns, every measurement with a fresh
server. Tables show medians of the rounds (of each: {len(runs.of["stated"])}), ratios are medians of the rounds'
ratios. Every socket is checked for every event, once and in order. The hub authenticates each socket and commits each
event to SQLite with full durability before it is sent; the peers do neither.

{bounds_table(runs)}

## {idle} idle sockets

{table(runs, "idle", IDLE)}

Memory is the growth of resident memory from the server's start, signing in included, divided by the sockets.

## One room of {room}

Events of some 700 bytes with their envelope at 5 a second, then in a burst. Latency is from when an event was due to
be posted to its receipt, at 5 a second; CPU is the server's, publishing included.

{table(runs, "room", ROOM)}

![Server CPU per delivery](benchmarks.svg)

## The stated load

{stated_line(runs)}
{soak}{k6}
## How

{machine()}. Commit {commit}. Absolute figures differ from machine to machine
and from hour to hour; the rows of one run can be compared. Again, replacing this page:
`{again}`.
"""


def main(arguments):
    again = None
    if arguments[0] == "--page":
        again, commit, arguments = arguments[1], arguments[2], arguments[3:]
    runs = Runs(arguments[0], int(arguments[1]), arguments[2:])
    if again:
        Path("docs/benchmarks.md").write_text(page(runs, again, commit))
        Path("docs/benchmarks.svg").write_text(plot(runs) + "\n")
        print("== wrote docs/benchmarks.md and docs/benchmarks.svg", file=sys.stderr)
    print(bounds_table(runs), table(runs, "idle", IDLE), table(runs, "room", ROOM), stated_line(runs), sep="\n\n")
    return 0 if all(holds for *_, holds in bounds(runs)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
