"""A scikit-learn classifier on a features recipe, and the differentiable twin that is searched on.

::

    kind = "sklearn"
    features = "librosa-mean-25"     # one of RECIPES
    model = "model.skops"            # or joblib, or pickle: a classifier, or a pipeline
    scaler = "scaler.bin"            # what is between features and model, if the model does not hold it
    preprocess = "noisereduce"       # one of FILTERS
    labels = ["cel", "cla"]          # in the order of the model's classes_; where the model does not name them

Loading such a card runs no code that comes with it, unless `trust_pickle` says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.dsp.recipes import RECIPES, Recipe
from subterfuge.errors import SubterfugeError, VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import checked
from subterfuge.victims._device import device_of
from subterfuge.victims._estimators import classifier_of, one_versus_one, unsearched
from subterfuge.victims._sklearn_twin import SklearnTwin
from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.modelfile import load_model
from subterfuge.victims.preprocess import FILTERS, Filter
from subterfuge.victims.twins import NoTwin, behind, transform_of, twin_of

__all__ = ["KEYS", "SklearnTwin", "SklearnVictim", "load"]

KEYS = {"features!": str, "model!": str, "scaler": str, "preprocess": str}
EXAMPLE = """\
schema = 1                       # the version of the card's format
kind = "sklearn"
name = "my-classifier"           # as reports call it; without it, the card's file name
sample_rate = 44100              # Hz at which the victim hears; clips are folded to mono and resampled to it
features = "librosa-mean-25"     # the recipe from sound to features
model = "model.skops"            # a fitted classifier or Pipeline: skops, joblib or pickle
scaler = "scaler.joblib"         # optional: what stands between features and model, if the model does not hold it
labels = ["cel", "flu", "tru"]   # in the order of the model's classes_; only where the model does not name them
preprocess = "noisereduce"       # optional: what is done to the sound first; pip install 'sonic-subterfuge[denoise]'
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""
LOG_OF_ZERO = -745.2
"""What stands for the logarithm of a probability that is exactly 0: below that of any other float64."""


@dataclass(frozen=True, eq=False)
class SklearnVictim:
    """The true model: the library's features and scikit-learn's own predict. It judges; it has no gradients."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    fingerprint: str
    recipe: Recipe
    estimator: Any
    scaler: Any
    before: Filter | None
    warnings: tuple[str, ...]
    twin: Victim | None
    no_twin: str | None = None
    """Why there is no twin, one sentence."""
    card: Path | None = None
    """The card that it was loaded from, for the record."""
    _latest: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    """The last waves asked about, and their features: label, scores and probabilities of one wave are one query."""

    @cached_property
    def gives(self) -> Gives:
        """Scores, if the model has any."""
        return Gives.SCORES if self._voter is not None or self._scorer is not None else Gives.LABELS

    @cached_property
    def kind(self) -> Kind:
        """What `scores` are."""
        if self._voter is not None:
            return Kind.DUELS
        return Kind.LOG_PROBABILITY if self._scorer == "predict_proba" else Kind.DECISION

    @cached_property
    def _voter(self) -> Any | None:
        return one_versus_one(self.estimator)

    @cached_property
    def _scorer(self) -> str | None:
        names = ("decision_function", "predict_proba")
        return next((name for name in names if hasattr(self.estimator, name)), None)

    @cached_property
    def _places(self) -> dict[Any, int]:
        return {label: place for place, label in enumerate(classifier_of(self.estimator).classes_.tolist())}

    def features(self, wave: Tensor) -> NDArray[np.float64]:
        """Give the features of waves (N, T), shape (N, F), as the estimator takes them."""
        rows = wave.detach().cpu().to(torch.float32).numpy()
        if self._latest and np.array_equal(self._latest["rows"], rows):
            return self._latest["features"]
        features: NDArray[np.float64] = self._safely("its features", lambda: self._features(rows))
        self._latest.update(rows=rows.copy(), features=features)
        return features

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of what ``predict`` answers, int64 (N,)."""
        said = np.asarray(self._ask(self.estimator, "predict", self.features(wave))).tolist()
        strange = [label for label in said if isinstance(label, list) or label not in self._places]
        if strange or len(said) != len(wave):
            raise VictimError(
                f"the victim {self.name} answered {said!r:.100}; {len(wave)} of its classes {list(self._places)} "
                "were expected"
            )
        return torch.tensor([self._places[label] for label in said], dtype=torch.int64, device=wave.device)

    def scores(self, wave: Tensor) -> Tensor:
        """Give decision values (N, K), duels (N, K, K) for one-versus-one models, or log-probabilities.

        Raises:
            VictimError: the model gives labels only, died, or answered nonsense.
        """
        if self.gives == Gives.LABELS:
            raise VictimError(f"the victim {self.name} gives labels only, and scores were asked for")
        features = self.features(wave)
        if self._voter is not None:
            return self._duels(features).to(wave.device)
        if self._scorer == "predict_proba":
            return self._checked(self._logarithms(features)).to(wave.device)
        values = np.asarray(self._ask(self.estimator, "decision_function", features), dtype=np.float64)
        return self._checked(np.stack([-values, values], 1) if values.ndim == 1 else values).to(wave.device)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give ``predict_proba``, (N, K), or None if the model has none."""
        if not hasattr(self.estimator, "predict_proba"):
            return None
        return self._checked(self._ask(self.estimator, "predict_proba", self.features(wave))).to(wave.device)

    def _features(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        if self.before is not None:
            rows = np.stack([self.before.true(row, self.sample_rate) for row in rows])
        features = np.stack([self.recipe.true(row, self.sample_rate) for row in rows])
        return features if self.scaler is None else np.asarray(self.scaler.transform(features))

    def _logarithms(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        if hasattr(self.estimator, "predict_log_proba"):
            values = np.asarray(self._ask(self.estimator, "predict_log_proba", features))
        else:
            chances = np.asarray(self._ask(self.estimator, "predict_proba", features), dtype=np.float64)
            values = np.log(chances, out=np.full_like(chances, -np.inf), where=chances > 0)
        return np.where(np.isneginf(values), LOG_OF_ZERO, values)

    def _duels(self, features: NDArray[np.float64]) -> Tensor:
        classes = len(self.labels)
        first, second = np.triu_indices(classes, 1)
        values = np.asarray(self._ask(self._voter, "decision_function", features), dtype=np.float64)
        if classes == 2:
            values = -values.reshape(-1, 1)  # of two classes, scikit-learn's is above 0 for the second
        duels = np.zeros((len(features), classes, classes))
        duels[:, first, second] = values
        duels[:, second, first] = -values
        if not np.isfinite(duels).all():
            raise VictimError(
                f"the victim {self.name} answered NaN or infinite numbers, where finite ones were expected"
            )
        return torch.from_numpy(duels)

    def _checked(self, values: Any) -> Tensor:
        numbers = np.array(values, dtype=np.float64)
        return checked(torch.from_numpy(numbers), len(numbers), self.labels, self.name)

    def _ask(self, estimator: Any, method: str, features: NDArray[np.float64]) -> Any:
        return self._safely(method, lambda: getattr(estimator, method)(features))

    def _safely(self, what: str, ask: Callable[[], Any]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return ask()
            except SubterfugeError:
                raise
            except Exception as reason:
                raise VictimError(
                    f"the victim {self.name} died in {what}: {type(reason).__name__}: {reason}"
                ) from reason


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> SklearnVictim:
    """Load the model of a card of kind ``sklearn``.

    Args:
        card: the card.
        trust_pickle: load pickle and joblib files as they are, with whatever code they run.
        device: must be there, and is not used: scikit-learn computes on the CPU, and the twin computes its features
            where the waves are.

    Raises:
        CardError: an unknown recipe or filter, a missing file, or labels that do not fit the model.
        UntrustedModel: a model file that wants to run code.
        InputError: the device is not there.
    """
    recipe_name = card.get("features")
    if recipe_name not in RECIPES:
        raise card.fail(f'features = "{recipe_name}" is no recipe; {nearest(recipe_name, RECIPES)}')
    before_name = card.get("preprocess")
    if before_name is not None and before_name not in FILTERS:
        raise card.fail(f'preprocess = "{before_name}" is no filter; {nearest(before_name, FILTERS)}')
    device_of(device)
    recipe, before = RECIPES[recipe_name], FILTERS[before_name] if before_name else None
    refused = before.why_not(card.sample_rate) if before is not None else None
    if refused is not None:
        raise card.fail(f'preprocess = "{before_name}" cannot be done at sample_rate = {card.sample_rate}: {refused}')
    model = load_model(card.file("model"), trust_pickle=trust_pickle)
    scaler_file = load_model(card.file("scaler"), trust_pickle=trust_pickle) if "scaler" in card.values else None
    estimator, scaler = unsearched(model.estimator), scaler_file.estimator if scaler_file else None
    labels = _labels(card, estimator, recipe, scaler)
    parts = [model.sha256, scaler_file.sha256 if scaler_file else "", recipe_name, before_name or "", *labels]
    fingerprint = fingerprint_of(*parts, str(card.sample_rate))
    told = tuple(dict.fromkeys(model.warnings + (scaler_file.warnings if scaler_file else ())))
    victim = SklearnVictim(
        card.name, labels, card.sample_rate, fingerprint, recipe, estimator, scaler, before, told, None
    )
    try:
        head = twin_of(estimator)
        if scaler is not None:
            head = behind([transform_of(scaler)], head)
    except NoTwin as reason:
        return replace(victim, no_twin=str(reason))
    notes: tuple[str, ...] = (head.note,) if head.note else ()
    if before is not None and before.note is not None:
        notes += (before.note,)
    twin = SklearnTwin(f"{card.name} (twin)", labels, card.sample_rate, fingerprint, recipe, head, before, notes)
    return replace(victim, twin=twin)


def _labels(card: Card, estimator: Any, recipe: Recipe, scaler: Any) -> tuple[str, ...]:
    """Give the labels of a model that was found to fit its card."""
    if not hasattr(estimator, "predict"):
        raise card.fail(f"model is a {type(estimator).__name__}, which has no predict(); a classifier was expected")
    last = classifier_of(estimator)
    if not hasattr(last, "classes_"):
        raise card.fail(f"model is a {type(last).__name__} that is no fitted classifier: it has no classes_")
    if not isinstance(last.classes_, np.ndarray) or last.classes_.ndim != 1:
        raise card.fail(f"model is a {type(last).__name__} of several answers a clip; one label a clip was expected")
    classes = last.classes_.tolist()
    labels = card.labels
    if labels is None:
        if not all(isinstance(label, str) for label in classes):
            raise card.fail(f"lacks the key 'labels', and the model only numbers its classes: {classes}")
        labels = tuple(classes)
    elif len(labels) != len(classes):
        raise card.fail(f"labels names {len(labels)} classes, and the model has {len(classes)}")
    elif list(labels) != classes and sorted(labels) == sorted(map(str, classes)):
        raise card.fail(f"labels has the model's names in another order; the model's is {classes}")
    _ask_once(card, estimator, recipe, scaler, classes)
    return labels


def _ask_once(card: Card, estimator: Any, recipe: Recipe, scaler: Any, classes: list[Any]) -> None:
    """Send one row of features through scaler and model.

    Raises:
        CardError: they do not fit each other or the recipe, died, or answer no label.
    """
    x, gives = np.zeros((1, recipe.features)), f'the recipe "{card.get("features")}"'
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if scaler is not None:
            if not hasattr(scaler, "transform"):
                raise card.fail(f"scaler is a {type(scaler).__name__}, which has no transform()")
            _fits(card, "scaler", scaler, x, gives)
            try:
                x, gives = np.asarray(scaler.transform(x)), "the scaler"
            except Exception as reason:
                raise card.fail(f"scaler died when asked once: {type(reason).__name__}: {reason}") from reason
        _fits(card, "model", estimator, x, gives)
        try:
            said = np.asarray(estimator.predict(x)).tolist()
        except Exception as reason:
            raise card.fail(f"model died when asked once: {type(reason).__name__}: {reason}") from reason
    if len(said) != 1 or said[0] not in classes:
        raise card.fail(f"model answers {said!r:.100} for one clip; one of its classes {classes} was expected")


def _fits(card: Card, what: str, part: Any, x: NDArray[np.float64], gives: str) -> None:
    wants = getattr(part, "n_features_in_", x.shape[1])
    if wants != x.shape[1]:
        raise card.fail(f"{what} takes {wants} features, and {gives} gives {x.shape[1]}")
