"""Load a model file that may come from anyone: skops, joblib or pickle, told apart by content.

A pickle is a program. So a file is read by an unpickler of our own that builds numpy arrays and instances of
known scikit-learn classes, by their exact names, and refuses everything else before anything is built;
`trust_pickle` hands the file to joblib and its program to Python.
"""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib

from subterfuge.errors import CardError, UntrustedModel
from subterfuge.victims._inflate import Unreadable, inflate
from subterfuge.victims._model_age import is_later, newer
from subterfuge.victims._native import check
from subterfuge.victims._skops_file import is_zip, load_skops
from subterfuge.victims._unpickle import unpickle
from subterfuge.victims.modelfile.numpy import Damaged, Refused

MOST_BYTES = 2 * 2**30
"""The largest model file, as it lies and as it unpacks."""

_EXPECTED = "a scikit-learn model saved with skops, joblib or pickle"
_SHOWN = 12


@dataclass(frozen=True)
class LoadedModel:
    """A model, and what its user must know of the file."""

    estimator: object
    warnings: tuple[str, ...]
    """Short sentences, such as that another scikit-learn has saved it."""
    sha256: str
    """Of the file, in hexadecimal."""


def load_model(path: Path, *, trust_pickle: bool = False) -> LoadedModel:
    """Load a model file, skops, joblib (plain or compressed) or pickle, without running what it brings.

    Args:
        path: the file; its suffix does not matter.
        trust_pickle: load joblib and pickle files as Python does, with whatever they run. skops files are
            checked all the same.

    Raises:
        UntrustedModel: it asks for a class or function that is not on our list; the message names them all.
        CardError: there is no such file, or it is damaged, too large, or in no form that we know.
    """
    raw = _bytes(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = _load(path, raw, trust_pickle)
    return LoadedModel(estimator, _sentences(caught), hashlib.sha256(raw).hexdigest())


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not path.is_file():
            what = "a folder" if path.is_dir() else "not a plain file"
            raise CardError(f"The model {path} is {what}. Expected is {_EXPECTED}. Name the file itself.")
        if size > MOST_BYTES:
            raise _unknown(path, f"is larger than {MOST_BYTES / 2**20:g} MiB ({size / 2**20:.0f} MiB)")
        raw = path.read_bytes()
    except OSError as reason:
        raise CardError(
            f"The model file {path} cannot be read ({reason.strerror}). "
            f"Expected is {_EXPECTED}. Look at the path on the victim's card."
        ) from None
    if not raw:
        raise _unknown(path, "is empty")
    return raw


def _load(path: Path, raw: bytes, trust_pickle: bool) -> object:
    form = "a skops file" if is_zip(raw) else "a pickle"
    try:
        if form == "a skops file":
            estimator = load_skops(raw, MOST_BYTES)
        elif trust_pickle:
            return joblib.load(BytesIO(raw))
        else:
            estimator = unpickle(inflate(raw, MOST_BYTES))
        check(estimator)
        return estimator
    except Refused as reason:
        raise _refused(path, form, [str(what) for what in reason.args], _hint(raw)) from None
    except (Unreadable, Damaged) as reason:
        hint = _hint(raw) if isinstance(reason, Damaged) else ""  # what cannot be unpacked is not unpacked again
        raise _unknown(path, f"cannot be loaded: {reason}", hint) from None
    except Exception as reason:
        hint = _hint(raw)
        what = "cannot be loaded" if hint else "is damaged, or in no form that we know"
        raise _unknown(path, f"{what} ({_short(reason)})", hint) from None


def _hint(raw: bytes) -> str:
    """Say, for the end of a message, which library the file is too new for; nothing if it is for none."""
    late = newer(raw, MOST_BYTES)
    if late is None:
        return ""
    return (
        f" It was saved with {late.name} {late.saved:.20}, and {late.here} is installed here, which is older: install "
        f"that version (pip install -U {late.package}), or save the model again with this one."
    )


def _refused(path: Path, form: str, found: list[str], hint: str) -> UntrustedModel:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    override = (
        "If you know who made the file, --trust-pickle loads it and runs what is in it."
        if form == "a pickle"
        else "Save the model again from plain scikit-learn classes; one that holds neighbour trees, with joblib."
    )
    return UntrustedModel(
        f"The model file {path} asks, as {form}, for more than data and known scikit-learn classes: "
        f"{', '.join(found[:_SHOWN])}{more}. Nothing of it was run. Expected is {_EXPECTED}, of "
        "scikit-learn's own classifiers, scalers and pipelines, or a network's weights as safetensors. "
        f"{override}{hint}"
    )


def _unknown(path: Path, what: str, hint: str = "") -> CardError:
    advice = hint or " Save the model again, for instance with skops.io.dump(model, 'model.skops')."
    return CardError(f"The model file {path} {what}. Expected is {_EXPECTED}.{advice}")


def _short(reason: Exception) -> str:
    text = " ".join(str(reason).split())
    return f"{type(reason).__name__}: {text:.200}" if text else type(reason).__name__


def _sentences(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Turn warnings into short sentences, each once; those of versions into one that names the classes."""
    others: dict[str, None] = {}
    models: dict[tuple[str, str], dict[str, None]] = {}
    for warning in caught:
        told: Any = warning.message
        saved = getattr(told, "original_sklearn_version", None)
        if saved is not None:
            versions = str(saved), str(told.current_sklearn_version)
            models.setdefault(versions, {})[str(told.estimator_name)] = None
        else:
            text = " ".join(str(told).split())
            others[f"{type(told).__name__}: {text.split('. ')[0].rstrip('.'):.200}."] = None
    return (
        *(
            f"Saved with scikit-learn {saved:.20}, loaded with {current} ({', '.join(names)})"
            f"{', which is older: it may answer otherwise.' if is_later(saved, current) else '.'}"
            for (saved, current), names in models.items()
        ),
        *others,
    )
