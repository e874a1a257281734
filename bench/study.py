"""Attack the original study's victims on its own clips, and print what the written files say.

    python bench/study.py STUDY rows                 # the study's seven rows
    python bench/study.py STUDY confident            # the same at P >= 0.9
    python bench/study.py STUDY pairs --jobs 2       # every class but the predicted one, four clips, two models
    python bench/study.py STUDY rows --limit masking                            # no cell above the masking threshold
    python bench/study.py STUDY rows --limit masking --attack substitute        # the same from scores alone
    python bench/study.py STUDY rows --measure nmr --robust mp3=128,gain,shift,resample=22050

STUDY is the folder that `subterfuge data seed-study` fills. Results go to bench/out, unless --keep none.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROWS = [
    ("flu", "tru"),
    ("tru", "flu"),
    ("cel", "pia"),
    ("cel", "gel"),
    ("cel", "vio"),
    ("voi", "cel"),
    ("voi", "voi"),
]
PROTOTYPE_DB = [46.7, 47.2, 53.5, 43.8, 56.0, 34.9, 57.0]
CLIPS = ("flu", "tru", "cel", "voi")


def job(model: str, source: str, target: str, goal: str | None, args: argparse.Namespace) -> dict[str, Any]:
    import torch

    from subterfuge.driver import attack as run
    from subterfuge.threat import Budget, Threat, parse_goal, parse_limit
    from subterfuge.victims import load_victim

    torch.set_num_threads(1)
    victim = load_victim(Path(args.study) / f"{model}.toml")
    clip = next(path for path in sorted((Path(args.study) / "clips").iterdir()) if f"[{source}]" in path.name)
    with tempfile.TemporaryDirectory() as folder:
        threat = Threat(parse_goal(goal, target), parse_limit(args.limit), Budget(args.queries), args.measure)
        outcome = run(clip, victim, threat, args.seed, by=args.attack, out=f"{folder}/", robust=args.robust)
    record = outcome.as_json()
    record.pop("history")
    return {"model": model, "source": source, **record}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("what", choices=["rows", "confident", "pairs"])
    parser.add_argument("--models", nargs="+", default=None)
    parser.add_argument("--attack", default="quietest")
    parser.add_argument("--limit", help="as masking, or snr=40")
    parser.add_argument("--measure", choices=["snr", "nmr"])
    parser.add_argument("--robust", help="as mp3=128,gain,shift")
    parser.add_argument("--queries", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=None, help="as flu-tru")
    parser.add_argument("--out", default="bench/out")
    args = parser.parse_args()
    goal = "confident=0.9" if args.what == "confident" else None
    labels = ["cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi"]
    pairs = ROWS if args.what != "pairs" else [(source, target) for source in CLIPS for target in labels]
    if args.only:
        pairs = [pair for pair in pairs if "-".join(pair) in args.only]
    models = args.models or (["tuned", "noisy"] if args.what == "pairs" else ["tuned"])
    began = time.monotonic()
    records = []
    with ProcessPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(job, model, source, target, goal, args) for model in models for source, target in pairs]
        for future in futures:
            one = future.result()
            if one["already"]:
                continue
            records.append(one)
            number = len(records)
            snr = "" if one["snr_db"] is None or not one["won"] else f"{one['snr_db']:6.2f} dB"
            p = "" if one["probability"] is None else f"P {one['probability']:.3f}"
            mos = "" if one["zimtohrli_mos"] is None else f"MOS {one['zimtohrli_mos']:.3f}"
            mask = "" if one["nmr_db"] is None else f"NMR {one['nmr_db']:.1f} above {one['share_above_threshold']:.4%}"
            control = one["control"] or {}
            print(
                f"{number:3} {one['model']:6} {one['source']}->{one['target']} "
                f"{'won ' if one['won'] else 'LOST'} {snr:9} "
                f"says {one['predicted']} {p} {mos} {mask} "
                f"queries {one['queries']} gradients {one['gradients']} files {one['judgements']} "
                f"{one['seconds']:.0f} s noise {control.get('same_level_and_spectrum', {}).get('hits')} "
                f"white {control.get('white_noise_snr_db')}",
                flush=True,
            )
    for model in models:
        mine = [one for one in records if one["model"] == model]
        won = [one for one in mine if one["won"]]
        levels = sorted(one["snr_db"] for one in won)
        print(
            f"{model}: {len(won)} of {len(mine)} won; "
            f"SNR median {statistics.median(levels):.1f}, worst {levels[0]:.1f} dB; "
            f"MOS median {statistics.median(one['zimtohrli_mos'] for one in won):.3f}, "
            f"worst {min(one['zimtohrli_mos'] for one in won):.3f}; "
            f"median {statistics.median(one['seconds'] for one in mine):.0f} s a clip"
        )
    if args.what == "rows" and not args.only and records[0]["measure"] == "snr":
        gains = [one["snr_db"] - level for one, level in zip(records, PROTOTYPE_DB, strict=False)]
        print("over the prototype:", " ".join(f"{gain:+.1f}" for gain in gains), "dB")
    print(f"{time.monotonic() - began:.0f} s in all")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"study-{args.what}.json").write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
