"""The audit's throughput: attacks a minute by one process, by two, and several at once in one; and its memory.

    python bench/audits.py [--clips 6] [--rounds 1]          # white box attacks on embedded clips, the demo's victim
    python bench/audits.py --memory 20 200                   # largest resident size of audits of so many short clips

The ways take turns, so that a busy machine slows them alike. Each round works in a folder of its own; starting the
processes counts. For the memory a small network at 8 kHz is attacked, each audit by a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

BANDS = """
import torch


class Bands(torch.nn.Module):
    def forward(self, wave):
        power = torch.fft.rfft(wave).abs().square() / wave.shape[-1]
        hz = torch.fft.rfftfreq(wave.shape[-1], 1 / 8000)
        edges = (100, 1000, 2000, 3400)
        bands = [power[:, (hz >= a) & (hz < b)].sum(-1) for a, b in zip(edges, edges[1:])]
        return 4 * (torch.stack(bands, -1) + 1e-9).log()


def bands():
    return Bands()
"""
CARD = 'schema = 1\nkind = "torch"\nmodule = "bands.py:bands"\nsample_rate = 8000\nlabels = ["low", "middle", "high"]\n'


def throughput(clips: int, rounds: int) -> None:
    """Print attacks a minute of each way, and how many times as many as alone."""
    from subterfuge.campaign.audit import audit
    from subterfuge.training.demo_data import embedded_card

    ways = {"one process": {}, "two processes": {"jobs": 2}, "one process, 4 at once": {"batch": 4}}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, how in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                done = audit(embedded_card(), ["embedded"], folder, count=clips, only=["white"], **how)
                spent[name].append(time.perf_counter() - began)
                found[name] = [row.outcome["snr_db"] for row in done.of("white") if row.outcome]
    alone = min(spent["one process"])
    print(f"{clips} white box attacks and 11 clips scored, load {os.getloadavg()[0]:.1f}, best of {rounds}")
    print(f"{'':28}{'seconds':>9}{'a minute':>10}{'times':>7}{'SNR apart':>11}")
    for name, took in spent.items():
        apart = max(abs(a - b) for a, b in zip(found["one process"], found[name], strict=True))
        best = min(took)
        print(f"{name:28}{best:9.1f}{60 * clips / best:10.1f}{alone / best:7.2f}{apart:8.3f} dB")


def written(folder: Path, clips: int) -> Path:
    """Write a victim and so many clips of 0.4 s, each loudest in one of three bands."""
    import numpy as np
    import soundfile

    (folder / "bands.py").write_text(BANDS, encoding="utf-8")
    (folder / "bands.toml").write_text(CARD, encoding="utf-8")
    t = np.arange(3200) / 8000
    for number in range(clips):
        die = np.random.default_rng(number)
        label = ("low", "middle", "high")[number % 3]
        tones = ((0.2 if name == label else 0.16) * np.sin(2 * np.pi * hz * t + die.uniform(0, 0.7))
                 for name, hz in (("low", 500), ("middle", 1500), ("high", 2600)))  # fmt: skip
        (folder / "clips" / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "clips" / label / f"{number:04d}.wav", sum(tones), 8000)
    return folder / "bands.toml"


def one_audit(clips: int) -> None:
    """Audit so many short clips in this process, and print what it took as JSON."""
    from subterfuge.campaign.audit import audit

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        began = time.perf_counter()
        done = audit(written(folder, clips), [folder / "clips"], folder / "out", count=clips, only=["white"])
        seconds = time.perf_counter() - began
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        won = sum(bool(row.outcome and row.outcome["won"]) for row in done.of("white"))
    print(json.dumps({"clips": clips, "seconds": seconds, "megabytes": own, "won": won}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--memory", type=int, nargs="+", metavar="CLIPS")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is not None:
        one_audit(asked.one)
        return
    if asked.memory is None:
        throughput(asked.clips, asked.rounds)
        return
    print(f"{'clips':>7}{'won':>6}{'seconds':>9}{'largest size, MB':>18}")
    for clips in asked.memory:
        ran = subprocess.run(
            [sys.executable, __file__, "--one", str(clips)], stdout=subprocess.PIPE, text=True, check=True
        )
        told = json.loads(ran.stdout.splitlines()[-1])
        print(f"{clips:7d}{told['won']:6d}{told['seconds']:9.1f}{told['megabytes']:18.0f}")


if __name__ == "__main__":
    main()
