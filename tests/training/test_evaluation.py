"""Evaluation: against scikit-learn, closed forms, and a victim whose answers are known."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, brier_score_loss, f1_score
from torch import Tensor

from subterfuge.errors import InputError, VictimError
from subterfuge.training.demo_data import embedded_card, embedded_clips, embedded_features
from subterfuge.training.evaluation import bootstrap, calibration, evaluate, measure, variance_curve
from subterfuge.training.examples import Dataset, Example
from subterfuge.training.held_out import only_held_out, read_held_out, record_beside
from subterfuge.training.substitute import wilson
from subterfuge.victim import Gives, Kind
from subterfuge.victims import load_victim

RATE = 8000


@dataclass(frozen=True)
class Levels:
    """Says how loud a sound of constant samples is: under 0.25, under 0.5, or more; dies on what is under 0."""

    sure: bool = True
    doubts: bool = False
    name: str = "levels"
    labels: tuple[str, ...] = ("soft", "middle", "loud")
    sample_rate: int = RATE
    gives: Gives = Gives.LABELS
    kind: Kind = Kind.DECISION
    fingerprint: str = "levels"
    twin: None = None
    warnings: tuple[str, ...] = ()
    batches: list[int] = field(default_factory=list)

    def decide(self, wave: Tensor) -> Tensor:
        self.batches.append(len(wave))
        if bool((wave < 0).any()):
            raise VictimError("it heard something below 0")
        return (wave.mean(-1)[:, None] > torch.tensor([0.25, 0.5])).sum(-1)

    def scores(self, wave: Tensor) -> Tensor:
        raise NotImplementedError

    def probabilities(self, wave: Tensor) -> Tensor | None:
        if not self.sure:
            return None
        said = self.decide(wave)
        said = (said + 1) % 3 if self.doubts else said
        return 0.64 * torch.nn.functional.one_hot(said, 3) + 0.12


def example(
    folder: Path, level: float, label: str, group: str, also: tuple[str, ...] = (), length: int = 80
) -> Example:
    path = folder / f"{label}-{group}-{level:g}-{length}.wav"
    soundfile.write(path, np.full(length, level), RATE, subtype="FLOAT")
    return Example(path, label, group, also)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Seven clips of five recordings, two of which are said to be louder than their label."""
    levels = [
        (0.1, "soft", "a"),
        (0.2, "soft", "a"),
        (0.3, "soft", "b"),
        (0.3, "middle", "c"),
        (0.4, "middle", "c"),
        (0.6, "middle", "d"),
        (0.7, "loud", "e"),
    ]
    return Dataset("levels", tuple(example(tmp_path, *one) for one in levels))


def test_answers_are_counted_class_by_class(data: Dataset) -> None:
    found = evaluate(Levels(), data)
    assert (found.hits, found.clips, found.recordings, found.accuracy) == (5, 7, 5, 5 / 7)
    assert found.confusion == ((2, 1, 0), (0, 2, 1), (0, 0, 1))
    assert [(one.label, one.clips, one.answered) for one in found.classes] == [
        ("soft", 3, 2),
        ("middle", 3, 3),
        ("loud", 1, 2),
    ]
    assert [(one.precision, one.recall) for one in found.classes] == [(1.0, 2 / 3), (2 / 3, 2 / 3), (0.5, 1.0)]
    assert [one.f1 for one in found.classes] == pytest.approx([0.8, 2 / 3, 2 / 3])
    assert found.macro_f1 == pytest.approx((0.8 + 4 / 3) / 3)
    assert found.interval == wilson(5, 7)


def test_what_was_never_answered_has_no_precision_and_what_is_not_there_no_recall(tmp_path: Path) -> None:
    data = Dataset("two", (example(tmp_path, 0.1, "loud", "a"), example(tmp_path, 0.2, "soft", "b")))
    soft, middle, loud = evaluate(Levels(), data).classes
    assert (soft.precision, soft.recall) == (0.5, 1.0)
    assert (middle.precision, middle.recall, middle.f1) == (None, None, None)
    assert (loud.precision, loud.recall, loud.f1) == (None, 0.0, 0.0)


def test_an_evaluation_is_plain_json(data: Dataset) -> None:
    found = evaluate(Levels(), data).as_json()
    assert json.loads(json.dumps(found, allow_nan=False))["confusion"] == [[2, 1, 0], [0, 2, 1], [0, 0, 1]]
    assert found["schema"] == 1


def test_clips_of_one_length_are_asked_about_together_and_order_does_not_matter(tmp_path: Path) -> None:
    mixed = [example(tmp_path, 0.1 + 0.05 * k, "soft", str(k), length=80 + 20 * (k % 2)) for k in range(9)]
    victim = Levels(sure=False)
    found = evaluate(victim, Dataset("mixed", tuple(mixed)), batch=3)
    assert sorted(victim.batches) == [1, 2, 3, 3]
    again = evaluate(Levels(sure=False), Dataset("mixed", tuple(reversed(mixed))), batch=1)
    assert (found.hits, found.confusion) == (again.hits, again.confusion)


def test_sounds_do_not_pile_up_where_every_length_is_another(tmp_path: Path) -> None:
    mixed = [example(tmp_path, 0.1, "soft", str(k), length=80 + k) for k in range(40)]
    victim, told = Levels(sure=False), []
    evaluate(victim, Dataset("mixed", tuple(mixed)), batch=2, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (1, 40)
    assert told[-1] == (40, 40)
    assert len(told) == 40


def test_a_clip_of_several_labels_is_right_where_the_answer_is_one_of_them(tmp_path: Path) -> None:
    clips = (
        example(tmp_path, 0.1, "loud", "a", ("soft",)),
        example(tmp_path, 0.1, "loud", "b", ("middle",)),
        example(tmp_path, 0.1, "drums", "c", ("soft",)),
    )
    found = evaluate(Levels(), Dataset("several", clips))
    assert (found.hits, found.clips, found.several) == (2, 3, 3)
    assert found.confusion == ((2, 0, 0), (0, 0, 0), (1, 0, 0))
    assert found.notes == ("the victim does not know drums, which clips have beside other labels",)


def test_labels_that_the_victim_does_not_know_are_named_before_any_work(tmp_path: Path) -> None:
    victim = Levels()
    data = Dataset("other", (example(tmp_path, 0.1, "lound", "a"), example(tmp_path, 0.1, "soft", "b")))
    with pytest.raises(InputError, match=r"does not know lound, of 1 clips .* did you mean loud"):
        evaluate(victim, data)
    assert victim.batches == []


def test_a_bad_file_is_named_and_left_out(data: Dataset, tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF no sound")
    worse = Dataset("levels", (Example(bad, "soft", "z"), *data.examples), ("x.txt: no sound.",))
    found = evaluate(Levels(), worse)
    assert found.clips == 7
    assert (found.skipped[0], str(bad) in found.skipped[1], len(found.skipped)) == ("x.txt: no sound.", True, 2)


def test_a_clip_too_long_is_named_and_left_out(data: Dataset, tmp_path: Path) -> None:
    long = example(tmp_path, 0.1, "soft", "q", length=2 * RATE)
    found = evaluate(Levels(), Dataset("levels", (*data.examples, long)), max_seconds=1)
    assert (found.clips, len(found.skipped)) == (7, 1)
    assert str(long.path) in found.skipped[0]


def test_a_clip_that_the_victim_dies_on_is_named_and_the_others_of_its_batch_are_asked(
    data: Dataset, tmp_path: Path
) -> None:
    deadly = example(tmp_path, -0.5, "soft", "z")
    found = evaluate(Levels(), Dataset("levels", (data.examples[0], deadly, *data.examples[1:])))
    assert (found.clips, found.hits) == (7, 5)
    assert found.skipped == (f"{deadly.path}: it heard something below 0",)


def test_a_victim_that_dies_on_everything_is_an_error_of_the_victim(tmp_path: Path) -> None:
    with pytest.raises(VictimError, match="below 0"):
        evaluate(Levels(), Dataset("dead", (example(tmp_path, -0.5, "soft", "z"),)))


def test_a_set_without_a_file_that_can_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of its 1 clips.*gone\.wav"):
        evaluate(Levels(), Dataset("gone", (Example(tmp_path / "gone.wav", "soft", "z"),)))
    with pytest.raises(InputError, match="no clips"):
        evaluate(Levels(), Dataset("empty", ()))


def test_calibration_in_closed_form(data: Dataset) -> None:
    """Always 0.76 sure, right in 5 of 7; wrong is 0.76² + 0.88² + 0.12² off, right 0.24² + 2 · 0.12²."""
    told = evaluate(Levels(), data).calibration
    assert told is not None
    assert told.confidence == pytest.approx(0.76)
    assert told.expected_error == pytest.approx(0.76 - 5 / 7, abs=1e-6)
    assert told.brier == pytest.approx((5 * 0.0864 + 2 * 1.3664) / 7)
    assert [one.clips for one in told.bins] == [0] * 11 + [7] + [0] * 3
    assert told.bins[11].accuracy == pytest.approx(5 / 7)
    assert told.bins[0].accuracy is None


def test_a_victim_without_probabilities_has_no_calibration(data: Dataset) -> None:
    found = evaluate(Levels(sure=False), data)
    assert (found.calibration, found.variance) == (None, None)


def test_answers_that_are_not_the_most_probable_are_told(data: Dataset) -> None:
    found = evaluate(Levels(doubts=True), data)
    assert found.notes == ("in 7 of 7 clips another class than the answer is the most probable",)
    assert found.calibration is not None
    assert found.calibration.confidence == pytest.approx(0.12)


@given(st.integers(0, 10**6))
def test_the_numbers_are_scikit_learns(seed: int) -> None:
    die = np.random.default_rng(seed)
    n, k = int(die.integers(1, 60)), int(die.integers(2, 6))
    truth, answers = die.integers(0, k, n), die.integers(0, k, n)
    chances = die.dirichlet(np.ones(k), n)
    found = measure(truth, answers, chances, [str(place // 2) for place in range(n)], k)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, answers))
    present = np.unique(truth)
    assert found["macro_f1"] == pytest.approx(f1_score(truth, answers, labels=present, average="macro"))
    told = found["calibration"]
    if len(present) > 1 and k > 2:
        labels = list(range(k))
        brier = brier_score_loss(truth, chances, labels=labels, scale_by_half=False)
        assert told.brier == pytest.approx(brier)
    assert sum(one.clips for one in told.bins) == n
    assert 0 <= told.expected_error <= 1
    low, high = found["interval_by_recording"]
    assert 0 <= low <= high <= 1


def test_the_calibration_error_is_guos_sum_written_out_slowly() -> None:
    die = np.random.default_rng(1)
    chances = die.dirichlet(0.3 * np.ones(4), 300)
    answers, truth = chances.argmax(1), die.integers(0, 4, 300)
    error = 0.0
    for m in range(15):
        inside = [i for i in range(300) if m / 15 < chances[i].max() <= (m + 1) / 15]
        if inside:
            right = sum(answers[i] == truth[i] for i in inside) / len(inside)
            error += len(inside) / 300 * abs(right - sum(chances[i].max() for i in inside) / len(inside))
    assert calibration(truth, answers, chances).expected_error == pytest.approx(error)


def test_a_model_that_is_as_sure_as_it_is_right_has_nearly_no_calibration_error() -> None:
    die = np.random.default_rng(2)
    chances = die.dirichlet(np.ones(3), 20000)
    truth = (die.uniform(size=(20000, 1)) > chances.cumsum(1)).sum(1)
    assert calibration(truth, chances.argmax(1), chances).expected_error < 0.015


def test_of_single_clips_the_bootstrap_is_the_binomial_interval() -> None:
    right = np.arange(400) % 4 > 0
    low, high = bootstrap(right, [str(k) for k in range(400)])
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.006)


def test_where_excerpts_are_right_together_the_interval_is_as_wide_as_their_number_demands() -> None:
    """Four excerpts that always agree tell as much as one: the interval is twice as wide."""
    right = np.repeat(np.arange(200) % 4 > 0, 4)
    low, high = bootstrap(right, [str(k // 4) for k in range(800)])
    half = 1.96 * math.sqrt(0.75 * 0.25 / 200)
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.009)


@pytest.mark.parametrize(("right", "ends"), [(True, (0, 1)), (False, (1, 0))])
def test_where_all_are_right_or_none_it_is_wilsons_of_the_recordings(right: bool, ends: tuple[int, int]) -> None:
    groups = ["a", "a", "b", "b", "c", "c"]
    assert bootstrap(np.full(6, right), groups) == wilson(3 if right else 0, 3)


def test_the_same_seed_gives_the_same_interval() -> None:
    right, groups = np.arange(1001) % 3 > 0, [str(k // 2) for k in range(1001)]
    assert bootstrap(right, groups, 1) == bootstrap(right, groups, 1) != bootstrap(right, groups, 2)


def test_two_features_that_move_together_are_one_component() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 500))
    curve = variance_curve(np.stack([one, 5 * one + 3, other], 1))
    assert curve is not None
    share = (2 + 1e-9) / 3  # eigenvalues of the correlation matrix: 2 less a little, 1 and 0
    assert curve[0] == pytest.approx(share, abs=0.02)
    assert curve[1:] == pytest.approx((1.0, 1.0))


def test_the_variance_curve_is_of_the_eigenvalues_of_the_correlation_matrix() -> None:
    x: NDArray[Any] = embedded_features().X.astype(np.float64)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.corrcoef(x.T)))[::-1]
    assert variance_curve(x) == pytest.approx(eigenvalues.cumsum() / eigenvalues.sum(), abs=1e-9)


@pytest.mark.parametrize("features", [np.ones((5, 3)), np.zeros((1, 4)), np.full((3, 2), np.nan)])
def test_features_that_do_not_vary_have_no_curve(features: NDArray[np.float64]) -> None:
    assert variance_curve(features) is None


def test_the_demos_victim_hears_three_of_its_clips_and_shows_its_features() -> None:
    clips = embedded_clips()[:3]
    data = Dataset("embedded", tuple(Example(path, path.name[1:4], path.stem) for path in clips))
    found = evaluate(load_victim(embedded_card()), data)
    assert (found.hits, found.clips) == (3, 3)
    assert found.calibration is not None
    assert found.variance is not None
    assert found.variance[-1] == pytest.approx(1.0)


def test_only_recordings_that_the_training_held_out_are_left(data: Dataset, tmp_path: Path) -> None:
    record = tmp_path / "net.training.json"
    record.write_text('{"held_out": ["b", "e", "zz"]}')
    assert record_beside(tmp_path / "net.toml") == record
    assert record_beside(tmp_path / "other.toml") is None
    left = only_held_out(data, read_held_out(record))
    assert [one.group for one in left.examples] == ["b", "e"]
    with pytest.raises(InputError, match="none is among the 1"):
        only_held_out(data, ("zz",))


@pytest.mark.parametrize("text", ["", "[1]", '{"held_out": 3}', '{"held_out": [1]}', "{}", "\xff"])
def test_a_record_that_does_not_say_what_was_held_out_is_an_error(tmp_path: Path, text: str) -> None:
    record = tmp_path / "net.training.json"
    record.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"net\.training\.json"):
        read_held_out(record)
    with pytest.raises(InputError, match="no record"):
        read_held_out(tmp_path / "gone.training.json")
