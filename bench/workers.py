"""Clips a second of a Python victim in one process and in several: one that waits, and one that computes.

The first sleeps 20 ms a clip, as a service would make it wait; the second computes the 25 features of the study with
librosa on one thread. Each way is asked one population of 32 clips of 3 s at 44.1 kHz a round; the median of the rounds
is told, and how long the processes take to begin.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

RATE, SECONDS, CLIPS, ROUNDS = 44100, 3, 32, 5


def waits(wave: Any) -> list[float]:
    time.sleep(0.02)
    return [float(wave[0]), 0.0]


def computes(wave: Any) -> list[float]:
    from subterfuge.dsp.recipes import true_librosa_mean_25

    return [float(number) for number in true_librosa_mean_25(wave, RATE)[:2]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()

    sys.path.insert(0, str(Path(__file__).resolve().parent))  # where the processes find these functions
    import torch
    from workers import computes, waits

    from subterfuge.victims import PythonVictim

    torch.set_num_threads(1)
    clips = 0.1 * torch.randn(CLIPS, RATE * SECONDS, generator=torch.Generator().manual_seed(0))
    functions: dict[str, Callable[[Any], list[float]]] = {"waits 20 ms": waits, "computes librosa": computes}
    print(f"{CLIPS} clips of {SECONDS} s at {RATE} Hz; {os.cpu_count()} cores; clips a second")
    for name, function in functions.items():
        first = None
        for count in asked.workers:
            victim = PythonVictim.of(function, labels=["a", "b"], sample_rate=RATE, workers=count)
            begun = time.perf_counter()
            victim.scores(clips[:2])
            start = time.perf_counter() - begun
            took = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                victim.scores(clips)
                took.append(time.perf_counter() - begun)
            rate = CLIPS / statistics.median(took)
            first = first or rate
            print(f"  {name:18} workers = {count}  {rate:7.1f}  ({rate / first:.2f})  begins in {start:.1f} s")
            if victim.pool is not None:
                victim.pool.close()


if __name__ == "__main__":
    main()
