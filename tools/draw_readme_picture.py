"""Draw the README's picture: a clip of the demo before the attack, after it, and the change, amplified.

    python tools/draw_readme_picture.py --to docs/picture.png

Attacks the embedded cello until the embedded victim says piano, reads the written file back, and draws three
spectrograms on one scale. A tool for developers: it needs matplotlib, which the extra `dev` brings.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import librosa
import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from numpy.typing import NDArray
from PIL import Image

from subterfuge import Clip, Outcome, Targeted, Threat, attack, load_victim
from subterfuge.training.demo_data import embedded_card, embedded_clips

SOURCE, TARGET = "cel", "pia"
WORDS = {"cel": "cello", "pia": "piano"}
LOUDER_DB = 40
"""How much the change is amplified."""
FLOOR_DB = -90
COLOURS = 128
"""Of the picture's palette, which keeps the file small."""


def spectrum_db(wave: NDArray[np.float32], loudest: float) -> NDArray[np.float64]:
    """Give magnitudes in dB of the loudest, shape (bins, frames)."""
    return 20 * np.log10(np.maximum(np.abs(librosa.stft(wave)) / loudest, 1e-9))


def panel(axes: Axes, level: NDArray[np.float64], rate: int, title: str) -> QuadMesh:
    """Draw one spectrogram, time in s along, frequency in kHz, spaced by its logarithm, up."""
    seconds = librosa.frames_to_time(np.arange(level.shape[1]), sr=rate)
    khz = librosa.fft_frequencies(sr=rate) / 1000
    mesh = axes.pcolormesh(seconds, khz[2:], level[2:], vmin=FLOOR_DB, vmax=0, cmap="magma", shading="nearest")
    axes.set(yscale="log", ylim=(0.06, 20), xlabel="time, s")
    axes.set_yticks([0.1, 0.3, 1, 3, 10], ["0.1", "0.3", "1", "3", "10"])
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    return mesh


def draw(before: Clip, after: Clip, outcome: Outcome, to: Path) -> None:
    """Draw the three panels into a PNG file."""
    rate = before.sample_rate
    clean, changed = before.mono(rate), after.mono(rate)
    loudest = float(np.abs(librosa.stft(clean)).max())
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), sharey=True, layout="constrained")
    said, says = (WORDS[label] for label in (outcome.predicted_before, outcome.predicted))
    panel(axes[0], spectrum_db(clean, loudest), rate, f"before: the classifier says {said}")
    panel(axes[1], spectrum_db(changed, loudest), rate, f"after: the classifier says {says}")
    change = (changed - clean) * 10 ** (LOUDER_DB / 20)
    title = f"the change ({outcome.snr_db:.0f} dB SNR), drawn {LOUDER_DB} dB louder"
    mesh = panel(axes[2], spectrum_db(change, loudest), rate, title)
    axes[0].set_ylabel("frequency, kHz")
    bar = figure.colorbar(mesh, ax=axes, pad=0.01)
    bar.set_label("dB below the loudest", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    figure.savefig(to, dpi=90)
    Image.open(to).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(to, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("docs/picture.png"))
    args = parser.parse_args()
    clip = Clip.read(next(path for path in embedded_clips() if path.name.startswith(f"[{SOURCE}]")))
    with tempfile.TemporaryDirectory() as folder:
        outcome = attack(clip, load_victim(embedded_card()), Threat(Targeted(TARGET)), out=f"{folder}/", control=0)
        if not outcome.won or outcome.file is None:
            raise SystemExit(f"the attack lost, so there is nothing to draw: {outcome.advice}")
        args.to.parent.mkdir(parents=True, exist_ok=True)
        draw(clip, Clip.read(outcome.file), outcome, args.to)
    print(f"{args.to}: {args.to.stat().st_size / 1000:.0f} kB, {outcome.snr_db:.1f} dB, P {outcome.probability:.2f}")


if __name__ == "__main__":
    main()
