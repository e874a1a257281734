"""Every black-box attack on the original study's seven rows: margin and SNR against queries, one table, one figure.

    python bench/blackbox.py STUDY                       # all of it: hours on two cores, so it can be resumed
    python bench/blackbox.py STUDY --attacks guided square --rows 1 4 --jobs 2
    python bench/blackbox.py STUDY --draw                # the table and the figure again, from what is there

STUDY is the folder that `subterfuge data seed-study` fills. The searches see scores (hopskipjump and noise: labels) of
librosa and scikit-learn, or, with --quick, of the twin in torch, which answers the same within 1e-5 in a tenth of the
time; every win is judged on its written file by librosa and scikit-learn. Results go to bench/out/blackbox: a record
for each job, table.md and figure.png. A job whose record is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from study import ROWS

BUDGETS = {
    "noise": 5000,
    "study-ga": 2300,
    "genetic": 2300,
    "evolution": 5000,
    "nes": 5000,
    "square": 5000,
    "guided": 5000,
    "substitute": 2000,
    "hopskipjump": 10000,
}
"""Attacks, and the queries that each may ask about a clip."""
WHITE_NOISE_DB = (22, 24, 36, None, None, None, 50)
"""White noise that flips each row, rising in steps of 2 dB."""
CONTROLS = 50
"""Draws of each kind of noise after a win."""
MARKS = (100, 300, 1000, 2300, 5000, 10000)


def job(study: str, attack: str, row: int, seed: int, queries: int, folder: str, quick: bool) -> dict[str, Any]:
    import torch

    from subterfuge.attacks import make_attack
    from subterfuge.driver import attack as run
    from subterfuge.driver.controls import control
    from subterfuge.threat import Budget, Targeted, Threat
    from subterfuge.victims import load_victim

    torch.set_num_threads(1)
    source, target = ROWS[row - 1]
    victim = load_victim(Path(study) / "tuned.toml")
    on = victim.twin if quick else victim
    clip = next(path for path in sorted((Path(study) / "clips").iterdir()) if f"[{source}]" in path.name)
    threat = Threat(Targeted(target), budget=Budget(queries=queries))
    with tempfile.TemporaryDirectory() as made:
        outcome = run(clip, victim, threat, seed, by=make_attack(attack), out=f"{made}/", on=on)
        controls = control(outcome.as_json(), victim, draws=CONTROLS).as_json() if outcome.won else None
    record = {"row": row, "source": source, **outcome.as_json(), "controls": controls}
    path = record_of(Path(folder), attack, row, seed)
    hidden = path.with_suffix(".part")
    hidden.write_text(json.dumps(record))
    os.replace(hidden, path)
    return record


def record_of(folder: Path, attack: str, row: int, seed: int) -> Path:
    return folder / f"{attack}-{row}-{seed}.json"


def wins(record: dict[str, Any]) -> list[tuple[int, float]]:
    """Give queries and SNR of each better win of the search."""
    best, found = -math.inf, []
    for step in record["history"]:
        if step["margin"] > 0 and step["snr_db"] is not None and step["snr_db"] > best:
            best = step["snr_db"]
            found.append((step["queries"], best))
    return found


def at(record: dict[str, Any], queries: int) -> float | None:
    return max((snr_db for spent, snr_db in wins(record) if spent <= queries), default=None)


def table(records: list[dict[str, Any]]) -> str:
    lines = [
        "| attack | queries | rows won on file | SNR of the file, dB, rows 1 to 7 | median dB | first win, queries |"
        " won within 1,000 |",
        "|---|---|---|---|---|---|---|",
    ]
    for attack in BUDGETS:
        mine = {one["row"]: one for one in records if one["attack"] == attack}
        if not mine:
            continue
        levels = [mine[row]["snr_db"] if row in mine and mine[row]["won"] else None for row in range(1, 8)]
        firsts = [next((spent for spent, _ in wins(one)), None) for _, one in sorted(mine.items())]
        soon = sum(first is not None and first <= 1000 for first in firsts)
        won = [level for level in levels if level is not None]
        median = f"{statistics.median(won):.1f}" if won else "-"
        lines.append(
            f"| {attack} | {max(one['queries'] for one in mine.values())} | {len(won)} of {len(mine)} | "
            + ", ".join("-" if level is None else f"{level:.1f}" for level in levels)
            + f" | {median} | "
            + ", ".join("-" if first is None else str(first) for first in firsts)
            + f" | {soon} |"
        )
    lines.append(
        "| white noise alone | | | " + ", ".join("-" if x is None else str(x) for x in WHITE_NOISE_DB) + " | | | |"
    )
    return "\n".join(lines) + "\n"


def marks(records: list[dict[str, Any]]) -> str:
    lines = ["| attack | " + " | ".join(f"{mark:,} queries" for mark in MARKS) + " |", "|---" * (len(MARKS) + 1) + "|"]
    for attack, budget in BUDGETS.items():
        mine = [one for one in records if one["attack"] == attack]
        if not mine:
            continue
        columns = []
        for mark in MARKS:
            levels = [at(one, mark) for one in mine]
            won = [level for level in levels if level is not None]
            median = f", {statistics.median(won):.1f} dB" if won else ""
            columns.append("" if mark > budget and mark > 2300 else f"{len(won)}{median}")
        lines.append(f"| {attack} | " + " | ".join(columns) + " |")
    return "Rows won by the search, and their median SNR:\n\n" + "\n".join(lines) + "\n"


def controls(records: list[dict[str, Any]]) -> str:
    lines = [
        "| attack | files | P(target) rises by | shuffled | random phase | white noise | noise that does as much |",
        "|---|---|---|---|---|---|---|",
    ]
    for attack in BUDGETS:
        mine = [one["controls"] for one in records if one["attack"] == attack and one.get("controls")]
        if not mine:
            continue
        kinds = [
            statistics.mean(one["kinds"][kind]["rise"]["mean"] for one in mine)
            for kind in ("shuffled in time", "random phase", "white noise")
        ]
        good = sum(draws["as_good"] for one in mine for draws in one["kinds"].values())
        total = sum(draws["draws"] for one in mine for draws in one["kinds"].values())
        rise = statistics.mean(one["rise"] for one in mine)
        lines.append(
            f"| {attack} | {len(mine)} | {rise:+.3f} | "
            + " | ".join(f"{kind:+.3f}" for kind in kinds)
            + f" | {good} of {total} |"
        )
    return (
        "What the same change does, robbed of what it knows (means over the files won):\n\n" + "\n".join(lines) + "\n"
    )


def figure(records: list[dict[str, Any]], to: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [attack for attack in BUDGETS if any(one["attack"] == attack for one in records)]
    colours = plt.get_cmap("tab10")
    axes = plt.figure(figsize=(15, 11), layout="constrained").subplots(4, 4, sharex=True)
    for row in range(1, 8):
        above, below = axes[2 * ((row - 1) // 4)][(row - 1) % 4], axes[2 * ((row - 1) // 4) + 1][(row - 1) % 4]
        source, target = ROWS[row - 1]
        above.set_title(f"row {row}: {source} -> {target}")
        for attack in shown:
            for one in records:
                if one["attack"] != attack or one["row"] != row:
                    continue
                colour = colours(list(BUDGETS).index(attack) % 10)
                points = wins(one)
                if points:
                    x, y = [spent for spent, _ in points], [snr_db for _, snr_db in points]
                    above.step([*x, one["queries"]], [*y, y[-1]], where="post", color=colour, label=attack)
                steps = [(step["queries"], min(step["margin"], 0.05)) for step in one["history"]]
                first = next((place for place, step in enumerate(steps) if step[1] > 0), len(steps) - 1)
                lost = steps[: first + 1]
                below.step([q for q, _ in lost], [m for _, m in lost], where="post", color=colour, label=attack)
        level = WHITE_NOISE_DB[row - 1]
        if level is not None:
            above.axhline(level, color="grey", linestyle=":", linewidth=1)
        above.set_ylim(0, 62)
        below.axhline(0, color="grey", linewidth=0.5)
        above.set_xscale("log")
        if row in (1, 5):
            above.set_ylabel("SNR of the quietest win, dB")
            below.set_ylabel("best margin until the first win")
        below.set_xlabel("queries")
    for place in (2, 3):
        axes[place][3].axis("off")
    handles = {}
    for axis in axes.flat:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    axes[2][3].legend(handles.values(), handles.keys(), loc="center", title="dotted: white noise alone")
    axes[0][0].figure.savefig(to, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--attacks", nargs="+", choices=list(BUDGETS), default=list(BUDGETS))
    parser.add_argument("--rows", nargs="+", type=int, choices=range(1, 8), default=list(range(1, 8)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="search on the twin's scores")
    parser.add_argument("--draw", action="store_true", help="run nothing")
    parser.add_argument("--out", default="bench/out/blackbox")
    args = parser.parse_args()
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    wanted = [
        (attack, row)
        for attack in sorted(args.attacks, key=lambda name: -BUDGETS[name])
        for row in args.rows
        if not args.draw and not record_of(folder, attack, row, args.seed).exists()
    ]
    with ProcessPoolExecutor(args.jobs) as pool:
        futures = {
            pool.submit(job, args.study, attack, row, args.seed, BUDGETS[attack], str(folder), args.quick): (
                attack,
                row,
            )
            for attack, row in wanted
        }
        for done, future in enumerate(as_completed(futures), 1):
            attack, row = futures[future]
            one = future.result()
            level = f"{one['snr_db']:.1f} dB" if one["won"] else "lost"
            print(
                f"{done} of {len(futures)}: {attack} row {row}: {level}, {one['queries']} queries, "
                f"{one['seconds']:.0f} s ({time.monotonic() - began:.0f} s in all)",
                flush=True,
            )
    records = [json.loads(path.read_text()) for path in sorted(folder.glob(f"*-{args.seed}.json"))]
    text = "\n".join([table(records), marks(records), controls(records)])
    (folder / "table.md").write_text(text)
    print(text)
    figure(records, folder / "figure.png")
    print(f"{folder}/table.md, {folder}/figure.png")


if __name__ == "__main__":
    main()
