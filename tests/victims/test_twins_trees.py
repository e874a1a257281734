"""Trees: an exact answer, and a stand-in with a slope that leads to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from subterfuge.errors import VictimError
from subterfuge.threat.margins import soft_duel
from subterfuge.victim import Kind
from subterfuge.victims.twins import Twin, twin_of
from subterfuge.victims.twins._trees_grove import Tree, grove_of
from subterfuge.victims.twins.trees import SCALES, Trees, spreads

MODELS: dict[str, Callable[[], Any]] = {
    "tree": lambda: DecisionTreeClassifier(random_state=0),
    "forest": lambda: RandomForestClassifier(12, random_state=0),
    "extra trees": lambda: ExtraTreesClassifier(12, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=8, random_state=0),
    "histogram boosting": lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "forest in a pipeline": lambda: make_pipeline(StandardScaler(), RandomForestClassifier(12, random_state=0)),
}
every = pytest.mark.parametrize("name", MODELS)


def clouds(k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Give 60 points of each of k overlapping classes in 4 dimensions of unlike size."""
    dice = np.random.default_rng(k)
    which = dice.integers(0, k, 60 * k)
    x = 2 * dice.standard_normal((k, 4))[which] + dice.standard_normal((len(which), 4))
    return x * [1, 0.01, 1000, 1], which


def stump(threshold: float = 0.5) -> DecisionTreeClassifier:
    """Give a tree of one split, between the classes 0 and 1."""
    return DecisionTreeClassifier().fit([[threshold - 0.5], [threshold + 0.5]], [0, 1])


def random_tree(dice: np.random.Generator, splits: int, features: int, columns: int) -> Tree:
    """Give a tree that grew at random places."""
    left, right = [0], [0]
    for _ in range(splits):
        leaves = [node for node in range(len(left)) if left[node] == node]
        node = int(dice.choice(leaves))
        left[node], right[node] = len(left), len(left) + 1
        left += [len(left)]
        right += [len(right)]
        left += [len(left)]
        right += [len(right)]
    leaf = np.array(left) == np.arange(len(left))
    return Tree(
        np.where(leaf, 0, dice.integers(0, features, len(left))),
        np.where(leaf, np.inf, dice.standard_normal(len(left))),
        np.array(left),
        np.array(right),
        dice.standard_normal((len(left), columns)),
    )


def walked(tree: Tree, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Walk down one tree with one row, by hand."""
    node = 0
    while tree.left[node] != node:
        node = tree.left[node] if x[tree.feature[node]] <= tree.threshold[node] else tree.right[node]
    return tree.values[node]


def softly(tree: Tree, x: NDArray[np.float64], width: float, node: int = 0) -> NDArray[np.float64]:
    """Give a tree's soft answer to one row as its definition says it: a share to each side, down to the leaves."""
    if tree.left[node] == node:
        return tree.values[node]
    share = 1 / (1 + math.exp((x[tree.feature[node]] - tree.threshold[node]) / width))
    left, right = (softly(tree, x, width, side[node]) for side in (tree.left, tree.right))
    return share * left + (1 - share) * right


@settings(max_examples=25, deadline=None)
@given(some.integers(0, 10**6), some.lists(some.integers(0, 9), min_size=1, max_size=4))
def test_a_grove_adds_what_walks_by_hand_find_exactly_and_softly(seed: int, splits: list[int]) -> None:
    dice = np.random.default_rng(seed)
    trees = [random_tree(dice, count, 3, 2) for count in splits]
    x = dice.standard_normal((3, 3))
    grove = grove_of(trees)
    exact = grove.sum_at(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(exact, [sum(walked(tree, row) for tree in trees) for row in x], rtol=0, atol=1e-12)
    widths = (0.7, 0.05)
    soft = grove.soft_sum_at(torch.from_numpy(x), torch.tensor(widths, dtype=torch.float64).expand(grove.splits, 2))
    truth = [np.mean([sum(softly(tree, row, width) for tree in trees) for width in widths], 0) for row in x]
    np.testing.assert_allclose(soft.numpy(), truth, rtol=0, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(some.integers(0, 10**6), some.lists(some.integers(0, 9), min_size=1, max_size=4))
def test_the_slope_of_soft_trees_is_that_of_finite_differences(seed: int, splits: list[int]) -> None:
    dice = np.random.default_rng(seed)
    grove = grove_of([random_tree(dice, count, 3, 2) for count in splits])
    widths = torch.from_numpy(dice.uniform(0.2, 1, (grove.splits, 2)))
    x = torch.from_numpy(dice.standard_normal((3, 3))).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: grove.soft_sum_at(x, widths), x)


def test_the_soft_split_of_a_stump_is_the_mean_of_its_logistic_curves() -> None:
    twin = twin_of(stump())
    width = 0.1 * 0.5  # of one threshold, a tenth of it
    x = torch.tensor([[0.48]], dtype=torch.float64)
    left = np.mean([1 / (1 + math.exp(-0.02 / (scale * width))) for scale in SCALES])
    duel = float(twin.scores(x)[0, 0, 1])
    assert duel == pytest.approx(math.log(left / (1 - left)), abs=1e-9)


@every
@pytest.mark.parametrize("k", [2, 4])
def test_answers_are_the_models_also_far_outside_what_it_was_trained_on(name: str, k: int) -> None:
    x, y = clouds(k)
    model = MODELS[name]().fit(x, y)
    twin = twin_of(model)
    far = np.concatenate([x, 30 * x, np.zeros((1, 4))])
    q = torch.from_numpy(far)
    np.testing.assert_array_equal(twin.classes[twin.decide(q).numpy()], model.predict(far))
    np.testing.assert_allclose(twin.probabilities(q).numpy(), model.predict_proba(far), rtol=0, atol=1e-9)


def climbed(model: Any, twin: Twin, x: NDArray[np.float64]) -> tuple[int, int]:
    """Climb towards each of four classes in growing steps; give how many rows of how many the model came to answer."""
    sizes, reached, asked = torch.from_numpy(x.std(0)), 0, 0
    for target in range(4):
        q = torch.from_numpy(x[model.predict(x) != target][:20])
        met = torch.zeros(len(q), dtype=torch.bool)
        for k in range(120):
            q = q.detach().requires_grad_()
            hill = soft_duel(twin.scores(q), torch.full((len(q),), target))
            (slope,) = torch.autograd.grad(hill.sum(), q)
            slope = slope * sizes**2
            step = 0.03 * 1.03**k * slope / (slope / sizes).norm(dim=1, keepdim=True).clamp_min(1e-30)
            q = torch.where(met[:, None], q, q + step)
            met |= torch.from_numpy(model.predict(q.detach().numpy()) == target)
        reached, asked = reached + int(met.sum()), asked + len(met)
    return reached, asked


@every
def test_following_the_slope_ends_in_the_wanted_class_of_the_real_model(name: str) -> None:
    x, y = clouds(4)
    model = MODELS[name]().fit(x, y)
    reached, asked = climbed(model, twin_of(model), x)
    assert reached >= 0.9 * asked, (reached, asked)


@pytest.mark.parametrize("name", ["tree", "boosting", "histogram boosting"])
def test_several_widths_lead_further_than_the_narrowest_alone(name: str) -> None:
    x, y = clouds(4)
    model = MODELS[name]().fit(x, y)
    twin = twin_of(model)
    assert isinstance(twin, Trees)
    narrow = replace(twin, widths=twin.widths[:, -1:])
    assert climbed(model, twin, x)[0] > 1.2 * climbed(model, narrow, x)[0]


@every
def test_the_slope_is_never_zero_among_the_training_data(name: str) -> None:
    x, y = clouds(4)
    twin = twin_of(MODELS[name]().fit(x, y))
    q = torch.from_numpy(x).requires_grad_()
    (slope,) = torch.autograd.grad(twin.scores(q)[:, 0, 1].sum(), q)
    assert bool((slope.abs() * torch.from_numpy(x.std(0)) > 1e-6).any(1).all())


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
@pytest.mark.parametrize("guess", [None, "zero", DummyClassifier(strategy="most_frequent")])
def test_boosting_follows_its_loss_and_its_first_guess(loss: str, guess: Any) -> None:
    x, y = clouds(2)
    model = GradientBoostingClassifier(loss=loss, init=guess, n_estimators=4, random_state=0).fit(x, y)
    twin = twin_of(model)
    q = torch.from_numpy(x)
    np.testing.assert_allclose(twin.probabilities(q).numpy(), model.predict_proba(x), rtol=0, atol=1e-9)
    np.testing.assert_allclose(twin.decision(q).numpy()[:, 0], model.decision_function(x), rtol=0, atol=1e-9)


def test_two_classes_that_tie_are_answered_as_each_model_breaks_its_tie() -> None:
    even = np.zeros((40, 1)), np.arange(40) % 2
    for model in (
        DecisionTreeClassifier(),
        GradientBoostingClassifier(init="zero", n_estimators=1),
        HistGradientBoostingClassifier(max_iter=1),
    ):
        model.fit(*even)
        answer = twin_of(model).decide(torch.zeros(1, 1))
        assert int(answer) == model.predict([[0.0]])[0], model


def test_features_are_compared_in_single_precision_where_scikit_learn_does_so() -> None:
    model = stump(1e6)
    above = float(model.tree_.threshold[0]) + 1e-3  # the same float32 number as the threshold
    assert np.float32(above) == np.float32(model.tree_.threshold[0])
    assert int(twin_of(model).decide(torch.tensor([[above]], dtype=torch.float64))) == model.predict([[above]])[0] == 0
    x = np.repeat([[1e6 - 0.5], [1e6 + 0.5]], 30, axis=0)
    binned = HistGradientBoostingClassifier(max_iter=1).fit(x, np.repeat([0, 1], 30))
    threshold = binned._predictors[0][0].nodes["num_threshold"][0]
    q = np.array([[threshold], [np.nextafter(threshold, np.inf)]])
    answers = twin_of(binned).decide(torch.from_numpy(q))
    assert answers.tolist() == binned.predict(q).tolist() == [0, 1]


def test_a_model_that_learned_where_missing_values_go_serves_whole_features_and_refuses_holes() -> None:
    x, y = clouds(3)
    holed = np.where(np.random.default_rng(0).random(x.shape) < 0.2, np.nan, x)
    for model in (HistGradientBoostingClassifier(max_iter=3), RandomForestClassifier(5, random_state=0)):
        model.fit(holed, y)
        twin = twin_of(model)
        answers = twin.probabilities(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(answers, model.predict_proba(x), rtol=0, atol=1e-9)
        q = torch.from_numpy(x[:5]).requires_grad_()
        assert torch.autograd.grad(twin.scores(q)[:, 0, 1].sum(), q)[0].isfinite().all()
        with pytest.raises(VictimError, match="the features hold NaN"):
            twin.decide(torch.from_numpy(holed))


def test_the_gradient_of_an_exact_probability_is_that_of_the_soft_trees() -> None:
    x, y = clouds(3)
    twin = twin_of(RandomForestClassifier(9, random_state=0).fit(x, y))
    assert isinstance(twin, Trees)
    q = torch.from_numpy(x[:4]).requires_grad_()
    (mine,) = torch.autograd.grad(twin.probabilities(q)[:, 1].sum(), q)
    (soft,) = torch.autograd.grad((twin.grove.soft_sum_at(q, twin.widths) / 9)[:, 1].sum(), q)
    assert torch.equal(mine, soft)


def test_widths_follow_the_spread_of_each_features_thresholds() -> None:
    dice = np.random.default_rng(0)
    grove = grove_of([random_tree(dice, 9, 3, 1) for _ in range(40)])
    for f in range(3):
        assert float(spreads(grove, 4)[f]) == pytest.approx(
            float(grove.threshold[grove.feature == f].std(correction=0))
        )
    assert float(spreads(grove, 4)[3]) == 1.0


def test_a_forest_that_learned_nothing_answers_one_class_and_has_no_slope() -> None:
    model = RandomForestClassifier(3).fit(np.zeros((6, 2)), ["only"] * 6)
    twin = twin_of(model)
    x = torch.zeros(2, 2, dtype=torch.float64).requires_grad_()
    assert twin.decide(x).tolist() == [0, 0]
    assert twin.kind is Kind.DUELS
    assert not torch.autograd.grad(twin.scores(x).sum(), x)[0].any()
