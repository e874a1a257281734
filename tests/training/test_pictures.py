"""Pictures of an evaluation: there where there is something to show, readable as PNG, the same each time."""

from __future__ import annotations

import builtins
import io
from typing import Any

import numpy as np
import pytest

from subterfuge.errors import MissingExtra
from subterfuge.training.evaluation import ClassScore, Evaluation, measure
from subterfuge.training.pictures import NAMES, check_matplotlib, components, draw

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

LABELS = ("cel", "$f_{u}$", "音")
"""The second is mathematics to matplotlib, the third is not in its font."""


def evaluation(*, sure: bool = True, variance: tuple[float, ...] | None = (0.6, 0.9, 1.0)) -> Evaluation:
    die = np.random.default_rng(0)
    truth, chances = die.integers(0, 2, 30), die.dirichlet(np.ones(3), 30)
    found = measure(truth, chances.argmax(1), chances if sure else None, [str(k // 2) for k in range(30)], 3)
    classes = tuple(ClassScore(label, *row) for label, row in zip(LABELS, found["classes"], strict=True))
    return Evaluation(
        **found | {"classes": classes},
        victim="$net",
        fingerprint="f",
        data="d",
        labels=LABELS,
        variance=variance,
        several=0,
        skipped=(),
    )


def test_each_picture_is_a_png_with_something_drawn_in_it() -> None:
    from matplotlib.image import imread

    drawn = draw(evaluation())
    assert tuple(drawn) == NAMES
    for content in drawn.values():
        pixels = imread(io.BytesIO(content))
        assert min(pixels.shape[:2]) > 200
        assert float(pixels[..., :3].std()) > 0.05


def test_without_probabilities_or_features_their_pictures_are_not_drawn() -> None:
    assert tuple(draw(evaluation(sure=False, variance=None))) == ("confusion.png", "classes.png")


def test_the_same_evaluation_is_drawn_in_the_same_bytes() -> None:
    assert draw(evaluation()) == draw(evaluation())


def test_the_confusion_is_darker_where_more_of_a_class_goes() -> None:
    from matplotlib.image import imread

    def blue(confusion: tuple[tuple[int, ...], ...]) -> float:
        found = evaluation()
        changed = Evaluation(**{**vars(found), "confusion": confusion})
        return float(imread(io.BytesIO(draw(changed)["confusion.png"]))[..., 0].mean())

    assert blue(((9, 0, 0), (0, 9, 0), (0, 0, 9))) < blue(((3, 3, 3), (3, 3, 3), (3, 3, 3)))


def test_without_matplotlib_the_pip_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtra, match=r"pip install .*\[train\]"):
        check_matplotlib()


def test_components_counts_how_many_hold_a_share() -> None:
    assert [components((0.6, 0.9, 1.0), share) for share in (0.5, 0.6, 0.61, 0.9, 0.95, 1.0)] == [1, 1, 2, 2, 3, 3]
