"""Figures of one run of load-tests/orders/run as text, and which bounds hold; with --page the section
docs/benchmarks/orders.md and its plot; with --capacity only the orders a second that the overload is measured by. Exits
with 1 when a bound does not hold."""

import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

SHARE_OF_PGBENCH = 0.5
READS_PER_S = 5000
MEMORY_MIB = 512
RECOVERED_S = 10


def lines_of(folder, name):
    return [json.loads(line) for line in Path(folder, name).read_text().splitlines()]


def median(rounds, key):
    return statistics.median(entry[key] for entry in rounds)


def maybe(folder, name):
    path = Path(folder, name)
    return json.loads(path.read_text()) if path.exists() else None


def capacity(folder):
    return round(max(entry["per_s"] for entry in lines_of(folder, "capacity.jsonl")))


def spread(rounds):
    values = [entry["per_s"] for entry in rounds]
    return f"{min(values):.0f} to {max(values):.0f}"


def share_of_pgbench(hub, pgbench):
    """The median over the rounds of the hub's rate by pgbench's of the same round."""
    return statistics.median(ours["per_s"] / theirs["per_s"] for ours, theirs in zip(hub, pgbench, strict=True))


def wrong_answers(rounds):
    return sum(sum(entry["others"].values()) + entry["refused"] for entry in rounds)


def bounds(folder):
    """What is bounded, what it came to, the bound, whether it holds."""
    hub, pgbench, read = (lines_of(folder, f"{name}.jsonl") for name in ("hub", "pgbench", "read"))
    share, reads, wrong = share_of_pgbench(hub, pgbench), median(read, "per_s"), wrong_answers(hub + read)
    yield "orders a second, by pgbench's", f"{share:.2f}", f"≥ {SHARE_OF_PGBENCH}", share >= SHARE_OF_PGBENCH
    yield "orders read a second", f"{reads:.0f}", f"≥ {READS_PER_S}", reads >= READS_PER_S
    yield "answers other than wanted", f"{wrong}", "0", wrong == 0
    if report := maybe(folder, "overload.json"):
        goodput, again = report["goodput"], report["recovered_after_s"]
        phases = [report[key] for key in ("before", "overload", "after")]
        without, others = (sum(phase["refusals_without_advice"] for phase in phases),
                           sum(sum(phase["others"].values()) for phase in phases))
        peak = report["rss_peak_kib"] / 1024
        yield "goodput in the overload, by the capacity", f"{goodput:.0%}", "≥ 80 %", goodput >= 0.8
        yield "refusals without Retry-After", f"{without}", "0", without == 0
        yield "answers in it that are neither orders nor refusals", f"{others}", "0", others == 0
        # Nothing at all would be no measurement.
        yield "memory at most", f"{peak:.0f} MiB", f"≤ {MEMORY_MIB} MiB", 0 < peak <= MEMORY_MIB
        yield ("normal again after", "not within the run" if again is None else f"{again} s", f"≤ {RECOVERED_S} s",
               again is not None and again <= RECOVERED_S)
    if report := maybe(folder, "login-flood.json"):
        allowed = max(1, len(os.sched_getaffinity(0)) // 2)
        ratio, peak, flood = report["p99_ratio"], report["hashes_peak"], report["sign_ins"]
        yield "p99 of orders beside a flood of sign-ins, by that without", f"{ratio:.2f}", "≤ 3", 0 < ratio <= 3
        yield "password hashes at once", f"{peak:.0f}", f"1 to {allowed}", 1 <= peak <= allowed
        yield "sign-ins told to come again", f"{flood['refused']}", "> 0: it was a flood", flood["refused"] > 0


def bounds_table(folder):
    lines = ["| | measured | bound | |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {what} | {measured} | {bound} | {'holds' if holds else '**does not hold**'} |"
              for what, measured, bound, holds in bounds(folder)]
    return "\n".join(lines)


def rates(folder):
    hub, pgbench, read = (lines_of(folder, f"{name}.jsonl") for name in ("hub", "pgbench", "read"))
    ratio = share_of_pgbench(hub, pgbench)
    rows = [
        ("`POST /orders`, 32 clients", hub, f"{median(hub, 'p50_ms'):.1f}", f"{median(hub, 'p99_ms'):.1f}"),
        ("`pgbench -M prepared`, 32 clients", pgbench, "", ""),
        ("`GET /orders/{id}`, 32 clients", read, f"{median(read, 'p50_ms'):.1f}", f"{median(read, 'p99_ms'):.1f}"),
    ]
    out = ["| | a second | least to most | p50 ms | p99 ms |", "| --- | ---: | ---: | ---: | ---: |"]
    out += [f"| {title} | {median(rounds, 'per_s'):.0f} | {spread(rounds)} | {p50} | {p99} |"
            for title, rounds, p50, p99 in rows]
    wrong = wrong_answers(hub + read)
    out += ["", f"The hub places **{ratio:.2f}** times the orders of pgbench (wanted: {SHARE_OF_PGBENCH} or more) and "
            f"answers {median(read, 'per_s'):.0f} reads a second (wanted: {READS_PER_S} or more). CPU of the hub: "
            f"{median(hub, 'cpu_us'):.0f} µs an order, {median(read, 'cpu_us'):.0f} µs a read of one of "
            f"{read[0]['different']} orders. Answers other than wanted: {wrong}."]
    return "\n".join(out)


def overload(report):
    plan, before, during, after = (report[key] for key in ("plan", "before", "overload", "after"))
    again = report["recovered_after_s"]
    again = "not within the run" if again is None else f"{again} s"
    seconds = f"{plan['seconds']} s at {plan['factor']:g}× capacity"
    out = ["| | placed /s | p50 ms | p99 ms | refused | without Retry-After | other | unsent |",
           "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for title, phase in [("before", before), (seconds, during), ("after", after)]:
        out.append(f"| {title} | {phase['per_s']:.0f} | {phase['p50_ms']:.1f} | {phase['p99_ms']:.1f} | {phase['refused']} "
                   f"| {phase['refusals_without_advice']} | {sum(phase['others'].values())} | {phase['unsent']} |")
    out += ["", f"Capacity {plan['capacity']:.0f} a second. Goodput {report['goodput']:.0%} of it (wanted: 80 % or more), "
            f"{report['worst_second']:.0%} in the worst second. Memory {report['rss_before_kib'] / 1024:.0f} MiB before, "
            f"{report['rss_peak_kib'] / 1024:.0f} MiB at most. Normal again after: {again} (wanted: 10 s or less)."]
    return "\n".join(out)


def flood(report):
    plan, without, beside, sign_ins = (report[key] for key in ("plan", "without", "with", "sign_ins"))
    out = ["| | placed /s | p50 ms | p99 ms | max ms | refused |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for title, phase in [("alone", without), (f"beside {plan['logins']} clients that sign in", beside)]:
        out.append(f"| {title} | {phase['per_s']:.0f} | {phase['p50_ms']:.1f} | {phase['p99_ms']:.1f} "
                   f"| {phase['max_ms']:.1f} | {phase['refused']} |")
    out += ["", f"p99 is **{report['p99_ratio']:.2f}** times as long beside the flood (wanted: 3 or less). At most "
            f"{report['hashes_peak']:.0f} password hashes ran at once; {sign_ins['per_s']:.0f} sign-ins a second were "
            f"answered, {sign_ins['refused']} were told to come again."]
    return "\n".join(out)


def plot(report):
    """What became of the orders in each second: placed as an area, refused as a line above."""
    seconds = report["seconds"]
    around, length = report["plan"]["around"], report["plan"]["seconds"]
    most = max(second["placed"] + second["refused"] + second["others"] for second in seconds)
    width, height, left, top = 620, 220, 70, 40

    def at(index, value):
        return f"{left + width * index / len(seconds):.1f},{top + height * (1 - value / most):.1f}"

    def line(value):
        return " ".join(at(index + 0.5, value(second)) for index, second in enumerate(seconds))

    floor = f"{at(len(seconds) - 0.5, 0)} {at(0.5, 0)}"
    placed = line(lambda second: second["placed"])
    refused = line(lambda second: second["refused"])
    begin, end = (left + width * moment / len(seconds) for moment in (around, around + length))
    wanted = top + height * (1 - 0.8 * report["plan"]["capacity"] / most)
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 310" font-family="sans-serif" font-size="14">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        '<text x="12" y="24" font-weight="bold">Orders a second: placed (green), refused (grey)</text>',
        f'<rect x="{begin:.1f}" y="{top}" width="{end - begin:.1f}" height="{height}" fill="#f3efe6"/>',
        f'<polygon points="{placed} {floor}" fill="#1f6f5c"/>',
        f'<polyline points="{refused}" fill="none" stroke="#7b8794" stroke-width="2"/>',
        f'<path d="M{left} {wanted:.1f}H{left + width}" stroke="#222" stroke-dasharray="5 4"/>',
        f'<text x="{left - 8}" y="{wanted + 5:.1f}" text-anchor="end">80 %</text>',
        f'<text x="{left - 8}" y="{top + 5}" text-anchor="end">{most}</text>',
        f'<text x="{left - 8}" y="{top + height}" text-anchor="end">0</text>',
        f'<text x="{left}" y="{top + height + 22}">0 s</text>',
        f'<text x="{begin:.1f}" y="{top + height + 22}" text-anchor="middle">{around}</text>',
        f'<text x="{end:.1f}" y="{top + height + 22}" text-anchor="middle">{around + length}</text>',
        f'<text x="{left + width}" y="{top + height + 22}" text-anchor="end">{len(seconds)} s</text>',
        "</svg>",
    ])


def parts(folder):
    yield "Orders", rates(folder)
    if report := maybe(folder, "overload.json"):
        yield "Overload", overload(report)
    if report := maybe(folder, "login-flood.json"):
        yield "A flood of sign-ins", flood(report)


def command(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def page(folder, rounds, seconds, commit):
    text = dict(parts(folder))
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())
    plan = maybe(folder, "overload.json")["plan"]
    logins = maybe(folder, "login-flood.json")["plan"]
    return f"""# Benchmarks: orders

Hub, Postgres and clients share one machine. Postgres commits durably (`fsync` and `synchronous_commit` on). 100 businesses with
menus of 20 items; an order has two of them, a customer with a phone, an address, and an idempotency key of its own. The hub runs
as shipped, its limits switched off.

{bounds_table(folder)}

## Orders

{text["Orders"]}

`pgbench` writes the rows of one order (order, lines, log, notification, events of both rooms with their numbers, kept answer) in
one transaction of its own, without HTTP, checks, encryption or sockets. Medians of {rounds} rounds of {seconds} s, hub and pgbench in turn
on the same database.

## Overload

{text["Overload"]}

Orders come by a schedule that does not wait for answers, at most {plan["bound"]} under way; latency counts from the moment an order was
due. Before and after it is {plan["normal"]:.0%} of the capacity. Normal again means three seconds in a row without refusals and with a p99 of at
most one and a half times the worst second before.

![Orders a second before, in and after the overload](orders.svg)

## A flood of sign-ins

{text["A flood of sign-ins"]}

Orders come at {logins["pace"]:g} a second, {logins["rounds"]} times {logins["seconds"]} s alone and beside the flood, which comes again 10 ms after each refusal.

Machine: {cpu}, {len(os.sched_getaffinity(0))} cores, Linux {platform.release().split("-")[0]}, {command("psql", "--version")}. Commit \
{commit}. Absolute figures differ from machine to machine and from hour to hour; the rows of one run can be
compared.

Again, with `--write` to replace this page:

```sh
load-tests/orders/run --rounds {rounds} --seconds {seconds} --overload --login-flood
```
"""


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--capacity", folder]:
            print(capacity(folder))
        case ["--page", folder, rounds, seconds, commit]:
            Path("docs/benchmarks").mkdir(exist_ok=True)
            Path("docs/benchmarks/orders.svg").write_text(plot(maybe(folder, "overload.json")) + "\n")
            Path("docs/benchmarks/orders.md").write_text(page(folder, rounds, seconds, commit))
        case [folder]:
            print(bounds_table(folder), *(f"{title}\n\n{text}" for title, text in parts(folder)), sep="\n\n")
            sys.exit(0 if all(holds for *_, holds in bounds(folder)) else 1)
        case _:
            sys.exit(__doc__)
