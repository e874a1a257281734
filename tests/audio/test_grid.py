"""Rounding onto the integer grid, shared among channels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from subterfuge.audio.grid import add_on_grid, shared_round, to_steps

changes = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-50, 50))


@given(changes, st.integers(1, 7))
def test_the_mean_over_channels_is_within_half_a_step_divided_by_the_channels(
    change: np.ndarray, channels: int
) -> None:
    wanted = np.tile(change, (channels, 1))
    rounded = shared_round(wanted)
    assert np.array_equal(rounded, np.rint(rounded))
    assert np.max(np.abs(rounded.mean(0) - change)) <= 0.5 / channels + 1e-9


@given(changes, st.integers(1, 7))
def test_no_channel_is_more_than_one_step_from_plain_rounding(change: np.ndarray, channels: int) -> None:
    wanted = np.tile(change, (channels, 1))
    assert np.max(np.abs(shared_round(wanted) - np.rint(wanted))) <= 1


@given(changes)
def test_one_channel_is_rounded_plainly(change: np.ndarray) -> None:
    assert np.array_equal(shared_round(change[None]), np.rint(change[None]))


def test_two_channels_halve_the_error_of_the_fold() -> None:
    change = np.random.default_rng(0).uniform(-3, 3, 20_000)
    plain = np.rint(change) - change
    shared = shared_round(np.tile(change, (2, 1))).mean(0) - change
    assert np.std(shared) == pytest.approx(np.std(plain) / 2, rel=0.02)


def test_no_channel_gets_more_of_the_extra_steps() -> None:
    extra = shared_round(np.full((2, 1000), 0.5)).sum(1)
    assert extra[0] == extra[1] == 500


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_a_change_of_zero_leaves_every_level_where_it_was(bits: int) -> None:
    full = 2.0 ** (bits - 1)
    steps = np.random.default_rng(0).integers(-int(full), int(full), (3, 500))
    samples = steps / full
    changed, beyond = add_on_grid(samples, np.zeros(500), bits)
    assert np.array_equal(changed, samples)
    assert np.array_equal(to_steps(samples, bits), steps)
    assert beyond == 0


def test_what_exceeds_full_scale_is_clipped_and_counted() -> None:
    samples = np.array([[0.9, -0.9, 0.0], [0.0, 0.0, 0.0]])
    changed, beyond = add_on_grid(samples, np.array([0.2, -0.2, 0.2]), 16)
    assert beyond == 2
    assert changed[0, 0] == 32767 / 32768
    assert changed[0, 1] == -1.0
    assert changed[1, 2] == pytest.approx(0.2, abs=2**-15)
