"""How much transfers from one shared substitute to the study's victim (Papernot et al. 2017), told by written files.

    python bench/transfer.py STUDY                       # labels and scores, 2,000 queries each
    python bench/transfer.py STUDY --learn labels --snr 20 30

STUDY is the folder that `subterfuge data seed-study` fills. The substitute learns from the four clips, the embedded
clips and variants of them. Then each of 40 pairs (four clips, every class but the predicted one) is attacked on the
substitute alone, inside a limit; the file is written and read back, and the true victim asked once. Beside it stands
what noise of the same level and spectrum does. Results go to bench/out/transfer.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from subterfuge.attacks import PGD
from subterfuge.attacks.noise import same_spectrum
from subterfuge.audio import Clip
from subterfuge.oracle import BudgetSpent, Oracle, dice
from subterfuge.threat import LeastSNR, Targeted, Threat
from subterfuge.training.demo_data import embedded_clips
from subterfuge.training.substitute import Training, train_substitute, wilson
from subterfuge.victim import Victim
from subterfuge.victims import load_victim


def pairs(victim: Victim, learned: Training, clips: list[Clip], snr_db: float, draws: int) -> list[dict[str, Any]]:
    records = []
    for clip in clips:
        clean = torch.from_numpy(clip.mono(victim.sample_rate))[None]
        said = int(victim.decide(clean)[0])
        for target, label in enumerate(victim.labels):
            if target == said:
                continue
            die = dice(f"transfer/{label}/{clip.fingerprint}", 1)
            threat = Threat(Targeted(label), LeastSNR(snr_db))
            inner = Oracle(learned.substitute, threat, clean, torch.tensor([target]), seeks="margin")
            with contextlib.suppress(BudgetSpent):
                PGD(steps=60, starts=1)(inner, clean, die)
            change = inner.best[0]
            heard = written(clip, change, victim.sample_rate)
            answer = int(victim.decide(heard)[0])
            noises = [written(clip, same_spectrum(change, die[0]), victim.sample_rate) for _ in range(draws)]
            others = [int(victim.decide(noise)[0]) for noise in noises]
            difference = float((heard - clean).norm())
            records.append(
                {
                    "clip": clip.name,
                    "from": victim.labels[said],
                    "target": label,
                    "answer": victim.labels[answer],
                    "targeted": answer == target,
                    "untargeted": answer != said,
                    "snr_db": 20 * float(torch.log10(clean.norm() / difference)),
                    "noise_targeted": sum(other == target for other in others),
                    "noise_untargeted": sum(other != said for other in others),
                    "noise_draws": draws,
                }
            )
    return records


def written(clip: Clip, change: torch.Tensor, rate: int) -> torch.Tensor:
    """Give what a victim hears of the file of a changed clip, shape (1, T)."""
    with tempfile.TemporaryDirectory() as folder:
        path = clip.add(change.numpy(), rate).write(f"{folder}/changed.wav")
        return torch.from_numpy(Clip.read(path).mono(rate))[None]


def rate_of(records: list[dict[str, Any]], key: str, of: str | None = None) -> str:
    hits = sum(one[key] for one in records)
    total = sum(one[of] if of else 1 for one in records)
    low, high = wilson(hits, total)
    return f"{hits} of {total} ({100 * hits / total:.0f} %, 95 %: {100 * low:.0f} to {100 * high:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--model", default="tuned")
    parser.add_argument("--learn", nargs="+", default=["labels", "scores"])
    parser.add_argument("--front", default="mean25")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--snr", nargs="+", type=float, default=[20.0, 30.0])
    parser.add_argument("--draws", type=int, default=5, help="of noise, for each pair")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="bench/out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    victim = load_victim(Path(args.study) / f"{args.model}.toml")
    clips = [Clip.read(path) for path in sorted((Path(args.study) / "clips").iterdir())]
    waves = [torch.from_numpy(clip.mono(victim.sample_rate)) for clip in clips]
    waves += [torch.from_numpy(Clip.read(path).mono(victim.sample_rate)) for path in embedded_clips()]
    shortest = min(map(len, waves))
    seeds = torch.stack([wave[:shortest] for wave in waves])
    told = []
    for learn in args.learn:
        began = time.monotonic()
        learned = train_substitute(
            victim,
            seeds,
            torch.Generator().manual_seed(args.seed),
            queries=args.queries,
            learn=learn,
            front=args.front,
            home=len(clips),
        )
        low, high = learned.interval
        print(
            f"{learn}, {args.front}: {learned.queries} queries, agrees on {100 * learned.agreement:.1f} % of "
            f"{learned.held_out} held-out sounds (95 %: {100 * low:.0f} to {100 * high:.0f}), "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
        for snr_db in args.snr:
            records = pairs(victim, learned, clips, snr_db, args.draws)
            print(
                f"  inside {snr_db:g} dB (median {statistics.median(one['snr_db'] for one in records):.1f}): "
                f"targeted {rate_of(records, 'targeted')}, untargeted {rate_of(records, 'untargeted')}\n"
                f"    noise: targeted {rate_of(records, 'noise_targeted', 'noise_draws')}, "
                f"untargeted {rate_of(records, 'noise_untargeted', 'noise_draws')}",
                flush=True,
            )
            told.append({"learn": learn, "limit_db": snr_db, "training": learned.as_json(), "pairs": records})
        out = Path(args.out)
        out.mkdir(parents=True, exist_ok=True)
        (out / "transfer.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
