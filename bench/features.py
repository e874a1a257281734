"""Clips a second of the 25 averaged features: librosa, the batched twin, and the twin with its gradient.

One run prints it all, with one thread and with two, each in a process of its own. Times are the median over
rounds in which all take turns, so that a busy machine slows them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

RATE, SECONDS, BATCH, ROUNDS = 44100, 3, 8, 9
ROOT = Path(__file__).resolve().parent.parent


def synthetic() -> Any:
    """Eight clips of 3 s, plucked tones over noise, rounded to 16 bits; shape (8, 132300), float32."""
    import numpy as np

    dice = np.random.default_rng(0)
    t = np.arange(RATE * SECONDS) / RATE
    clips = []
    for pitch in dice.uniform(100, 800, BATCH):
        tones = [np.sin(2 * np.pi * pitch * k * t) * np.exp(-k * (t % 0.75)) / k for k in range(1, 12)]
        clip = 0.2 * sum(tones) + 0.003 * dice.normal(size=len(t))
        clips.append(np.round(clip * 32768) / 32768)
    return np.stack(clips).astype(np.float32)


def studied() -> Any | None:
    """The study's four clips, twice, if they are there."""
    import numpy as np
    import soundfile

    place = Path(os.environ.get("SUBTERFUGE_SEED_STUDY", ROOT.parent / "shared" / "seed-study")) / "clips"
    clips = [soundfile.read(f, dtype="float32", always_2d=True)[0].mean(1) for f in sorted(place.glob("*.wav"))]
    if not clips:
        return None
    shortest = min(map(len, clips))
    return np.stack([clip[:shortest] for clip in clips] * 2)[:BATCH]


def by_librosa(wave: Any) -> Any:
    import librosa
    import numpy as np

    frames = [
        librosa.feature.rms(y=wave),
        librosa.feature.spectral_centroid(y=wave, sr=RATE),
        librosa.feature.spectral_bandwidth(y=wave, sr=RATE),
        librosa.feature.spectral_rolloff(y=wave, sr=RATE),
        librosa.feature.zero_crossing_rate(wave),
        librosa.feature.mfcc(y=wave, sr=RATE, n_mfcc=20),
    ]
    return np.concatenate([f.mean(-1) for f in frames])


def measure(clips: Any) -> dict[str, float]:
    """Give clips a second of each way, and the largest distance between twin and librosa."""
    import numpy as np
    import torch

    from subterfuge.dsp import librosa_mean_25

    waves = torch.from_numpy(clips)
    leaf = waves.clone().requires_grad_()
    single = waves[:1].clone().requires_grad_()

    def step(wave: torch.Tensor) -> None:
        torch.autograd.grad(librosa_mean_25(wave, RATE).sum(), wave)

    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "librosa": (1, lambda: by_librosa(clips[0])),
        "twin": (BATCH, lambda: librosa_mean_25(waves, RATE)),
        "twin, one clip": (1, lambda: librosa_mean_25(waves[:1], RATE)),
        "gradient": (BATCH, lambda: step(leaf)),
        "gradient, one clip": (1, lambda: step(single)),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 2):
        for name, (count, way) in ways.items():
            repeats = 1 if count == BATCH or name == "librosa" else 4
            begun = time.perf_counter()
            for _ in range(repeats):
                way()
            if turn >= 2:
                took[name].append((time.perf_counter() - begun) / (count * repeats))
    truth = np.stack([by_librosa(clip) for clip in clips])
    apart = np.abs(librosa_mean_25(waves, RATE).numpy() - truth).max(0)
    rates = {name: 1 / statistics.median(seconds) for name, seconds in took.items()}
    return rates | {"largest distance": float((apart / np.abs(truth).max(0)).max())}


def worker(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")
    found = {"synthetic": synthetic(), "study": studied()}
    print(json.dumps({name: measure(clips) for name, clips in found.items() if clips is not None}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        return worker(asked.worker)

    results = {}
    for threads in asked.threads:
        limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        command = [sys.executable, __file__, "--worker", str(threads)]
        answer = subprocess.run(command, env=os.environ | limits, check=True, capture_output=True, text=True)
        results[threads] = json.loads(answer.stdout)
    print(f"{SECONDS} s clips of {RATE} Hz, batches of {BATCH}; clips a second (times librosa)")
    for threads, kinds in results.items():
        for kind, rates in kinds.items():
            print(f"{threads} thread{'s' * (threads > 1)}, {kind} clips")
            for name, rate in rates.items():
                if name != "largest distance":
                    print(f"  {name:20} {rate:8.1f}  ({rate / rates['librosa']:.1f})")
            print(f"  largest distance from librosa, relative to each feature: {rates['largest distance']:.1e}")
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
