"""Every seed that a generator does not take is refused by one sentence, at the door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from sklearn.utils import check_random_state
from tests.harden.kit import sounds
from tests.world import card, run

from subterfuge.campaign.cases import draw_cases
from subterfuge.cli import cli
from subterfuge.errors import MOST_SEED, InputError, check_seed
from subterfuge.harden import matrix
from subterfuge.training.datasets import read_dataset
from subterfuge.training.families import fit
from subterfuge.training.tables import embedded_table
from subterfuge.training.train import train

BAD = [-1, MOST_SEED + 1, 99999999999]


def with_a_seed(group: click.Group, *above: str) -> Iterator[tuple[str, click.Parameter]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from with_a_seed(command, *above, name)
        yield from ((" ".join((*above, name)), one) for one in command.params if "--seed" in one.opts)


def test_the_largest_seed_is_the_largest_that_scikit_learn_takes() -> None:
    check_seed(MOST_SEED)
    check_seed(np.int64(0))  # type: ignore[arg-type]
    check_random_state(MOST_SEED)
    with pytest.raises(ValueError, match="Seed must be between"):
        check_random_state(MOST_SEED + 1)


@pytest.mark.parametrize("seed", [*BAD, 1.5, "1", None])
def test_a_seed_that_is_none_is_named(seed: int) -> None:
    with pytest.raises(InputError, match=f"seed {seed!r}: a whole number from 0 to 4294967295 was expected"):
        check_seed(seed)


def test_every_command_that_draws_takes_the_same_seeds() -> None:
    found = dict(with_a_seed(cli))
    assert {"attack", "train", "harden", "matrix", "survive", "evaluate"} <= set(found)
    for name, option in found.items():
        assert isinstance(option.type, click.IntRange), name
        assert (option.type.min, option.type.max, option.default) == (0, MOST_SEED, 0), name


@pytest.mark.parametrize("words", [("harden", "--with", "detector", "--out", "out"), ("matrix", "--clips", "data")])
def test_a_bad_seed_ends_a_command_before_any_work(words: tuple[str, ...], tmp_path: Path) -> None:
    for seed in BAD:
        said = run(*words, "nowhere.toml", *(["nowhere"] if words[0] == "harden" else []), "--seed", seed)
        assert (said.code, said.out) == (2, "")
        assert f"{seed} is not in the range 0<=x<=4294967295" in " ".join(said.err.split())


@pytest.mark.parametrize("seed", BAD)
def test_a_bad_seed_is_refused_in_python_too(seed: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"seed {seed}:"):
        train(tmp_path / "nowhere", "tree", seed=seed)
    with pytest.raises(InputError, match=f"seed {seed}:"):
        fit("tree", embedded_table(), seed=seed)
    with pytest.raises(InputError, match=f"seed {seed}:"):
        matrix([card(tmp_path)], [], seed=seed)
    data = read_dataset(sounds(tmp_path / "sounds", recordings=1, excerpts=1))
    with pytest.raises(InputError, match=f"seed {seed}:"):
        draw_cases(data, data.labels, 1, seed=seed)
