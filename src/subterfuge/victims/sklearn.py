"""A scikit-learn classifier on a features recipe, and the differentiable twin that is searched on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.errors import VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.modelfile import load_model
from subterfuge.victims.preprocess import FILTERS, Filter, straight_through
from subterfuge.victims.recipes import RECIPES, Recipe
from subterfuge.victims.twins import NoTwin, Twin, behind, transform_of, twin_of

KEYS = {"features!": str, "model!": str, "scaler": str, "preprocess": str}


@dataclass(frozen=True)
class SklearnTwin:
    """The model in torch: recipe, scaler and classifier, with gradients from the wave to the scores."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    fingerprint: str
    recipe: Recipe
    head: Twin
    before: Filter | None
    warnings: tuple[str, ...] = ()
    gives: Gives = Gives.GRADIENTS
    twin: Victim | None = None

    @property
    def kind(self) -> Kind:
        """What `scores` are: the head's."""
        return self.head.kind

    def features(self, wave: Tensor) -> Tensor:
        """Give the features of waves (N, T), shape (N, F), before any scaling."""
        if self.before is not None:
            wave = straight_through(wave, self.before, self.sample_rate)
        return self.recipe.twin(wave, self.sample_rate)

    def decide(self, wave: Tensor) -> Tensor:
        """Give what the estimator's ``predict`` would answer, int64 (N,)."""
        with torch.no_grad():
            return self.head.decide(self.features(wave))

    def scores(self, wave: Tensor) -> Tensor:
        """Give the smooth scores that gradients go through, (N, K) or duels (N, K, K)."""
        return self.head.scores(self.features(wave))

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give the model's probabilities (N, K), or None."""
        return self.head.probabilities(self.features(wave))


@dataclass(frozen=True)
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

    @cached_property
    def gives(self) -> Gives:
        """Scores, if the model has any."""
        return Gives.SCORES if self._scorer is not None else Gives.LABELS

    @cached_property
    def kind(self) -> Kind:
        """What `scores` are."""
        if self._is_vote:
            return Kind.DUELS
        return Kind.DECISION if hasattr(self.estimator, "decision_function") else Kind.LOG_PROBABILITY

    @cached_property
    def _last(self) -> Any:
        last = self.estimator
        while hasattr(last, "steps"):
            last = last.steps[-1][1]
        return last

    @cached_property
    def _is_vote(self) -> bool:
        return type(self._last).__name__ in ("SVC", "NuSVC") and len(self.labels) > 2

    @cached_property
    def _scorer(self) -> str | None:
        names = ("decision_function", "predict_proba")
        return next((name for name in names if hasattr(self.estimator, name)), None)

    def features(self, wave: Tensor) -> NDArray[np.float64]:
        """Give the features of waves (N, T), shape (N, F), as the estimator takes them."""
        rows = wave.detach().cpu().to(torch.float32).numpy()
        if self.before is not None:
            rows = np.stack([self.before(row, self.sample_rate) for row in rows])
        features = np.stack([self.recipe.true(row, self.sample_rate) for row in rows])
        return features if self.scaler is None else np.asarray(self.scaler.transform(features))

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of what ``predict`` answers, int64 (N,)."""
        said = self._ask("predict", self.features(wave))
        places = {label: place for place, label in enumerate(self._last.classes_.tolist())}
        return torch.tensor([places[label] for label in said.tolist()])

    def scores(self, wave: Tensor) -> Tensor:
        """Give decision values (N, K), duels (N, K, K) for one-versus-one models, or log-probabilities."""
        if self._scorer is None:
            raise VictimError(f"the victim {self.name} gives labels only, and scores were asked for")
        features = self.features(wave)
        if self._is_vote:
            return self._duels(features)
        values = self._ask(self._scorer, features)
        if self._scorer == "predict_proba":
            return torch.from_numpy(np.log(np.clip(values, 1e-300, None)))
        return torch.from_numpy(np.stack([-values, values], 1) if values.ndim == 1 else values)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give ``predict_proba``, (N, K), or None if the model has none."""
        if not hasattr(self.estimator, "predict_proba"):
            return None
        return torch.from_numpy(np.asarray(self._ask("predict_proba", self.features(wave)), dtype=np.float64))

    def _duels(self, features: NDArray[np.float64]) -> Tensor:
        shape = self._last.decision_function_shape
        try:
            self._last.decision_function_shape = "ovo"
            values = self._ask("decision_function", features)
        finally:
            self._last.decision_function_shape = shape
        classes = len(self.labels)
        duels = np.zeros((len(features), classes, classes))
        first, second = np.triu_indices(classes, 1)
        duels[:, first, second] = values
        duels[:, second, first] = -values
        return torch.from_numpy(duels)

    def _ask(self, method: str, features: NDArray[np.float64]) -> Any:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return getattr(self.estimator, method)(features)
            except Exception as reason:
                raise VictimError(f"the victim {self.name} died in {method}: {reason}") from reason


def load(card: Card, *, trust_pickle: bool = False) -> SklearnVictim:
    """Load the model of a card of kind ``sklearn``.

    Raises:
        CardError: an unknown recipe or filter, a missing file, or labels that do not fit the model.
        UntrustedModel: a model file that wants to run code.
    """
    recipe_name = card.get("features")
    if recipe_name not in RECIPES:
        raise card.fail(f'features = "{recipe_name}" is no recipe; {nearest(recipe_name, RECIPES)}')
    before_name = card.get("preprocess")
    if before_name is not None and before_name not in FILTERS:
        raise card.fail(f'preprocess = "{before_name}" is no filter; {nearest(before_name, FILTERS)}')
    recipe, before = RECIPES[recipe_name], FILTERS[before_name] if before_name else None
    model = load_model(card.file("model"), trust_pickle=trust_pickle)
    scaler = load_model(card.file("scaler"), trust_pickle=trust_pickle) if card.get("scaler") else None
    labels = _labels(card, model.estimator, recipe, scaler.estimator if scaler else None)
    parts = [model.sha256, scaler.sha256 if scaler else "", recipe_name, before_name or "", *labels]
    fingerprint = fingerprint_of(*parts, str(card.sample_rate))
    warnings = model.warnings + (scaler.warnings if scaler else ())
    victim = SklearnVictim(
        card.name,
        labels,
        card.sample_rate,
        fingerprint,
        recipe,
        model.estimator,
        scaler.estimator if scaler else None,
        before,
        tuple(dict.fromkeys(warnings)),
        None,
    )
    try:
        head = twin_of(model.estimator)
        if scaler is not None:
            head = behind([transform_of(scaler.estimator)], head)
    except NoTwin as reason:
        return replace(victim, no_twin=str(reason))
    notes: tuple[str, ...] = (head.note,) if head.note else ()
    if before is not None:
        notes += (f"gradients pass {before_name} as if it did nothing",)
    twin = SklearnTwin(f"{card.name} (twin)", labels, card.sample_rate, fingerprint, recipe, head, before, notes)
    return replace(victim, twin=twin)


def _labels(card: Card, estimator: Any, recipe: Recipe, scaler: Any) -> tuple[str, ...]:
    if not hasattr(estimator, "predict"):
        raise card.fail(f"model is a {type(estimator).__name__}, which has no predict(); a classifier was expected")
    last = estimator
    while hasattr(last, "steps"):
        last = last.steps[-1][1]
    if not hasattr(last, "classes_"):
        raise card.fail(f"model is a {type(last).__name__} that is no fitted classifier: it has no classes_")
    for what, part in (("scaler", scaler), ("model", estimator)):
        wants = getattr(part, "n_features_in_", recipe.features)
        if part is not None and wants != recipe.features:
            raise card.fail(
                f'{what} takes {wants} features, and the recipe "{card.get("features")}" gives {recipe.features}'
            )
    classes = last.classes_.tolist()
    if card.labels is None:
        if not all(isinstance(label, str) for label in classes):
            raise card.fail(f"lacks the key 'labels', and the model only numbers its classes: {classes}")
        return tuple(classes)
    if len(card.labels) != len(classes):
        raise card.fail(f"labels names {len(card.labels)} classes, and the model has {len(classes)}")
    return card.labels
