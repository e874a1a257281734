"""The vote is libsvm's, and class scores are duels too."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.svm import SVC
from tests.attacks.toys import Toy
from torch import Tensor

from subterfuge.victim import Gives, Kind, Victim, duels_of, winner


def libsvm_vote(table: Tensor) -> int:
    """The loop of svm_predict: a decision value above 0 is a vote for i, else for j; the first of the most wins."""
    classes = len(table)
    votes = [0] * classes
    for i, j in itertools.combinations(range(classes), 2):
        votes[i if table[i, j] > 0 else j] += 1
    return votes.index(max(votes))


@pytest.mark.parametrize("classes", range(2, 12))
def test_the_winner_is_that_of_the_loop_in_libsvm_even_with_exact_ties(classes: int) -> None:
    die = torch.Generator().manual_seed(classes)
    tables = torch.randint(-2, 3, (300, classes, classes), generator=die).double()
    tables = tables.triu(1) - tables.triu(1).mT
    assert winner(tables).tolist() == [libsvm_vote(table) for table in tables]


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_winner_is_what_scikit_learns_svc_predicts_from_its_own_duels(classes: int) -> None:
    die = np.random.default_rng(classes)
    X, y = die.normal(size=(20 * classes, 4)), np.repeat(np.arange(classes), 20)
    model = SVC(decision_function_shape="ovo").fit(X, y)
    probe = die.normal(size=(400, 4))
    values = model.decision_function(probe).reshape(len(probe), -1)
    if classes == 2:
        values = -values  # for two classes scikit-learn turns libsvm's sign round
    tables = torch.zeros(len(probe), classes, classes, dtype=torch.float64)
    for place, (i, j) in enumerate(itertools.combinations(range(classes), 2)):
        tables[:, i, j] = torch.from_numpy(values[:, place])
        tables[:, j, i] = -tables[:, i, j]
    assert winner(tables).tolist() == model.predict(probe).tolist()


def test_the_winner_of_differences_of_scores_is_the_largest_score() -> None:
    scores = torch.randn(500, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(winner(duels_of(scores)), scores.argmax(1))


def test_duels_of_scores_are_antisymmetric_and_a_table_stays_as_it_is() -> None:
    scores = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    table = duels_of(scores)
    assert torch.equal(table, -table.mT)
    assert torch.equal(table[2, 1, 3], scores[2, 1] - scores[2, 3])
    assert duels_of(table) is table


def test_what_a_victim_gives_is_ordered_from_least_to_most() -> None:
    assert Gives.LABELS < Gives.SCORES < Gives.GRADIENTS


def test_any_object_with_the_members_is_a_victim_and_one_without_decide_is_not() -> None:
    class Mute:
        name, labels, sample_rate, gives, kind = "m", ("a", "b"), 8000, Gives.SCORES, Kind.DECISION
        fingerprint, twin, warnings = "", None, ()

    assert isinstance(Toy(lambda wave: wave[:, :2]), Victim)
    assert not isinstance(Mute(), Victim)
