"""A table of features of a folder of sounds: ours, in several processes, against a plain librosa loop, in one run.

Both read the files; ours once more with a cache that is still empty, and with one that holds all. The loop is what the
study did: `librosa.load`, then five features and 20 MFCC, averaged. All ways take turns, so that a busy machine slows
them alike, and the median of the rounds is told; ratios of the processors' time do not feel the others at all. Without
a folder, plucked tones over noise are written into a temporary one.

Numerical libraries get one thread, unless OMP_NUM_THREADS says otherwise: more make the loop no faster, and on a busy
machine they make it wait for itself.

    python bench/tables.py [FOLDER] [--sounds 660] [--jobs 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, os.environ.get("OMP_NUM_THREADS", "1"))

RATE, SECONDS = 44100, 3


def written(folder: Path, count: int) -> None:
    """Write so many stereo clips of 3 s, 16 bits."""
    import numpy as np
    import soundfile

    t = np.arange(RATE * SECONDS)[:, None] / RATE
    for number in range(count):
        die = np.random.default_rng(number)
        pitch = die.uniform(100, 800) * np.array([1, 1.001])
        tones = sum(np.sin(2 * np.pi * pitch * k * t) * np.exp(-k * (t % 0.75)) / k for k in range(1, 12))
        soundfile.write(folder / f"{number:04d}.wav", 0.2 * tones + 0.003 * die.normal(size=(len(t), 2)), RATE)


def spent() -> float:
    """Seconds of processor time of this process and of those of its own that have ended."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="whose sounds, of all folders below it, are described")
    parser.add_argument("--sounds", type=int, default=660, help="how many, spread over all of them")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch) / "sounds"
        if asked.folder is None:
            folder.mkdir()
            written(folder, asked.sounds)
        every = sorted(path for end in ("wav", "flac", "ogg", "mp3") for path in folder.rglob(f"*.{end}"))
        if not every:
            raise SystemExit(f"{folder}: a folder with .wav, .flac, .ogg or .mp3 files below it was expected")
        count = min(asked.sounds, len(every))
        figures = measure([every[k * len(every) // count] for k in range(count)], asked, Path(scratch))
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(json.dumps(figures, indent=1) + "\n")


def measure(paths: list[Path], asked: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Time every way on the sounds, print what came out, and give it."""
    import librosa
    import numpy as np

    from subterfuge.dsp.recipes import true_librosa_mean_25
    from subterfuge.training.examples import Dataset, Example
    from subterfuge.training.tables import feature_table

    data = Dataset("bench", tuple(Example(path, path.parent.name, path.stem) for path in paths))

    def loop() -> object:
        return np.stack([true_librosa_mean_25(librosa.load(path, sr=RATE)[0], RATE) for path in paths])

    def ours(cache: Path | None = None, fresh: bool = False) -> object:
        if fresh and cache is not None:
            cache.unlink(missing_ok=True)
        return feature_table(data, sample_rate=RATE, jobs=asked.jobs, cache=cache).X

    cache = scratch / "features.parquet"
    ways: dict[str, Callable[[], object]] = {
        "librosa in a loop": loop,
        "one process": lambda: feature_table(data, sample_rate=RATE, jobs=1).X,
        f"{asked.jobs} processes": ours,
        f"{asked.jobs} processes, new cache": lambda: ours(cache, True),
        f"{asked.jobs} processes, full cache": lambda: ours(cache),
    }
    true_librosa_mean_25(librosa.load(paths[0], sr=RATE)[0], RATE)  # what is made once: filters, imports
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    answers = {}
    for _ in range(asked.rounds):
        for name, way in ways.items():
            begun, before = time.perf_counter(), spent()
            answers[name] = np.asarray(way())
            wall[name].append(time.perf_counter() - begun)
            cpu[name].append(spent() - before)
    truth = answers["librosa in a loop"]
    apart = max(float((np.abs(found - truth).max(0) / np.abs(truth).max(0)).max()) for found in answers.values())
    load = os.getloadavg()[0]
    print(f"{len(paths)} sounds, {os.cpu_count()} cores, load {load:.1f}, median of {asked.rounds} rounds")
    print(f"{'':28}{'seconds':>9}{'times':>7}{'processor s':>13}{'times':>7}")
    figures: dict[str, object] = {"sounds": len(paths), "load": load, "largest distance": apart}
    base = [statistics.median(of["librosa in a loop"]) for of in (wall, cpu)]
    for name in ways:
        took, worked = statistics.median(wall[name]), statistics.median(cpu[name])
        print(f"{name:28}{took:9.2f}{base[0] / took:7.1f}{worked:13.2f}{base[1] / worked:7.1f}")
        figures[name] = {"seconds": took, "processor seconds": worked}
    print(f"largest distance from librosa, relative to each feature: {apart:.1e}")
    return figures


if __name__ == "__main__":
    main()
