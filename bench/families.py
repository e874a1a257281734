"""Every family of classifiers against the same attacks: accuracy, what it takes to fool each, and what carries over.

    subterfuge train CLIPS --model svc --out MODELS      # and the other families, on the same clips
    python bench/families.py MODELS CLIPS                # 20 held-out clips, two targets each

MODELS holds cards with the records of their training; clips are drawn from recordings that none of them heard. Each
attack is white box (on a twin, where the model has no gradients of its own) and judged on the written file by the
true model. Then a change of each case 30 dB below the clip is found on each family and judged by every other, beside
noise of the same level and spectrum. What is finished is kept in bench/out/families; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from subterfuge.campaign.pool import victim_of
from subterfuge.harden import Plan, Strength, accuracy_of, draw_cases, effort_of, matrix, matrix_rows, strength_of
from subterfuge.harden.memory import Memory
from subterfuge.training.datasets import read_dataset

OUT = Path(__file__).resolve().parent / "out" / "families"


def held_out(cards: list[Path]) -> set[str]:
    """Give the recordings that no model heard."""
    records = [json.loads(card.with_suffix(".training.json").read_text(encoding="utf-8")) for card in cards]
    return set.intersection(*(set(record["held_out"]) for record in records))


def row_of(one: Strength, gradients: list[int], seconds: list[float]) -> list[str]:
    clean = one.clean
    low, high = clean["interval"]
    needed = "none" if one.median_snr_db is None else f"{one.median_snr_db:.1f}"
    mos = "" if one.median_mos is None else f"{one.median_mos:.2f}"
    right = f"{100 * clean['accuracy']:.1f} % ({100 * low:.0f} to {100 * high:.0f})"
    spent = f"{sum(gradients) / max(1, len(gradients)):.0f}", f"{sum(seconds) / max(1, len(seconds)):.0f}"
    return [one.name, right, f"{one.won} of {one.asked}", needed, mos, *spent]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path)
    parser.add_argument("clips")
    parser.add_argument("--count", type=int, default=20, help="clips")
    parser.add_argument("--targets", type=int, default=2, help="of each clip")
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--snr", type=float, default=30.0, help="of the changes of the matrix")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()

    cards = [card.absolute() for card in sorted(given.models.glob("*.toml"))]
    kept = held_out(cards)
    data = read_dataset(given.clips)
    fresh = data.only([place for place, one in enumerate(data.examples) if one.group in kept])
    labels = victim_of(cards[0], False).labels
    cases = draw_cases(fresh, labels, given.count, given.targets, 0)
    plan = Plan(cases, effort_of(given.effort), ("targeted",))
    memory = Memory(given.out / "cases.jsonl")
    lines = [
        "| family | clean, by recording | won | median SNR dB | MOS | gradients | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for card in cards:
        clean = accuracy_of(card, fresh.examples, memory=memory, jobs=given.jobs)
        one = strength_of(card, plan, folder=given.out / card.stem, memory=memory, jobs=given.jobs, clean=clean)
        tried = [each.attempts["targeted"] for each in one.faced if "targeted" in each.attempts]
        row = row_of(one, [each.gradients for each in tried], [each.seconds for each in tried])
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    carried = matrix(cards, cases, snr_db=given.snr, jobs=given.jobs)
    head = ("found on \\ judged on", *carried.names)
    lines += ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in matrix_rows(carried)]
    (given.out / "tables.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
