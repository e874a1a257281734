"""An evaluation in pictures: confusion, each class, calibration, variance. PNG files as bytes; nothing is shown."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from subterfuge.errors import MissingExtra
from subterfuge.training.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = ("confusion.png", "classes.png", "reliability.png", "variance.png")
DOTS_PER_INCH = 120
BLUE, ORANGE = "#0072b2", "#d55e00"
"""Told apart without colour vision (Okabe and Ito)."""


def draw(found: Evaluation) -> dict[str, bytes]:
    """Draw what there is of `NAMES`.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    check_matplotlib()
    made = {"confusion.png": _confusion(found), "classes.png": _classes(found)}
    if found.calibration is not None:
        made["reliability.png"] = _reliability(found)
    if found.variance is not None:
        made["variance.png"] = _variance(found)
    return {name: _png(figure) for name, figure in made.items()}


def check_matplotlib() -> None:
    """Make sure that pictures can be drawn.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError:
        raise MissingExtra('pictures need matplotlib: pip install "sonic-subterfuge[train]"') from None
    del matplotlib


def _new(width: float, height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label in letters that the font lacks
        figure.savefig(out, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return out.getvalue()


def _plain(text: str) -> str:
    """Keep matplotlib from reading a label as mathematics."""
    return text.replace("$", r"\$")


def _titled(axes: Any, found: Evaluation, text: str) -> None:
    axes.set_title(_plain(f"{found.victim}: {text}"), fontsize=10)


def _confusion(found: Evaluation) -> Figure:
    """Draw counts, shaded by the share of the row."""
    counts = np.array(found.confusion)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = max(3.5, 1.5 + 0.42 * len(found.labels))
    figure, axes = _new(size + 0.6, size)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=ink)
    labels = [_plain(label) for label in found.labels]
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    _titled(axes, found, f"{found.hits} of {found.clips} right")
    return figure


def _classes(found: Evaluation) -> Figure:
    scores = [one for one in found.classes if one.clips]
    figure, axes = _new(5.5, max(2.5, 1.2 + 0.3 * len(scores)))
    places = np.arange(len(scores))
    axes.barh(places, [one.f1 or 0.0 for one in scores], color=BLUE)
    axes.set_yticks(places, [_plain(f"{one.label} ({one.clips})") for one in scores])
    axes.invert_yaxis()
    axes.axvline(found.macro_f1, color=ORANGE, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_xlabel("F1")
    _titled(axes, found, f"F1 of each class (clips), mean {found.macro_f1:.3f}")
    return figure


def _reliability(found: Evaluation) -> Figure:
    told = found.calibration
    assert told is not None, "only drawn where there is one"
    bins = [one for one in told.bins if one.clips]
    figure, axes = _new(4.8, 4.4)
    axes.bar(
        [(one.low + one.high) / 2 for one in bins],
        [one.accuracy for one in bins],
        width=1 / len(told.bins),
        color=BLUE,
        edgecolor="white",
    )
    axes.plot([0, 1], [0, 1], color="0.5", linestyle=":")
    axes.plot([one.confidence for one in bins], [one.accuracy for one in bins], "o", color=ORANGE, markersize=4)
    for one in bins:
        ink = "white" if one.accuracy and one.accuracy > 0.05 else "black"
        axes.text((one.low + one.high) / 2, 0.01, str(one.clips), ha="center", fontsize=6, color=ink)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("probability that it gives its answer")
    axes.set_ylabel("share that is right")
    _titled(axes, found, f"expected calibration error {told.expected_error:.3f}")
    return figure


def _variance(found: Evaluation) -> Figure:
    assert found.variance is not None, "only drawn where there is one"
    figure, axes = _new(5.2, 3.6)
    axes.plot(range(1, len(found.variance) + 1), found.variance, "o-", color=BLUE, markersize=4)
    axes.axhline(0.9, color=ORANGE, linestyle="--")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("principal components of the standardised features")
    axes.set_ylabel("share of the variance")
    _titled(axes, found, f"{components(found.variance, 0.9)} of {len(found.variance)} components hold 90 %")
    return figure


def components(variance: tuple[float, ...], share: float) -> int:
    """Say how many components hold a share of the variance.

    >>> components((0.5, 0.8, 0.95, 1.0), 0.9)
    3
    """
    return next((count for count, held in enumerate(variance, 1) if held >= share), len(variance))
