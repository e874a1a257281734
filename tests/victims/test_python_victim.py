"""Any function of a wave as a victim: what it gets, what it may answer, and how its faults are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from subterfuge.errors import CardError, InputError, VictimError
from subterfuge.victim import Gives, Kind
from subterfuge.victims import PythonVictim, load_victim

CODE = """
import numpy as np

def scores(wave):
    assert wave.dtype == np.float32 and wave.ndim == 1
    return [wave.std(), np.abs(wave).max(), 0.3]

def with_rate(wave, sample_rate):
    return np.array([sample_rate, len(wave), 0.0])

def with_knob(wave, knob=5):
    return np.array([knob, 0, 0.0])

def batch(waves):
    assert waves.ndim == 2
    return np.stack([waves.std(1), np.abs(waves).max(1), 0.3 + 0 * waves[:, 0]], 1)

def batch_mean(waves):
    return np.asarray(waves.mean())

def batch_sum(waves):
    return waves.sum()

def word(wave):
    return "a" if wave.std() > 0.05 else "b"

def index(wave):
    return np.int64(wave.std() > 0.05)

def words(waves):
    return [word(wave) for wave in waves]

def softmax(wave):
    e = np.exp(scores(wave))
    return e / e.sum()

def log_softmax(wave):
    return np.log(softmax(wave))

def dies(wave):
    if wave.std() < 0.01:
        raise ValueError("too quiet for me")
    return scores(wave)

def leaves(wave):
    raise SystemExit(3)

def two(wave):
    return [1, 2]

def nan(wave):
    return [1, 2, np.nan]

def nothing(wave):
    pass

def other_word(wave):
    return "celo"

def far_index(wave):
    return 3
"""


@pytest.fixture
def card(card_of: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    def write(**values: Any) -> Path:
        (tmp_path / "classify.py").write_text(CODE)
        common = {"schema": 1, "kind": "python", "sample_rate": 8000, "labels": ["a", "b", "c"]}
        return card_of(**(common | {"function": "classify.py:scores"} | values))

    return write


def waves() -> Tensor:
    scale = torch.tensor([0.1, 0.001, 0.5])[:, None]
    return scale * torch.randn(3, 4000, generator=torch.Generator().manual_seed(3)).clamp(-2, 2)


def true_scores() -> np.ndarray:
    x = waves().numpy()
    return np.stack([x.std(1), np.abs(x).max(1), np.full(3, 0.3)], 1)


@pytest.mark.parametrize(
    "changes", [{}, {"function": "classify.py:batch", "batch": True}, {"function": "classify:scores"}]
)
def test_it_answers_what_the_function_answers(changes: dict[str, Any], card) -> None:
    victim = load_victim(card(**changes))
    assert (victim.gives, victim.kind, victim.twin) == (Gives.SCORES, Kind.DECISION, None)
    np.testing.assert_allclose(victim.scores(waves()).numpy(), true_scores(), rtol=1e-6)
    assert victim.decide(waves()).tolist() == true_scores().argmax(1).tolist()
    assert victim.probabilities(waves()) is None


@pytest.mark.parametrize(
    "changes", [{"function": "classify.py:word"}, {"function": "classify.py:words", "batch": True}]
)
def test_a_function_may_give_only_labels(changes: dict[str, Any], card) -> None:
    victim = load_victim(card(gives="labels", **changes))
    assert victim.gives == Gives.LABELS
    assert victim.decide(waves()).tolist() == [0, 1, 0]
    assert victim.probabilities(waves()) is None
    with pytest.raises(VictimError, match="gives labels only"):
        victim.scores(waves())


def test_a_label_may_be_its_index(card) -> None:
    victim = load_victim(card(gives="labels", function="classify.py:index"))
    assert victim.decide(waves()).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("function", "output"),
    [("scores", "logits"), ("softmax", "probabilities"), ("log_softmax", "log-probabilities")],
)
def test_output_says_what_the_numbers_are(function: str, output: str, card) -> None:
    victim = load_victim(card(function=f"classify.py:{function}", output=output))
    e = np.exp(true_scores())
    chances = e / e.sum(1, keepdims=True)
    np.testing.assert_allclose(victim.probabilities(waves()).numpy(), chances, rtol=1e-6)
    expected = true_scores() if output == "logits" else np.log(chances)
    np.testing.assert_allclose(victim.scores(waves()).numpy(), expected, rtol=1e-6)
    assert victim.kind == (Kind.DECISION if output == "logits" else Kind.LOG_PROBABILITY)


def test_probabilities_that_the_card_does_not_call_so_are_doubted(card) -> None:
    (said,) = load_victim(card(function="classify.py:softmax")).warnings
    assert said.endswith('is it output = "probabilities"?')
    assert load_victim(card(function="classify.py:softmax", output="probabilities")).warnings == ()


def test_a_function_of_two_arguments_gets_the_rate(card) -> None:
    assert load_victim(card(function="classify.py:with_rate")).scores(waves())[0].tolist() == [8000, 4000, 0]
    assert load_victim(card(function="classify.py:with_knob")).scores(waves())[0].tolist() == [5, 0, 0]

    def named(wave: np.ndarray, sr: int = 1) -> list[float]:
        return [float(sr), 0.0]

    assert PythonVictim.of(named, labels=["a", "b"], sample_rate=8000).scores(waves())[0, 0] == 8000


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a wrong count": ({"function": "classify.py:two"}, r"shape \(1, 2\); \(1, 3\) was expected"),
    "NaN": ({"function": "classify.py:nan"}, r"NaN or infinite numbers \(1 of 3\)"),
    "nothing": ({"function": "classify.py:nothing"}, r"answered None \(a NoneType\); 3 numbers a clip"),
    "a word for scores": ({"function": "classify.py:word"}, r"answered 'a' \(a str\); 3 numbers a clip"),
    "scores for a word": (
        {"function": "classify.py:scores", "gives": "labels"},
        r"\(a list\); a label or an index from 0 to 2 was expected; known: a, b, c",
    ),
    "an unknown label": ({"function": "classify.py:other_word", "gives": "labels", "labels": ["cel", "flu"]}, "cel"),
    "a far index": ({"function": "classify.py:far_index", "gives": "labels"}, r"answered 3 .*from 0 to 2"),
    "an exit": ({"function": "classify.py:leaves"}, r"died: SystemExit: 3 \(classify.py, line \d+, in leaves\)"),
    "a batch of a lone array": (
        {"function": "classify.py:batch_mean", "batch": True},
        r"asked 1 clips in a batch and answered .* \(a ndarray of shape \(\)\); 1 answers were expected",
    ),
    "a batch of one number": (
        {"function": "classify.py:batch_sum", "batch": True},
        "asked 1 clips in a batch and answered .*; 1 answers were expected",
    ),
    "unknown gives": ({"gives": "label"}, 'gives = "label"; did you mean labels'),
    "unknown output": ({"output": "probs"}, 'output = "probs"; did you mean'),
    "labels with an output": ({"gives": "labels", "output": "logits"}, "output has no meaning"),
    "scores called probabilities": ({"output": "probabilities"}, "add up to"),
    "a bad probe": ({"probe_seconds": 0}, "probe_seconds = 0"),
    "no function": ({"function": "classify.py:score"}, "has no function score; did you mean scores"),
    "no file": ({"function": "clasify.py:scores"}, r"there is no file .*clasify\.py"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_card_is_refused_with_the_way_out(case: str, card) -> None:
    changes, told = WRONG[case]
    with pytest.raises(CardError, match=told):
        load_victim(card(**changes))


def test_an_unknown_label_is_told_with_the_nearest() -> None:
    victim = PythonVictim.of(lambda wave: "celo", labels=["cel", "flu"], sample_rate=8000, gives="labels", name="mine")
    with pytest.raises(VictimError, match=r"victim mine answered 'celo' \(a str\).*did you mean cel\?"):
        victim.decide(waves())


@pytest.mark.parametrize("answer", [True, -1, 2, 0.0, None, np.array([0, 1]), "A"])
def test_what_is_no_label_is_refused(answer: Any) -> None:
    victim = PythonVictim.of(lambda wave: answer, labels=["a", "b"], sample_rate=8000, gives="labels")
    with pytest.raises(VictimError, match="a label or an index from 0 to 1 was expected"):
        victim.decide(waves())


@pytest.mark.parametrize("answer", ["b", np.str_("b"), 1, np.int32(1), np.array(1), np.array([1]), torch.tensor(1)])
def test_labels_come_in_many_forms(answer: Any) -> None:
    victim = PythonVictim.of(lambda wave: answer, labels=["a", "b"], sample_rate=8000, gives="labels")
    assert victim.decide(waves()).tolist() == [1, 1, 1]


@pytest.mark.parametrize("row", [[1, 2], (1.0, 2.0), np.array([1, 2]), torch.tensor([1.0, 2.0]).requires_grad_()])
def test_scores_come_in_many_forms(row: Any) -> None:
    victim = PythonVictim.of(lambda wave: row, labels=["a", "b"], sample_rate=8000)
    assert victim.scores(waves()).tolist() == [[1, 2]] * 3


def test_an_error_in_the_function_is_told_with_its_place(card, tmp_path: Path) -> None:
    victim = load_victim(card(function="classify.py:dies", name="mine"))
    line = CODE.splitlines().index('        raise ValueError("too quiet for me")') + 1
    with pytest.raises(
        VictimError, match=rf"the victim mine died: ValueError: too quiet for me \(classify.py, line {line}, in dies\)"
    ):
        victim.decide(waves())


def test_a_function_cannot_change_the_wave_that_it_hears() -> None:
    def meddling(wave: np.ndarray) -> list[float]:
        wave[:] = 0
        return [1.0, 2.0]

    asked = waves()
    PythonVictim.of(meddling, labels=["a", "b"], sample_rate=8000).decide(asked)
    assert torch.equal(asked, waves())


def test_a_function_in_hand_has_a_name_and_a_fingerprint() -> None:
    def one(wave: np.ndarray) -> list[float]:
        return [1.0, 2.0]

    def other(wave: np.ndarray) -> list[float]:
        return [2.0, 1.0]

    fields: dict[str, Any] = {"labels": ["a", "b"], "sample_rate": 8000}
    victim = PythonVictim.of(one, **fields)
    assert victim.name == "one"
    prints = {victim.fingerprint, PythonVictim.of(other, **fields).fingerprint}
    prints.add(PythonVictim.of(one, labels=["a", "c"], sample_rate=8000).fingerprint)
    prints.add(PythonVictim.of(one, **fields, output="logits").fingerprint)
    assert len(prints) == 4
    assert PythonVictim.of(one, **fields).fingerprint == victim.fingerprint


def test_the_fingerprint_follows_the_source(card, tmp_path: Path) -> None:
    path = card()
    one = load_victim(path).fingerprint
    assert load_victim(path).fingerprint == one
    (tmp_path / "classify.py").write_text(CODE.replace("0.3]", "0.4]"))
    assert load_victim(path).fingerprint != one


def test_wrong_arguments_are_refused() -> None:
    for changes, told in (
        ({"labels": ["a"]}, "labels has 1 entries"),
        ({"output": "probs"}, "did you mean probabilities"),
        ({"gives": "label"}, "did you mean labels"),
    ):
        with pytest.raises(InputError, match=told):
            PythonVictim.of(np.sum, **({"labels": ["a", "b"], "sample_rate": 8000} | changes))


@pytest.mark.parametrize("changes", [{}, {"function": "classify.py:batch", "batch": True}])
def test_no_clips_have_no_numbers(changes: dict[str, Any], card) -> None:
    victim = load_victim(card(**changes))
    assert victim.scores(waves()[:0]).shape == (0, 3)
    assert victim.decide(waves()[:0]).shape == (0,)
