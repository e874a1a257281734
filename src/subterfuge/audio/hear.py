"""Hearing a file the way that a victim's users would."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from subterfuge.audio.endless import refuse_endless
from subterfuge.errors import ClipError


def hear(path: str | Path, rate: int) -> NDArray[np.float32]:
    """Load a file as ``librosa.load(path, sr=rate)`` does: mono, shape (T',), float32. The judge's ear.

    Raises:
        ClipError: librosa cannot load it, or would never finish.
    """
    import librosa

    try:
        refuse_endless(Path(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its fall-back to audioread; what fails there too is raised below
            wave, _ = librosa.load(path, sr=rate, mono=True)
    except ClipError:
        raise
    except Exception as error:  # libsndfile's, audioread's and librosa's own errors share no ancestor
        said = str(error) or type(error).__name__
        raise ClipError(f"{path} cannot be heard: librosa.load says {said}. Check that the file is whole.") from None
    heard: NDArray[np.float32] = wave
    return heard
