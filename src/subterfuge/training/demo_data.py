"""The demo's own sounds, table and victim, which come with the package.

They are renders of two MIT-licensed SoundFonts: clips that sound like instruments, and a model that knows
little else. Licences and origin stand beside them, in ``embedded/LICENSES.md`` and ``PROVENANCE.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.errors import InputError

HOME = Path(__file__).resolve().parent / "embedded"
"""The folder of the embedded data."""

SKOPS_TYPES = ("sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration")
"""The two scikit-learn types in the demo's model that skops does not trust by itself, being private.

Both only hold fitted numbers. skops trusts the rest of the file (pipeline, scaler, SVC, numpy) unasked.
"""


@dataclass(frozen=True)
class DemoTable:
    """The demo's training table, n rows; rows of one group are excerpts of one recording: split by it."""

    X: NDArray[np.float32]
    """The 25 averaged features of the study, shape (n, 25)."""
    y: NDArray[np.str_]
    """Labels, shape (n,)."""
    groups: NDArray[np.str_]
    """The recording of each row."""
    fonts: NDArray[np.str_]
    """The SoundFont of each row."""
    programs: NDArray[np.int16]
    """The General MIDI program of each row, counted from 0."""
    seeds: NDArray[np.int16]
    """The seed of each row's render."""


def embedded_clips() -> list[Path]:
    """List the demo's clips: 11 FLAC files, one a class, 3 s, 44.1 kHz, 16-bit stereo, by name.

    The victim was not trained on them and answers each one rightly: they were chosen so.

    Raises:
        InputError: the installation lacks them.
    """
    clips = sorted((HOME / "clips").glob("*.flac"))
    if not clips:
        raise _missing(HOME / "clips")
    return clips


def embedded_card() -> Path:
    """Give the path of the card of the demo's victim.

    Raises:
        InputError: the installation lacks it or the model that it names.
    """
    for path in (HOME / "victim.skops", HOME / "victim.toml"):
        if not path.is_file():
            raise _missing(path)
    return path


def embedded_features() -> DemoTable:
    """Read the table that the demo's victim was trained on.

    Raises:
        InputError: the installation lacks it.
    """
    path = HOME / "features.npz"
    if not path.is_file():
        raise _missing(path)
    with np.load(path, allow_pickle=False) as table:
        columns: dict[str, NDArray[Any]] = {key: table[key] for key in table.files}
    return DemoTable(
        X=columns["X"],
        y=columns["label"],
        groups=columns["group"],
        fonts=columns["font"],
        programs=columns["program"],
        seeds=columns["seed"],
    )


def _missing(path: Path) -> InputError:
    return InputError(f"{path} is missing: the demo's data come with the package, so install it again")


DEMO: tuple[tuple[str, str, str | None], ...] = (
    ("flu", "tru", None),
    ("tru", "flu", None),
    ("cel", "pia", None),
    ("gac", "gel", None),
    ("voi", "cel", None),
    ("pia", "org", "confident=0.6"),
)
"""What the demo asks: class of the clip, target, and a goal other than targeted."""
