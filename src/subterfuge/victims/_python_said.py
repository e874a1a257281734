"""A Python function of a wave is called, and what it returned is read."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence, Sized
from contextlib import redirect_stdout
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import VictimError, nearest
from subterfuge.victims._code import told

RATES = ("sample_rate", "samplerate", "sr", "rate", "fs")
"""Names of a second argument that stands for the rate, also where it has a default."""


def called(
    function: Callable[..., Any], wave: NDArray[np.float32], *, name: str, sample_rate: int, folder: Path | None
) -> Any:
    """Give what a function returns of a wave (T,), or of waves (N, T), as it can go from one process to another.

    Args:
        function: of a wave, and of the rate if it takes it.
        wave: what it is called with; it may write into it.
        name: what errors call the victim.
        sample_rate: Hz.
        folder: where its code lies, for telling where it died.

    Raises:
        VictimError: it died.
    """
    try:
        with redirect_stdout(sys.stderr):  # standard output is the caller's
            return plain(function(wave, sample_rate) if takes_rate(function) else function(wave))
    except (Exception, SystemExit) as reason:
        raise VictimError(f"the victim {name} died: {told(reason, folder)}") from reason


def takes_rate(function: Callable[..., Any]) -> bool:
    """Say whether a function wants the sample rate as its second argument."""
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    second = [each for each in arguments if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)][1:2]
    return bool(second) and (second[0].default is inspect.Parameter.empty or second[0].name in RATES)


def check_batch(said: Any, rows: int, name: str) -> None:
    """Refuse what was returned of a batch if it is not one answer a clip.

    Raises:
        VictimError: so it is.
    """
    if isinstance(said, str) or not isinstance(said, Sized) or not np.iterable(said) or len(said) != rows:
        raise VictimError(
            f"the victim {name} was asked {rows} clips in a batch and answered {_short(said)}; {rows} answers were "
            "expected"
        )


def numbers_of(said: Any, labels: Sequence[str], name: str, *, whole: bool) -> NDArray[np.float64]:
    """Read numbers, an answer a clip.

    Args:
        said: one answer for each clip.
        labels: one number is expected for each.
        name: what errors call the victim.
        whole: whether the answers were returned together, as of a batch.

    Raises:
        VictimError: they are no numbers.
    """
    try:
        if any(row is None for row in said):  # numpy would make NaN of it
            raise TypeError
        return np.array(said if whole else [plain(row) for row in said], dtype=np.float64)
    except (TypeError, ValueError):
        odd = said if whole else next((row for row in said if _count(row) != len(labels)), said[0])
        raise VictimError(
            f"the victim {name} answered {_short(odd)}; {len(labels)} numbers a clip were expected, one for each label"
        ) from None


def place_of(said: Any, labels: Sequence[str], name: str) -> int:
    """Read a label, or its index.

    Raises:
        VictimError: it is none.
    """
    said = plain(said)
    if isinstance(said, np.ndarray) and said.size == 1:
        said = said.item()
    if isinstance(said, str) and said in labels:
        return labels.index(str(said))
    if isinstance(said, Integral) and not isinstance(said, bool) and 0 <= int(said) < len(labels):
        return int(said)
    known = nearest(said, labels) if isinstance(said, str) else f"known: {', '.join(labels)}"
    raise VictimError(
        f"the victim {name} answered {_short(said)}; a label or an index from 0 to {len(labels) - 1} was expected; "
        f"{known}"
    )


def plain(said: Any) -> Any:
    """Give a torch tensor as an array; leave everything else."""
    return said.detach().cpu().numpy() if isinstance(said, Tensor) else said


def _count(said: Any) -> int:
    """Give how many numbers there are, -1 if it is none."""
    said = plain(said)
    return -1 if said is None or isinstance(said, str) else int(np.size(said))


def _short(said: Any) -> str:
    shape = f" of shape {said.shape}" if isinstance(said, np.ndarray) else ""
    return f"{' '.join(repr(said).split()):.80} (a {type(said).__name__}{shape})"
