from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from subterfuge.training.demo_data import embedded_clips


@pytest.fixture(scope="module")
def train() -> Any:
    path = Path(__file__).resolve().parents[2] / "tools" / "train_demo_victim.py"
    spec = importlib.util.spec_from_file_location("train_demo_victim", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_demo_victim"] = module  # where dataclasses looks for it
    spec.loader.exec_module(module)
    return module


def table(train: Any, n: int = 40) -> Any:
    """Rows of two labels, two fonts, and four programs of which one label owns three."""
    dice, row = np.random.default_rng(0), np.arange(n)
    label = np.where(row % 4 == 0, "cel", "pia")
    X = dice.normal(size=(n, 25)).astype(np.float32) + 3 * (row % 4 == 0)[:, None]
    font = np.where(row // 4 % 2 == 0, "a", "b")
    return train.Table(X, label, font, row % 4, row.astype(str), np.zeros(n), tuple(row.astype(str)))


def test_a_left_out_program_is_never_trained_on_and_a_class_never_heard_is_not_asked_for(train: Any) -> None:
    data = table(train)
    splits = train.leave_out(data.program, data.label)
    assert [set(data.program[test]) for _, test in splits] == [{1}, {2}, {3}]  # cel has program 0 alone
    assert all(len(set(data.program[a]) & set(data.program[b])) == 0 for a, b in splits)


def test_classes_that_lie_apart_are_told_apart_by_every_split(train: Any) -> None:
    assert set(train.figures(table(train)).values()) == {1.0}


def test_the_chosen_clips_are_right_and_of_fonts_in_turn_where_sure_enough(train: Any) -> None:
    data, classes = table(train), ["cel", "pia"]
    sure = np.array([[0.9, 0.1] if label == "cel" else [0.2, 0.8] for label in data.label])
    first, second = train.choose(data, sure, classes)
    assert (data.label[first], data.font[first]) == ("cel", "a")
    assert (data.label[second], data.font[second]) == ("pia", "b")
    unsure = np.array([[0.55, 0.45] if label == "cel" else [0.45, 0.55] for label in data.label])
    unsure[30], unsure[1] = (0.42, 0.58), (0.58, 0.42)
    assert train.choose(data, unsure, classes)[1] == 30


def test_the_features_of_the_tool_are_25_finite_numbers_in_the_studys_order(train: Any) -> None:
    numbers = train.features(embedded_clips()[0])
    assert (numbers.shape, numbers.dtype) == ((25,), np.float32)
    assert np.isfinite(numbers).all()
    rms, centroid, bandwidth, rolloff, crossings = numbers[:5]
    assert 0 < rms < 1
    assert 0 < crossings < 1
    assert 50 < centroid < rolloff < 22050
    assert 50 < bandwidth < 22050
