"""Says whether each bound of load-tests/slow-reader/run holds; exits with 1 when one does not."""

import json
import statistics
import sys
from pathlib import Path

# The hub's sessions.outbox_bytes unless set otherwise.
OUTBOX_KIB = 256


def rounds(folder, name):
    return [json.loads(line) for line in Path(folder, f"{name}.jsonl").read_text().splitlines()]


def rows(folder):
    """What is measured, what it came to, the bound, whether it holds."""
    reading, stalled, (many,) = (rounds(folder, name) for name in ("reading", "stalled", "many"))
    ratio = statistics.median(with_it["p99_ms"] / without["p99_ms"] for without, with_it in zip(reading, stalled))
    yield "p99 of the others, with one that stalls / without", f"{ratio:.2f}", "≤ 1.50", ratio <= 1.5
    keys = ("events_missed", "out_of_order", "repeated_on_the_wire")
    wrong = sum(run[key] for run in [*reading, *stalled, many] for key in keys)
    yield "events missed, repeated or out of order for the others", f"{wrong}", "0", wrong == 0
    for what, runs in (("one stalls", stalled), ("forty stall", [many])):
        stopped = sum(run["stalled"] for run in runs)
        closed = sum(run["closed_as_too_slow"] for run in runs)
        yield f"{what}: closed as too slow, by the metric", f"{closed} of {stopped}", "all", closed == stopped > 0
        kept = sum(run["descriptors_kept"] for run in runs)
        yield f"{what}: descriptors kept", f"{kept}", "0", kept <= 0
    base = statistics.median(run["grown_kib"] for run in reading)
    each = (many["grown_kib"] - base) / many["stalled"]
    yield "memory of each that stalls", f"{each:.0f} KiB", f"≤ {OUTBOX_KIB} KiB", each <= OUTBOX_KIB
    claim = json.loads(Path(folder, "claim.json").read_text())
    refused = f"{claim['refused']} of {claim['claims']}"
    yield "frames that claim 256 MiB: closed with 1009", refused, "all", claim["refused"] == claim["claims"] > 0
    grown = claim["grown_kib"]
    yield "frames that claim 256 MiB: memory of all", f"{grown} KiB", "< 1024 KiB", grown < 1024
    if Path(folder, "vanish.json").exists():
        vanish = json.loads(Path(folder, "vanish.json").read_text())
        seconds, held = vanish["seconds"], vanish["descriptors_open"] - vanish["descriptors_before"]
        took = "never" if seconds is None else f"{seconds:.1f} s"
        holds = seconds is not None and seconds <= 45 and held >= 20
        yield f"{held} descriptors of peers that vanished: free after", took, "≤ 45 s", holds


def main(folder):
    print("| | measured | bound | |\n| --- | ---: | ---: | --- |")
    outcome = list(rows(folder))
    for what, measured, bound, holds in outcome:
        print(f"| {what} | {measured} | {bound} | {'holds' if holds else '**does not hold**'} |")
    return 0 if all(holds for *_, holds in outcome) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
