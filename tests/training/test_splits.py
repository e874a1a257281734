from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from subterfuge.errors import InputError
from subterfuge.training.splits import folds, split

Recordings = list[tuple[str, str, int]]


@st.composite
def sets(draw: st.DrawFn, least: int = 2) -> Recordings:
    """Recordings of two to five classes, at least `least` a class: label, name, excerpts."""
    out = []
    for label in "abcde"[: draw(st.integers(2, 5))]:
        sizes = draw(st.lists(st.integers(1, 4), min_size=least, max_size=12))
        out += [(label, f"{label}{number}", size) for number, size in enumerate(sizes)]
    return out


def rows(recordings: Recordings) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array([label for label, _, size in recordings for _ in range(size)])
    return labels, np.array([name for _, name, size in recordings for _ in range(size)])


@given(sets(), st.floats(0.05, 0.95), st.integers(0, 99))
def test_no_recording_is_on_both_sides_and_every_class_is(recordings: Recordings, test: float, seed: int) -> None:
    y, groups = rows(recordings)
    taught, held = split(y, groups, test=test, seed=seed)
    assert sorted([*taught, *held]) == list(range(len(y)))
    assert not set(groups[taught]) & set(groups[held])
    assert set(y[taught]) == set(y[held]) == set(y)


@given(sets(), st.floats(0.05, 0.95), st.integers(0, 99))
def test_each_class_is_held_out_within_half_its_largest_recording(
    recordings: Recordings, test: float, seed: int
) -> None:
    y, groups = rows(recordings)
    _, held = split(y, groups, test=test, seed=seed)
    for label in set(y):
        sizes = [size for own, _, size in recordings if own == label]
        wanted, got = test * sum(sizes), np.count_nonzero(y[held] == label)
        of_one = got in sizes or sum(sizes) - got in sizes  # a single recording on one side may be too large
        assert abs(got - wanted) <= max(sizes) / 2 + 1e-9 or of_one


@given(sets(), st.randoms(use_true_random=False), st.sampled_from(["recording", "random"]))
def test_a_split_depends_on_the_recordings_and_not_on_the_order_of_the_rows(
    recordings: Recordings, die: object, by: str
) -> None:
    y, groups = rows(recordings)
    order = np.array(die.sample(range(len(y)), len(y)))  # type: ignore[attr-defined]
    for way in (split, lambda *given, **how: folds(*given, count=2, **how)[0]):
        assume(len(recordings) >= 2)
        here = sorted(groups[way(y, groups, by=by, seed=3)[1]])
        assert here == sorted(groups[order][way(y[order], groups[order], by=by, seed=3)[1]])


def test_a_seed_gives_one_split_and_other_seeds_give_others() -> None:
    y, groups = rows([(label, f"{label}{number}", 2) for label in "ab" for number in range(20)])
    seen = {tuple(split(y, groups, seed=seed)[1]) for seed in range(10)}
    assert len(seen) == 10
    assert tuple(split(y, groups, seed=4)[1]) in seen
    assert tuple(split(y, groups, seed=4)[1]) == tuple(split(y, groups, seed=4)[1])


def test_every_recording_is_held_out_by_some_seed() -> None:
    y, groups = rows([(label, f"{label}{number}", 2) for label in "ab" for number in range(8)])
    assert {name for seed in range(40) for name in groups[split(y, groups, seed=seed)[1]]} == set(groups)


@given(sets(), st.floats(0.05, 0.95))
def test_the_random_split_is_stratified_to_the_nearest_row(recordings: Recordings, test: float) -> None:
    y, groups = rows(recordings)
    taught, held = split(y, groups, by="random", test=test)
    assert sorted([*taught, *held]) == list(range(len(y)))
    for label in set(y):
        count, got = np.count_nonzero(y == label), np.count_nonzero(y[held] == label)
        assert abs(got - test * count) <= 0.5 + 1e-9 or got in (1, count - 1)
        assert 1 <= got <= count - 1


def test_the_random_split_leaks_recordings() -> None:
    y, groups = rows([(label, f"{label}{number}", 3) for label in "ab" for number in range(20)])
    taught, held = split(y, groups, by="random")
    assert len(set(groups[taught]) & set(groups[held])) > 20


def test_a_class_of_one_recording_is_refused_by_name_and_splits_at_random() -> None:
    y, groups = rows([("a", "a0", 3), ("a", "a1", 3), ("b", "b0", 4)])
    says = r"class 'b' has 1 recording, of 4 examples.*--group.*leave it out.*--split random"
    with pytest.raises(InputError, match=says):
        split(y, groups)
    with pytest.raises(InputError, match="class 'b' has 1 recording"):
        folds(y, groups, count=2)
    taught, held = split(y, groups, by="random")
    assert set(y[taught]) == set(y[held]) == {"a", "b"}


@pytest.mark.parametrize("by", ["recording", "random"])
def test_a_class_of_one_example_is_refused_either_way(by: str) -> None:
    y, groups = rows([("a", "a0", 3), ("a", "a1", 3), ("b", "b0", 1)])
    with pytest.raises(InputError, match="class 'b' has 1 recording, of 1 example, and cannot") as told:
        split(y, groups, by=by)  # type: ignore[arg-type]
    assert "--split random" not in str(told.value)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=12, max_size=60))
def test_recordings_of_several_classes_stay_whole_too(pairs: list[tuple[str, int]]) -> None:
    y, groups = np.array([label for label, _ in pairs]), np.array([str(number) for _, number in pairs])
    try:
        taught, held = split(y, groups)
    except InputError as told:
        assert "has 1 recording" in str(told) or "several classes" in str(told)  # noqa: PT017
        return
    assert not set(groups[taught]) & set(groups[held])
    assert set(y[taught]) == set(y[held]) == set(y)


def test_classes_that_recordings_tie_together_are_refused() -> None:
    with pytest.raises(InputError, match=r"no split by recording leaves .* on both sides"):
        split(["a", "b", "a", "c", "b", "c"], ["1", "1", "2", "2", "3", "3"], seed=0)


@settings(max_examples=40)
@given(sets(least=3), st.integers(2, 6), st.sampled_from(["recording", "random"]))
def test_in_folds_every_row_examines_once_and_every_class_always_teaches(
    recordings: Recordings, count: int, by: str
) -> None:
    y, groups = rows(recordings)
    parts = folds(y, groups, by=by, count=count)  # type: ignore[arg-type]
    assert len(parts) == count
    assert sorted(row for _, held in parts for row in held) == list(range(len(y)))
    for taught, held in parts:
        assert sorted([*taught, *held]) == list(range(len(y)))
        assert set(y[taught]) == set(y)
        assert by == "random" or not set(groups[taught]) & set(groups[held])


def test_folds_of_classes_with_enough_recordings_have_every_class_on_both_sides() -> None:
    y, groups = rows([(label, f"{label}{number}", 2) for label in "abc" for number in range(11)])
    for _, held in folds(y, groups):
        assert [int(np.count_nonzero(y[held] == label)) // 2 for label in "abc"] in ([2, 2, 2], [3, 2, 2]) or all(
            4 <= np.count_nonzero(y[held] == label) <= 6 for label in "abc"
        )


def test_fewer_recordings_than_folds_are_refused() -> None:
    y, groups = rows([("a", "a0", 3), ("a", "a1", 3), ("b", "b0", 3), ("b", "b1", 3)])
    with pytest.raises(InputError, match="5 folds of 4 recordings"):
        folds(y, groups)
    with pytest.raises(InputError, match="no class has the 7 examples"):
        folds(y, groups, by="random", count=7)


@pytest.mark.parametrize("test", [0.0, 1.0, -0.1, float("nan")])
def test_a_part_outside_0_and_1_is_refused(test: float) -> None:
    with pytest.raises(InputError, match="above 0 and below 1"):
        split(["a", "a", "b", "b"], ["1", "2", "3", "4"], test=test)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match=r"split by 'recordings' is not known; did you mean recording\?"):
        split(["a", "a"], ["1", "2"], by="recordings")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="as many of both"):
        split(["a", "a"], ["1"])
    with pytest.raises(InputError, match="and some, were expected"):
        split([], [])
    with pytest.raises(InputError, match="1 folds"):
        folds(["a", "a"], ["1", "2"], count=1)
    with pytest.raises(InputError, match="seed -1"):
        split(["a", "a"], ["1", "2"], seed=-1)
