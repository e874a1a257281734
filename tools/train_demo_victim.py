"""Train the demo's classic model on rendered clips, and say honestly how well it hears.

    python tools/render_clips.py ... --to TRAIN --per-class 144 --seed 0
    python tools/render_clips.py ... --to HELD --per-class 20 --seed 0 --first 1000
    python tools/train_demo_victim.py --train TRAIN --held-out HELD [--real DIR ...] --to DATA

Writes DATA/features.npz (the table), DATA/victim.skops, DATA/victim.toml and DATA/clips/*.flac (one clip a
class, of HELD), and prints the figures that DATA/PROVENANCE.md reports. The model is
the original study's, an RBF SVC on 25 averaged features, C 10.8. Its probabilities are Platt's sigmoids on
cross-validated decision values (`CalibratedClassifierCV`), since `SVC(probability=True)` is deprecated.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import skops.io
import soundfile as sf
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

RATE = 44100
CONFIDENT = 0.6
CARD = """\
# The victim of the demo: see PROVENANCE.md for its training and its accuracy.
schema = 1
kind = "sklearn"
name = "demo"
sample_rate = 44100
features = "librosa-mean-25"
model = "victim.skops"
"""


@dataclass(frozen=True)
class Table:
    """The features of some clips: X (n, 25) float32, and for each row what it is."""

    X: np.ndarray
    label: np.ndarray
    font: np.ndarray
    program: np.ndarray
    group: np.ndarray
    seed: np.ndarray
    file: tuple[str, ...]


def features(path: Path) -> np.ndarray:
    """Give the study's 25 numbers of a sound file, shape (25,), float32: means over frames."""
    wave, rate = sf.read(path, dtype="float32", always_2d=True)
    if rate != RATE:
        raise SystemExit(f"{path}: {rate} Hz; expected {RATE}")
    y = wave.mean(axis=1)
    rows = [
        librosa.feature.rms(y=y),
        librosa.feature.spectral_centroid(y=y, sr=RATE),
        librosa.feature.spectral_bandwidth(y=y, sr=RATE),
        librosa.feature.spectral_rolloff(y=y, sr=RATE),
        librosa.feature.zero_crossing_rate(y),
        librosa.feature.mfcc(y=y, sr=RATE),
    ]
    return np.concatenate([row.mean(axis=-1) for row in rows]).astype(np.float32)


def read(folder: Path, jobs: int) -> Table:
    """Compute the features of what tools/render_clips.py wrote into a folder."""
    with open(folder / "clips.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with ProcessPoolExecutor(jobs) as pool:
        X = np.stack(list(pool.map(features, [folder / row["file"] for row in rows], chunksize=16)))
    words = {key: np.array([row[key] for row in rows]) for key in ("label", "font", "group")}
    numbers = {key: np.array([int(row[key]) for row in rows], np.int16) for key in ("program", "seed")}
    return Table(X, **words, **numbers, file=tuple(row["file"] for row in rows))


def svc() -> object:
    """Build the study's model, with the wider gamma 1/25 (its own 0.1 hears 5 percentage points less)."""
    return make_pipeline(StandardScaler(), SVC(kernel="rbf", C=10.8, gamma=0.04))


def accuracy(table: Table, splits: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Train and test on each split; give the share of all test rows that were answered rightly."""
    right = [svc().fit(table.X[a], table.label[a]).predict(table.X[b]) == table.label[b] for a, b in splits]
    return float(np.concatenate(right).mean())


def leave_out(keys: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split once for each key: its rows are the test, wherever other rows still teach every label of it."""
    splits = []
    for key in np.unique(keys):
        test = keys == key
        if set(labels[test]) <= set(labels[~test]):
            splits.append((np.flatnonzero(~test), np.flatnonzero(test)))
    return splits


def figures(table: Table) -> dict[str, float]:
    """Measure the model by splits of rising honesty."""
    shuffled = StratifiedKFold(5, shuffle=True, random_state=0)
    return {
        "random five-fold": accuracy(table, shuffled.split(table.X, table.label)),
        "five-fold by recording": accuracy(table, GroupKFold(5).split(table.X, table.label, table.group)),
        "one program left out": accuracy(table, leave_out(table.program, table.label)),
        "one font left out": accuracy(table, leave_out(table.font, table.label)),
    }


def choose(held: Table, probabilities: np.ndarray, classes: Sequence[str]) -> list[int]:
    """Pick a clip of each class: right, fonts in turn, the first above `CONFIDENT`, else the surest."""
    fonts, picked = np.unique(held.font), []
    for number, label in enumerate(classes):
        mine = np.flatnonzero((held.label == label) & (probabilities.argmax(1) == number))
        wished = [row for row in mine if held.font[row] == fonts[number % len(fonts)]]
        ranked = [row for row in [*wished, *mine] if probabilities[row, number] >= CONFIDENT]
        picked.append(int(ranked[0] if ranked else max(mine, key=lambda row: probabilities[row, number])))
    return picked


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--real", type=Path, action="append", default=[], help="folder of real [LABEL]... clips")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args(arguments)

    train, held = read(given.train, given.jobs), read(given.held_out, given.jobs)
    assert not set(train.group) & set(held.group), "a recording is in both folders: render HELD with --first 1000"
    for name, share in figures(train).items():
        print(f"{name:24s} {share:6.1%}")

    model = CalibratedClassifierCV(svc(), method="sigmoid", ensemble=False).fit(train.X, train.label)
    probabilities = model.predict_proba(held.X)
    right = model.predict(held.X) == held.label
    print(f"{'held-out recordings':24s} {right.mean():6.1%} of {len(right)}")
    for label in model.classes_:
        print(f"    {label} {right[held.label == label].mean():6.1%}")

    given.to.mkdir(parents=True, exist_ok=True)
    columns = {"label": train.label, "font": train.font, "group": train.group}
    np.savez_compressed(given.to / "features.npz", X=train.X, program=train.program, seed=train.seed, **columns)
    skops.io.dump(model, given.to / "victim.skops")
    (given.to / "victim.toml").write_text(CARD, encoding="utf-8")
    print("skops must trust:", skops.io.get_untrusted_types(file=given.to / "victim.skops"))

    (given.to / "clips").mkdir(exist_ok=True)
    for row in choose(held, probabilities, model.classes_):
        wave, rate = sf.read(given.held_out / held.file[row], dtype="int16")
        path = given.to / "clips" / f"{Path(held.file[row]).stem}.flac"
        sf.write(path, wave, rate, subtype="PCM_16")
        print(f"    {path.name} {held.program[row]} {probabilities[row].max():.3f}")

    for path in [path for folder in given.real for path in sorted(folder.glob("*.wav"))]:
        label = re.search(r"\[(\w{3})\]", path.name)
        chances = model.predict_proba(features(path)[None])[0]
        heard = model.classes_[chances.argmax()]
        print(f"real {label[1] if label else '?'} heard as {heard} ({chances.max():.2f}): {path.name}")


if __name__ == "__main__":
    main()
