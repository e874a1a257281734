"""Each family is scikit-learn's, repeatable, saved without a pickle; the search is RandomizedSearchCV's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import ParameterSampler, RandomizedSearchCV

from subterfuge.errors import InputError
from subterfuge.training import families
from subterfuge.training.families import FAMILIES, Fitted, fit
from subterfuge.training.saving import Places, save, steady_skops
from subterfuge.training.splits import By, folds
from subterfuge.training.tables import Table
from subterfuge.training.tuning import search_randomly
from subterfuge.victims import load_victim
from subterfuge.victims.modelfile import load_model

WAYS: tuple[By, ...] = ("recording", "random")


def table(recordings: int = 12, *, classes: int = 3, spread: float = 1.5, seed: int = 0) -> Table:
    """Two rows a recording, 25 features; a class is a place, a recording a place near it."""
    dice = np.random.default_rng(seed)
    places = dice.normal(size=(classes, 25))
    X, y, groups = [], [], []
    for label in range(classes):
        for recording in range(recordings):
            centre = places[label] + spread * dice.normal(size=25)
            X.append(centre + 0.1 * dice.normal(size=(2, 25)))
            y += [f"class {label}"] * 2
            groups += [f"{label}-{recording}"] * 2
    names = np.array([f"{group}__{k % 2}" for k, group in enumerate(groups)])
    return Table(np.concatenate(X), np.array(y), np.array(groups), names, "librosa-mean-25", 44100)


@cache
def fitted(family: str) -> Fitted:
    return fit(family, table(), seed=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_comes_back_from_its_card_without_trust_and_answers_alike(family: str, tmp_path: Path) -> None:
    card = save(fitted(family), Places.of(tmp_path, family), sample_rate=44100)
    victim: Any = load_victim(card)
    loaded: Any = load_model(tmp_path / f"{family}.skops").estimator
    X = table(seed=1).X
    np.testing.assert_array_equal(loaded.predict(X), fitted(family).estimator.predict(X))
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted(family).estimator.predict_proba(X))
    assert (victim.labels, victim.sample_rate, victim.warnings) == (("class 0", "class 1", "class 2"), 44100, ())
    assert victim.twin is not None
    assert victim.decide(0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))).shape == (2,)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_file_to_the_byte(family: str) -> None:
    assert steady_skops(fit(family, table(), seed=0).estimator) == steady_skops(fitted(family).estimator)


@pytest.mark.parametrize("family", ["tree", "forest", "dense"])
def test_another_seed_gives_another_model(family: str) -> None:
    assert steady_skops(fit(family, table(), seed=1).estimator) != steady_skops(fitted(family).estimator)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_what_a_nearest_centre_would(family: str) -> None:
    rows = table(60, spread=0.5)
    half = np.isin([group[-1] for group in rows.groups.tolist()], ["0", "2", "4", "6", "8"])
    centres = np.stack([rows.X[half & (rows.y == label)].mean(0) for label in rows.labels])
    nearest = np.array(rows.labels)[np.linalg.norm(rows.X[~half, None] - centres, axis=2).argmin(1)]
    assert np.mean(nearest == rows.y[~half]) == 1
    assert np.mean(fit(family, rows.at(half)).estimator.predict(rows.X[~half]) == nearest) > 0.9


@pytest.mark.parametrize("family", FAMILIES)
def test_whatever_a_search_draws_can_be_set(family: str) -> None:
    for setting in ParameterSampler(FAMILIES[family].space(), 20, random_state=0):
        FAMILIES[family].make(0).set_params(**setting)


def test_the_studys_space_is_that_of_the_study() -> None:
    drawn = list(ParameterSampler(FAMILIES["svc"].space(), 400, random_state=0))
    costs = [one["svc__C"] for one in drawn]
    assert (min(costs) >= 0.1, max(costs) <= 20.1) == (True, True)
    assert abs(np.mean(costs) - 10.1) < 1  # 3.5 deviations of the mean of 400
    assert {one["svc__gamma"] for one in drawn} == {0.1, 1.0, 10.0, 100.0}
    svc = FAMILIES["svc"].make(0)[-1]
    assert (svc.kernel, svc.C, svc.gamma) == ("rbf", 10.78, 0.1)


@pytest.mark.parametrize("by", ["recording", "random"])
@pytest.mark.parametrize("family", ["svc", "tree"])
def test_the_search_gives_the_numbers_of_randomized_search_cv(family: str, by: Any) -> None:
    rows, kind = table(spread=2.5), FAMILIES[family]
    parts = folds(rows.y, rows.groups, by=by, seed=3)
    truth = RandomizedSearchCV(kind.make(3), kind.space(), n_iter=6, cv=parts, random_state=3, refit=False)
    truth.fit(rows.X, rows.y)
    ours = search_randomly(kind.make(3), kind.space(), rows.X, rows.y, parts, count=6, seed=3)
    assert [one.parameters for one in ours.tried] == truth.cv_results_["params"]
    for k in range(5):
        np.testing.assert_array_equal(
            [one.accuracies[k] for one in ours.tried], truth.cv_results_[f"split{k}_test_score"]
        )
    np.testing.assert_allclose([one.mean for one in ours.tried], truth.cv_results_["mean_test_score"], rtol=1e-15)
    assert ours.best.parameters == truth.best_params_
    found = fit(family, rows, seed=3, tune=6, by=by)
    assert found.parameters == truth.best_params_
    inner = found.estimator.estimator if family == "svc" else found.estimator
    assert {key: inner.get_params()[key] for key in truth.best_params_} == truth.best_params_


def test_a_search_tells_of_every_fit() -> None:
    told: list[tuple[int, int]] = []
    fit("tree", table(), tune=4, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 20) for done in range(21)]


def test_what_a_search_finds_is_plain_python() -> None:
    found = fit("dense", table(4), tune=1).parameters
    assert {type(value) for value in found.values()} <= {int, float, str, tuple}


def test_probabilities_are_calibrated_on_recordings_that_the_model_did_not_hear() -> None:
    rows, probe = table(spread=2.5), table(seed=1).X
    ours = {by: fit("svc", rows, by=by).estimator.predict_proba(probe) for by in WAYS}
    for by in WAYS:
        apart = folds(rows.y, rows.groups, by=by)
        truth = CalibratedClassifierCV(FAMILIES["svc"].make(0), method="sigmoid", cv=apart, ensemble=False)
        np.testing.assert_array_equal(ours[by], truth.fit(rows.X, rows.y).predict_proba(probe))
    assert ours["random"].max(1).mean() > ours["recording"].max(1).mean() + 0.05  # who has half heard it is too sure


def test_an_svc_keeps_no_folds_in_its_file() -> None:
    assert fitted("svc").estimator.cv is None
    assert fitted("svc").estimator.ensemble is False


def test_what_scikit_learn_warns_of_becomes_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(FAMILIES["dense"], make=lambda seed: FAMILIES["logistic"].make(seed).set_params(**_ONE_STEP))
    monkeypatch.setitem(families.FAMILIES, "short", short)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (note,) = fit("short", table()).notes
    assert "failed to converge" in note


_ONE_STEP = {"logisticregression__max_iter": 1}


def one_class() -> Table:
    return table(classes=1)


def one_recording() -> Table:
    rows = table()
    return rows.at(np.flatnonzero((rows.y != "class 1") | (rows.groups == "1-0")))


@pytest.mark.parametrize(
    ("family", "rows", "knobs", "says"),
    [
        ("svm", table, {}, "the model 'svm' is not known; did you mean svc"),
        ("svc", one_class, {}, r"one class to learn, \['class 0'\]"),
        ("svc", one_recording, {}, "the class class 1 has 1 recording to learn from"),
        ("tree", one_recording, {"tune": 2}, "the class class 1 has 1 recording to learn from"),
        ("tree", table, {"tune": -1}, "tune = -1"),
        ("tree", lambda: table().at([]), {}, "the table has no rows"),
    ],
)
def test_what_cannot_be_learned_is_told(
    family: str, rows: Callable[[], Table], knobs: dict[str, Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        fit(family, rows(), **knobs)


def test_a_class_of_two_recordings_gets_two_folds() -> None:
    rows = table()
    few = rows.at(np.flatnonzero((rows.y != "class 1") | np.isin(rows.groups, ["1-0", "1-1"])))
    assert len(fit("svc", few, tune=1).search.tried[0].accuracies) == 2  # type: ignore[union-attr]


def varied(rows: Table, copies: int = 3) -> Table:
    """Give the table with variants of each sound behind it, which lie near to it."""
    die = np.random.default_rng(0)
    some = rows.at(np.repeat(np.arange(len(rows)), copies))
    names = [f"{name}.wav" + (f"#{k % copies}" if k % copies else "") for k, name in enumerate(some.names.tolist())]
    return replace(some, X=some.X + 0.01 * die.normal(size=some.X.shape), names=np.array(names))


@pytest.mark.parametrize("by", ["recording", "random"])
def test_variants_of_one_sound_never_stand_on_both_sides_of_a_fold(by: By) -> None:
    rows = varied(table(6))
    parts = families._folds(rows, by, seed=0)
    assert sorted(np.concatenate([held for _, held in parts]).tolist()) == list(range(len(rows)))
    for taught, held in parts:
        assert not set(rows.sounds[taught]) & set(rows.sounds[held])
        assert set(rows.y[taught]) == set(rows.y)


def test_a_class_whose_only_sound_has_variants_has_one_clip_to_learn_from() -> None:
    rows = table()
    first = np.flatnonzero(rows.y == "class 1")[0]
    few = varied(rows.at(np.flatnonzero((rows.y != "class 1") | (np.arange(len(rows)) == first))))
    with pytest.raises(InputError, match="the class class 1 has 1 clip to learn from"):
        fit("svc", few, by="random")


def test_a_sound_is_named_without_the_number_of_its_variant() -> None:
    names = np.array(["a/1.wav", "a/1.wav#1", "a/1.wav#12", "a/#1.wav", "a/x#2.wav#3"])
    rows = replace(table().at(range(5)), names=names)
    assert rows.sounds.tolist() == ["a/1.wav", "a/1.wav", "a/1.wav", "a/#1.wav", "a/x#2.wav"]
