"""Milliseconds of the masking threshold of one clip on one thread, beside its equations written out slowly.

Also prints the largest difference of the two over the frames that both computed. Clips: one that is made up here, the
demo's, and the study's where they are. Times are of the processor, not of the clock on the wall, so that waiting for
others does not count; the FFT of the same clip stands beside as a measure of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
RATE, SECONDS = 44100, 3


def clips() -> dict[str, Any]:
    """Give mono clips (T,), float32, by name."""
    from tests.hearing.test_masking_transcription import phrase

    from subterfuge.audio import Clip
    from subterfuge.training.demo_data import embedded_clips

    study = Path(os.environ.get("SUBTERFUGE_SEED_STUDY", ROOT.parent / "shared" / "seed-study")) / "clips"
    paths = [*embedded_clips(), *sorted(study.glob("*.wav"))]
    return {"made up": phrase(RATE, SECONDS)} | {path.name[:28]: Clip.read(path).mono(RATE) for path in paths}


def measure(clip: Any, rounds: int, frames: int) -> dict[str, float]:
    """Give milliseconds, best and median, of each way, and the largest difference in dB."""
    import numpy as np
    import torch
    from tests.hearing.test_masking_transcription import ours, transcribed

    from subterfuge.hearing.masking import cells, masking_threshold

    wave = torch.from_numpy(clip)
    ways: dict[str, Callable[[], object]] = {
        "fft": lambda: cells(wave, RATE),
        "threshold": lambda: masking_threshold(wave, RATE),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 3):
        for name, way in ways.items():
            begun = time.process_time()
            way()
            if turn >= 3:
                took[name].append(1000 * (time.process_time() - begun))
    count = 1 + len(clip) * 4 // 2048
    some = np.unique(np.linspace(0, count - 1, frames).astype(int))
    begun = time.process_time()
    slow = transcribed(clip, RATE, frames=some)
    of_all = 1000 * (time.process_time() - begun) * count / len(some)
    apart = float(np.abs(slow - ours(clip, RATE, frames=some)).max())
    best = {f"{name}, best": min(times) for name, times in took.items()}
    middle = {f"{name}, median": statistics.median(times) for name, times in took.items()}
    return best | middle | {"written out, all frames": of_all, "largest difference, dB": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--frames", type=int, default=8, help="of each clip that are compared with the equations")
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import torch

    torch.set_num_threads(1)
    results = {name: measure(clip, asked.rounds, asked.frames) for name, clip in clips().items()}
    print(f"{SECONDS} s clips of {RATE} Hz, 1 thread, processor ms: best (median); {asked.frames} frames written out")
    for name, of in results.items():
        print(
            f"{name:28}  fft {of['fft, best']:5.1f} ({of['fft, median']:5.1f})"
            f"  threshold {of['threshold, best']:6.1f} ({of['threshold, median']:6.1f})"
            f"  written out {of['written out, all frames']:8.0f}  apart {of['largest difference, dB']:.1e} dB"
        )
    print(f"largest difference over all clips: {max(of['largest difference, dB'] for of in results.values()):.1e} dB")
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
