"""What the original study's two defences are worth: its table of before and after, attacked by one who knows them.

    python bench/defences_of_study.py STUDY                      # half an hour or so on one core
    python bench/defences_of_study.py STUDY --goals targeted --only flu-tru cel-pia
    python bench/defences_of_study.py STUDY --show               # the tables of what is in bench/out already

STUDY is the folder that `subterfuge data seed-study` fills: the study's victim (tuned), the one trained with noise
(noisy), and the one that denoises every sound with noisereduce (denoise). On each of the seven rows they are attacked
white box by `quietest`, for the answer and for a probability of 0.9; the written file is judged by the true victim. The
denoising one is attacked twice, through the filter's own gradient (adaptive) and as if the filter did nothing (blind).
Last, the files that fooled the tuned victim are played to the other two (transfer). What is found goes to
bench/out/defences-of-study.json row by row, and a run that was broken off goes on where it stood.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

ROWS = ["flu-tru", "tru-flu", "cel-pia", "cel-gel", "cel-vio", "voi-cel", "voi-voi"]
ARMS = [("tuned", "adaptive"), ("noisy", "adaptive"), ("denoise", "adaptive"), ("denoise", "blind")]
STUDY_P = {
    "tuned": [13.8, 25.1, 34.7, 9, 68.6, 1.3, 88.6],
    "noisy": [14, 16, 65, 20, 77, 1.9, 86],
    "denoise": [9.5, 4.5, 81.3, 0.5, 22, 65.4, 10],
}
"""The study's own P(wanted) in percent after a fresh black-box attack on each, on files some 4 dB below their clips."""
Found = dict[str, dict[str, Any]]


def attacked(study: Path, model: str, way: str, row: str, goal: str, keep: Path, seed: int) -> dict[str, Any]:
    """Attack one victim on one row; the file, if it won, stays in `keep`."""
    from subterfuge.driver import attack
    from subterfuge.threat import Threat, parse_goal
    from subterfuge.victims import load_victim
    from subterfuge.victims.sklearn import SklearnTwin

    victim = load_victim(study / f"{model}.toml")
    source, target = row.split("-")
    on = None
    if way == "blind":
        assert isinstance(victim.twin, SklearnTwin)
        on = victim.twin.straight_through()
    threat = Threat(parse_goal(None if goal == "targeted" else goal, target))
    folder = keep / model / way / goal
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{row}.wav"
    outcome = attack(clip_of(study, source), victim, threat, seed, by="quietest", on=on, out=out, force=True)
    record = outcome.as_json()
    kept = ("won", "already", "predicted_before", "predicted", "probability", "snr_db", "zimtohrli_mos", "control")
    return {**{key: record[key] for key in (*kept, "gradients", "seconds")}, "file": str(out) if outcome.won else None}


def clip_of(study: Path, source: str) -> Path:
    return next(path for path in sorted((study / "clips").iterdir()) if f"[{source}]" in path.name)


def transferred(study: Path, model: str, row: str, file: str) -> dict[str, Any]:
    """Ask another victim about a file that fooled the tuned one."""
    import numpy as np
    import torch

    from subterfuge.audio import Clip
    from subterfuge.victims import load_victim

    victim = load_victim(study / f"{model}.toml")
    source, target = row.split("-")
    waves = [Clip.read(path).mono(victim.sample_rate) for path in (clip_of(study, source), Path(file))]
    heard = torch.from_numpy(np.stack(waves))
    before, said = (victim.labels[int(each)] for each in victim.decide(heard))
    chances = victim.probabilities(heard)
    assert chances is not None
    p = float(chances[1, victim.labels.index(target)])
    return {"already": before == target, "predicted": said, "won": said == target, "probability": p}


def cell(one: dict[str, Any] | None) -> str:
    if one is None:
        return "?"
    if one.get("already"):
        return "already"
    p = "" if one["probability"] is None else f"{one['probability']:.1%}"
    if "snr_db" not in one:
        return f"{one['predicted'] if one['won'] else '-'} {p}"
    return f"{p} {one['snr_db']:.1f} dB" if one["won"] and one["snr_db"] is not None else f"lost ({p})"


def show(found: Found, rows: list[str], goals: list[str]) -> None:
    """Print a table for each goal, one column for each arm, and what they add up to."""
    for goal in goals:
        columns = {f"{model} {way}": [found.get(f"{model}/{way}/{goal}/{row}") for row in rows] for model, way in ARMS}
        for model in ("noisy", "denoise"):
            columns[f"tuned's files on {model}"] = [found.get(f"{model}/transfer/{goal}/{row}") for row in rows]
        print(f"\n{goal}: P(target) and SNR of the file")
        print("| row | study P: tuned, noisy, denoise | " + " | ".join(columns) + " |")
        print("|" + "---|" * (len(columns) + 2))
        for place, row in enumerate(rows):
            study = ", ".join(f"{STUDY_P[model][ROWS.index(row)]:g}" for model in STUDY_P)
            print(f"| {row} | {study} | " + " | ".join(cell(column[place]) for column in columns.values()) + " |")
        sums = []
        for column in columns.values():
            met = [one for one in column if one is not None and not one.get("already")]
            levels = [one["snr_db"] for one in met if one["won"] and one.get("snr_db") is not None]
            median = f", median {statistics.median(levels):.1f} dB" if levels else ""
            sums.append(f"{sum(one['won'] for one in met)} of {len(met)}{median}")
        print("| won | | " + " | ".join(sums) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--goals", nargs="+", default=["targeted", "confident=0.9"])
    parser.add_argument("--only", nargs="+", default=ROWS, choices=ROWS, metavar="ROW", help="as flu-tru")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print what was found before, and search for nothing")
    parser.add_argument("--out", type=Path, default=Path("bench/out"))
    args = parser.parse_args()
    store = args.out / "defences-of-study.json"
    found: Found = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}

    def note(key: str, one: dict[str, Any]) -> None:
        found[key] = one
        store.parent.mkdir(parents=True, exist_ok=True)
        store.write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(f"{key}: {cell(one)}", flush=True)

    if not args.show:
        import torch

        torch.set_num_threads(1)
        keep = args.out / "defences-of-study"
        for goal in args.goals:
            for model, way in ARMS:
                for row in args.only:
                    key = f"{model}/{way}/{goal}/{row}"
                    if key not in found:
                        note(key, attacked(args.study, model, way, row, goal, keep, args.seed))
            for model in ("noisy", "denoise"):
                for row in args.only:
                    file = found[f"tuned/adaptive/{goal}/{row}"]["file"]
                    if file is not None:
                        note(f"{model}/transfer/{goal}/{row}", transferred(args.study, model, row, file))
    show(found, args.only, args.goals)


if __name__ == "__main__":
    main()
