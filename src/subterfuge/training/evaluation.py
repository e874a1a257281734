"""How well a victim hears a set: accuracy, each class, what is taken for what, calibration, spread of the features.

The numbers are scikit-learn's where it has them. A clip of several labels (IRMAS's test set) counts as right where the
answer is one of them; its truth is then the answer, else the first of its labels that the victim knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from subterfuge.errors import InputError
from subterfuge.training._evaluation_ask import ask_all
from subterfuge.training.examples import Dataset
from subterfuge.training.substitute import wilson
from subterfuge.victim import Victim

SCHEMA = 1
BINS = 15
"""Of the reliability diagram, as in Guo et al. 2017."""
DRAWS = 2000
"""Of the bootstrap."""


@dataclass(frozen=True)
class ClassScore:
    """How one class fares; None where a number has no meaning, as the precision of what was never answered."""

    label: str
    clips: int
    """Clips that are of it."""
    answered: int
    """Clips that are taken for it."""
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Bin:
    """The clips whose answer has a probability above `low` and up to `high`."""

    low: float
    high: float
    clips: int
    confidence: float | None
    """Mean probability of the answers, None without clips."""
    accuracy: float | None
    """Share of right answers."""


@dataclass(frozen=True)
class Calibration:
    """Whether answers of probability p are right in a share p of the cases."""

    expected_error: float
    """Mean distance of confidence and accuracy over the bins, weighed by their clips."""
    confidence: float
    """Mean probability that the victim gives its own answers."""
    brier: float
    """Mean over clips of the summed squared error of all probabilities, from 0 to 2."""
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Evaluation:
    """What was found."""

    victim: str
    fingerprint: str
    data: str
    labels: tuple[str, ...]
    """The victim's."""
    clips: int
    recordings: int
    hits: int
    accuracy: float
    interval: tuple[float, float]
    """Wilson's 95 % interval, as if every clip were a recording of its own."""
    interval_by_recording: tuple[float, float]
    """95 % interval of a bootstrap that draws recordings, whose excerpts are right or wrong together."""
    macro_f1: float
    """Mean of F1 over the classes that the set has."""
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Clips of the class of the row that were taken for that of the column."""
    calibration: Calibration | None
    """None where the victim has no probabilities."""
    variance: tuple[float, ...] | None
    """Share of the variance of the standardised features that the first 1, 2, ... principal components hold."""
    several: int
    """Clips of more than one label."""
    skipped: tuple[str, ...]
    """Files of the set that could not be asked about: one sentence each."""
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"schema": SCHEMA, **asdict(self)}


def evaluate(
    victim: Victim,
    data: Dataset,
    *,
    batch: int = 32,
    seed: int = 0,
    max_seconds: float = 600.0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Ask the true victim about the mono fold of every clip of a set, at its own rate, and count.

    Args:
        victim: whom to ask. One with a method `features` gives the curve of their variance too.
        data: the set. A file that cannot be read, or that the victim dies on alone, is named and left out.
        batch: clips of one length that are asked about together.
        seed: of the bootstrap.
        max_seconds: a longer clip is left out.
        progress: called with how many clips are done, and of how many.

    Raises:
        InputError: no clips, or labels that the victim does not know.
        VictimError: it answers nothing at all.
    """
    _check_labels(data, victim.labels)
    asked = ask_all(victim, data, batch=batch, max_seconds=max_seconds, progress=progress)
    examples = [data.examples[place] for place in asked.places]
    strange = sorted({label for one in examples for label in one.labels} - set(victim.labels))
    notes = [f"the victim does not know {', '.join(strange)}, which clips have beside other labels"] if strange else []
    place_of = {label: place for place, label in enumerate(victim.labels)}
    known = [[place_of[label] for label in one.labels if label in place_of] for one in examples]
    truth = np.array(
        [said if said in those else those[0] for said, those in zip(asked.answers.tolist(), known, strict=True)],
        np.int64,
    )
    found = measure(
        truth,
        asked.answers,
        asked.probabilities,
        [one.group for one in examples],
        len(victim.labels),
        seed=seed,
    )
    if asked.probabilities is not None:
        other = int(np.count_nonzero(asked.probabilities.argmax(1) != asked.answers))
        if other:
            notes.append(f"in {other} of {len(examples)} clips another class than the answer is the most probable")
    labels = tuple(victim.labels)
    classes = tuple(ClassScore(label, *row) for label, row in zip(labels, found["classes"], strict=True))
    return Evaluation(
        **found | {"classes": classes},
        victim=victim.name,
        fingerprint=victim.fingerprint,
        data=data.name,
        labels=labels,
        variance=None if asked.features is None else variance_curve(asked.features),
        several=sum(len(one.labels) > 1 for one in examples),
        skipped=(*data.skipped, *asked.skipped),
        notes=tuple(notes),
    )


def measure(
    truth: NDArray[np.int64],
    answers: NDArray[np.int64],
    probabilities: NDArray[np.float64] | None,
    groups: Sequence[str],
    classes: int,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Count answers (n,) of `classes` classes, with probabilities (n, classes) where there are any.

    Returns:
        the fields of `Evaluation` that depend on nothing else; ``classes`` as tuples in the order of `ClassScore`.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    right = truth == answers
    every = np.arange(classes)
    table = confusion_matrix(truth, answers, labels=every)
    columns = precision_recall_fscore_support(truth, answers, labels=every, zero_division=np.nan)[:3]
    rows = [(int(table[k].sum()), int(table[:, k].sum()), *(_or_none(column[k]) for column in columns)) for k in every]
    return {
        "clips": len(truth),
        "recordings": len(set(groups)),
        "hits": int(right.sum()),
        "accuracy": float(right.mean()),
        "interval": wilson(int(right.sum()), len(right)),
        "interval_by_recording": bootstrap(right, groups, seed),
        "macro_f1": float(np.mean([f1 for clips, *_, f1 in rows if clips])),
        "classes": tuple(rows),
        "confusion": tuple(tuple(row) for row in table.tolist()),
        "calibration": None if probabilities is None else calibration(truth, answers, probabilities),
    }


def bootstrap(right: NDArray[np.bool_], groups: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """Give the 95 % interval of the share of right answers (n,) when whole recordings are drawn with replacement.

    The percentile interval of the cluster bootstrap (Davison and Hinkley 1997, section 3.8). Where all are right, or
    none, every draw says the same, so that it is Wilson's, of as many recordings.
    """
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    hits, sizes = np.bincount(place, right).astype(np.float64), np.bincount(place).astype(np.float64)
    count = len(sizes)
    if right.all() or not right.any():
        return wilson(count if right.all() else 0, count)
    die = np.random.default_rng(seed)
    drawn = die.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)
    low, high = np.quantile((drawn @ hits) / (drawn @ sizes), [0.025, 0.975])
    return float(low), float(high)


def calibration(
    truth: NDArray[np.int64], answers: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> Calibration:
    """Compare the probability that a victim gives its answers (n,) with how often they are right.

    Expected calibration error: Guo, Pleiss, Sun, Weinberger (2017), https://arxiv.org/abs/1706.04599, equation 3, in
    15 bins of equal width. Brier score: of all classes, as `sklearn.metrics.brier_score_loss` has it unhalved.
    """
    rows = np.arange(len(truth))
    sure, right = probabilities[rows, answers], truth == answers
    which = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    bins, error = [], 0.0
    for k in range(BINS):
        inside = which == k
        count = int(inside.sum())
        confidence, accuracy = (float(sure[inside].mean()), float(right[inside].mean())) if count else (None, None)
        if confidence is not None and accuracy is not None:
            error += count / len(truth) * abs(confidence - accuracy)
        bins.append(Bin(k / BINS, (k + 1) / BINS, count, confidence, accuracy))
    wanted = np.zeros_like(probabilities)
    wanted[rows, truth] = 1
    brier = float(np.square(probabilities - wanted).sum(1).mean())
    return Calibration(error, float(sure.mean()), brier, tuple(bins))


def variance_curve(features: NDArray[np.float64]) -> tuple[float, ...] | None:
    """Give the share of the variance of features (n, F) that the first 1, 2, ... principal components hold together.

    Each feature is brought to mean 0 and deviation 1 first; None where fewer than two clips or nothing varies.
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    if len(features) < 2 or not np.isfinite(features).all() or not (features.std(0) > 0).any():
        return None
    shares = PCA().fit(StandardScaler().fit_transform(features)).explained_variance_ratio_
    return tuple(float(part) for part in np.minimum(np.cumsum(shares), 1.0))


def _check_labels(data: Dataset, labels: Sequence[str]) -> None:
    from subterfuge.errors import nearest

    if not data.examples:
        raise InputError(f"{data.name}: no clips to ask about")
    strange = [one for one in data.examples if not set(one.labels) & set(labels)]
    if strange:
        words = sorted({one.label for one in strange})
        raise InputError(
            f"{data.name}: the victim does not know {', '.join(words)}, of {len(strange)} clips such as "
            f"{strange[0].path}; {nearest(words[0], labels)}. Labels must be the same words: rename the set's, or the "
            "card's, or leave those clips out"
        )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
