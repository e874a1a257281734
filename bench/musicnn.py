"""Make one tag the top tag of each clip, against the pretrained taggers of musicnn, and print what the files say.

    python bench/musicnn.py ../shared/seed-study/clips ../shared/irmas-samples

White box, the smallest change that wins, judged on the written file. A tag that is a clip's top tag already is not
attempted. Rows are appended to --out as they are won or lost, and those that it holds are not searched again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def victim_of(model: str, folder: Path) -> Any:
    from subterfuge.victims import load_victim

    card = folder / f"{model}.toml"
    card.write_text(f'schema = 1\nkind = "musicnn"\nsample_rate = 16000\nmodel = "{model}"\n')
    return load_victim(card)


def row(victim: Any, path: Path, target: str, seed: int) -> dict[str, Any]:
    """Attack once; give what the record says, or that the tag is on top already."""
    import torch

    from subterfuge.audio import Clip
    from subterfuge.driver import attack
    from subterfuge.threat import Targeted, Threat

    key = {"model": victim.name, "clip": path.name, "target": target, "seed": seed}
    wave = torch.from_numpy(Clip.read(path).mono(victim.sample_rate))[None]
    top = victim.probabilities(wave)[0].topk(3)
    tags = [f"{victim.labels[i]} {p:.2f}" for p, i in zip(top.values.tolist(), top.indices.tolist(), strict=True)]
    if victim.labels[int(top.indices[0])] == target:
        return key | {"already": True, "top": tags}
    with tempfile.TemporaryDirectory() as folder:
        found = attack(path, victim, Threat(Targeted(target)), seed, out=f"{folder}/", control=0).as_json()
    kept = ("won", "snr_db", "nmr_db", "zimtohrli_mos", "predicted", "probability", "gradients", "queries", "seconds")
    return key | {"already": False, "top": tags} | {name: found[name] for name in kept}


def shown(found: dict[str, Any]) -> str:
    """Give a row of the table."""
    if found["already"]:
        return f"{found['model']:12} {found['clip']:30.30} {found['target']:7} already its top tag"
    figures = ""
    if found["won"]:
        figures = f"SNR {found['snr_db']:5.1f} dB  NMR {found['nmr_db']:6.1f} dB  MOS {found['zimtohrli_mos']:.2f}  "
    return (
        f"{found['model']:12} {found['clip']:30.30} {found['target']:7} {'won ' if found['won'] else 'LOST'} {figures}"
        f"{found['gradients']} gradients {found['seconds']:.0f} s  (before: {', '.join(found['top'])})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+", help="folders of WAV files")
    parser.add_argument("--models", nargs="+", default=["MTT_musicnn", "MTT_vgg"])
    parser.add_argument("--targets", nargs="+", default=["flute", "guitar", "piano"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench/out/musicnn.jsonl"))
    args = parser.parse_args()
    paths = [path for folder in args.clips for path in sorted(folder.glob("*.wav"))]
    if not paths:
        parser.error(f"there is no .wav file in {', '.join(map(str, args.clips))}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    lines = args.out.read_text().splitlines() if args.out.is_file() else []
    held = {(one["model"], one["clip"], one["target"], one["seed"]): one for one in map(json.loads, lines)}
    rows, total = [], len(args.models) * len(paths) * len(args.targets)
    with tempfile.TemporaryDirectory() as folder:
        for model in args.models:
            victim = victim_of(model, Path(folder))
            for path in paths:
                for target in args.targets:
                    found = held.get((model, path.name, target, args.seed))
                    if found is None:
                        found = row(victim, path, target, args.seed)
                        with args.out.open("a") as file:
                            file.write(json.dumps(found) + "\n")
                    rows.append(found)
                    print(f"{len(rows):3}/{total}  {shown(found)}", flush=True)
    for model in args.models:
        tried = [one for one in rows if one["model"] == model and not one["already"]]
        won = [one for one in tried if one["won"]]
        line = f"{model}: won {len(won)} of {len(tried)} attempted"
        for key, unit in (("snr_db", " dB"), ("zimtohrli_mos", "")):
            values = sorted(one[key] for one in won)
            if values:
                line += f"; {key} median {statistics.median(values):.2f}, worst {values[0]:.2f}{unit}"
        print(line)


if __name__ == "__main__":
    main()
