"""One sound for many clips: how many that it never met it sends to a target, beside noise as loud, at four levels.

    python bench/universal.py                         # the embedded victim and its 11 clips
    python bench/universal.py STUDY                   # the original study's first victim and its clips
    python bench/universal.py --clips FOLDER --folds 0   # as many more clips for the embedded victim, a third held out

STUDY is the folder that `subterfuge data seed-study` fills; more clips for its victim may be named with --clips. Every
clip is judged by a sound learned without it, as written and read back, by the true victim. Results go to bench/out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

TARGETS = ("-", "tru", "org", "pia")
"""What the clips are to become; - for anything but what the victim says of them."""
LEVELS_DB = (40, 30, 20, 10)


def job(card: str, clips: list[str], target: str, snr: float, folds: int, steps: int, seed: int) -> dict[str, Any]:
    import torch

    from subterfuge.driver.universal import Climb, Mix, universal
    from subterfuge.threat import parse_goal
    from subterfuge.victims import load_victim

    torch.set_num_threads(1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = universal(
            [Path(one) for one in clips],
            load_victim(card),
            parse_goal(None, None if target == "-" else target),
            mix=Mix(snr_db=snr),
            folds=folds or None,
            how=Climb(steps=steps),
            starts=2,
            draws=3,
            seed=seed,
            out=f"{folder}/",
        )
    return {"row": target, "snr": snr, "took": time.monotonic() - began, **made.as_json()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", nargs="?")
    parser.add_argument("--clips", type=Path, action="append", default=[], help="a sound, or a folder of them")
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--snr", nargs="+", type=float, default=LEVELS_DB)
    parser.add_argument("--folds", type=int, default=4, help="0 for a third of the clips held out")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", default="bench/out")
    args = parser.parse_args()
    from subterfuge.training.demo_data import embedded_card, embedded_clips

    card = embedded_card() if args.study is None else Path(args.study) / "tuned.toml"
    clips = [one for place in args.clips for one in (sorted(place.rglob("*.wav")) if place.is_dir() else [place])]
    if args.study is not None:
        clips = [*sorted((Path(args.study) / "clips").iterdir()), *clips]
    clips = clips or embedded_clips()
    began, records = time.monotonic(), []
    print(
        "goal        SNR dB  clips  unseen met  95 %          anywhere  own spectrum  chance  white noise  chance   s"
    )
    with ProcessPoolExecutor(args.jobs) as pool:
        futures = [
            pool.submit(job, str(card), [str(one) for one in clips], target, snr, args.folds, args.steps, args.seed)
            for target in args.targets
            for snr in args.snr
        ]
        for future in futures:
            one = future.result()
            records.append(one)
            won, own, white = one["success"], one["same_spectrum"], one["white_noise"]
            print(
                f"{one['row'] if one['row'] != '-' else 'any other':10} {one['snr']:6.0f}  {won['of']:5}  "
                f"{100 * won['share']:8.0f} %  {100 * won['low']:3.0f} .. {100 * won['high']:3.0f} %  "
                f"{100 * one['begun_anywhere']['share']:6.0f} %  {100 * own['share']:10.0f} %  {own['chance']:6.3f}  "
                f"{100 * white['share']:9.0f} %  {white['chance']:6.3f}  {one['took']:2.0f}",
                flush=True,
            )
    print(f"{time.monotonic() - began:.0f} s in all")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    name = "universal" if args.study is None else "universal-study"
    (out / f"{name}.json").write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
