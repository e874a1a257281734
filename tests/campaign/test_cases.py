"""The clips and targets of an audit: drawn fairly, the same for everyone, and never what the clip is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subterfuge.campaign.cases import draw_cases
from subterfuge.errors import InputError
from subterfuge.training.examples import Dataset, Example

LABELS = ("a", "b", "c", "d")

rows = st.lists(
    st.tuples(st.sampled_from([*LABELS, "unknown"]), st.integers(0, 4), st.sets(st.sampled_from(LABELS), max_size=3)),
    min_size=1,
    max_size=40,
)


def dataset(rows: list[tuple[str, int, set[str]]]) -> Dataset:
    return Dataset(
        "made up",
        tuple(
            Example(Path(f"{place}.wav"), label, f"{label}{group}", tuple(sorted(also - {label})))
            for place, (label, group, also) in enumerate(rows)
        ),
    )


def known(data: Dataset) -> list[Example]:
    return [one for one in data.examples if one.label in LABELS and not set(LABELS) <= set(one.labels)]


@given(rows, st.integers(1, 30), st.integers(1, 3), st.integers(0, 9))
def test_every_draw_is_fair_and_no_target_is_heard_in_its_clip(
    rows: list[tuple[str, int, set[str]]], clips: int, targets: int, seed: int
) -> None:
    data = dataset(rows)
    if not known(data):
        with pytest.raises(InputError, match=r"none of its .* clips has a label that the victim knows"):
            draw_cases(data, LABELS, clips, targets, seed)
        return
    cases = draw_cases(data, LABELS, clips, targets, seed)
    assert cases == draw_cases(data, LABELS, clips, targets, seed)
    assert [case.number for case in cases] == list(range(len(cases)))
    by_path = {one.path: one for one in data.examples}
    for case in cases:
        one = by_path[case.path]
        assert (case.label, case.labels) == (one.label, one.labels)
        assert case.target in LABELS
        assert case.target not in one.labels
    drawn = Counter(case.path for case in cases)
    assert len(drawn) == min(clips, len(known(data)))
    for path, count in drawn.items():
        assert count == min(targets, len(set(LABELS) - set(by_path[path].labels)))
    assert len({(case.path, case.target) for case in cases}) == len(cases)

    there = Counter(one.label for one in known(data))
    taken = Counter(by_path[path].label for path in drawn)
    for label in there:  # in turn: nobody is two ahead of one who has clips left
        assert all(taken[label] >= taken[other] - 1 for other in taken) or taken[label] == there[label]
    for label in there:  # no recording twice while there are others
        groups = Counter(by_path[path].group for path in drawn if by_path[path].label == label)
        all_of_them = {one.group for one in known(data) if one.label == label}
        assert set(groups) == all_of_them or not groups or max(groups.values()) == 1


@given(st.integers(0, 99))
def test_a_recording_of_many_excerpts_does_not_crowd_out_the_others(seed: int) -> None:
    data = dataset([("a", 0, set())] * 20 + [("a", 1, set()), ("a", 2, set())] + [("b", 0, set())])
    cases = draw_cases(data, LABELS, 4, 1, seed)
    by_path = {one.path: one.group for one in data.examples}
    assert sorted(by_path[case.path] for case in cases) == ["a0", "a1", "a2", "b0"]


def test_another_seed_draws_other_clips() -> None:
    data = dataset([("a", place, set()) for place in range(20)])
    drawn = {tuple(case.path for case in draw_cases(data, LABELS, 3, 1, seed)) for seed in range(5)}
    assert len(drawn) == 5


def asked(data: Dataset, labels: Sequence[str], clips: int, targets: int = 1, seed: int = 0) -> set[tuple[Path, str]]:
    return {(case.path, case.target) for case in draw_cases(data, labels, clips, targets, seed)}


def test_which_classes_come_first_is_drawn_by_the_seed() -> None:
    names = [f"class {k:02d}" for k in range(50)]
    data = Dataset("made up", tuple(Example(Path(f"{k}.wav"), names[k % 50], str(k)) for k in range(100)))
    taken = [{case.label for case in draw_cases(data, names, 11, 1, seed)} for seed in range(9)]
    assert {len(one) for one in taken} == {11}
    assert len({frozenset(one) for one in taken}) == 9
    assert len(set().union(*taken)) > 35


@given(rows, st.integers(1, 12), st.integers(0, 12), st.integers(1, 2), st.integers(0, 9))
def test_more_clips_and_more_targets_only_add(
    rows: list[tuple[str, int, set[str]]], clips: int, more: int, targets: int, seed: int
) -> None:
    data = dataset([*rows, ("a", 9, set())])
    few = asked(data, LABELS, clips, targets, seed)
    assert few <= asked(data, LABELS, clips + more, targets, seed)
    assert few <= asked(data, LABELS, clips, targets + 1, seed)


@given(rows, st.integers(0, 9), st.randoms(use_true_random=False))
def test_the_order_of_files_and_of_labels_draws_nothing(
    rows: list[tuple[str, int, set[str]]], seed: int, die: Random
) -> None:
    data = dataset([*rows, ("a", 9, set())])
    files, labels = list(data.examples), list(LABELS)
    die.shuffle(files)
    die.shuffle(labels)
    assert draw_cases(data, LABELS, 9, 2, seed) == draw_cases(Dataset("made up", tuple(files)), labels, 9, 2, seed)


@given(st.integers(0, 20), st.integers(0, 9))
def test_a_clip_that_is_gone_moves_no_other(gone: int, seed: int) -> None:
    data = dataset([(LABELS[k % 3], k, set()) for k in range(21)])
    before = asked(data, LABELS, 11, 1, seed)
    after = asked(data.only([k for k in range(21) if k != gone]), LABELS, 11, 1, seed)
    assert before - after == {one for one in before if one[0] == data.examples[gone].path}
    assert len(after) == 11


@pytest.mark.parametrize(
    ("clips", "targets", "says"),
    [(0, 1, "0 clips: one or more"), (3, 0, "0 targets a clip: from 1 to 3"), (3, 4, "4 targets a clip: from 1 to 3")],
)
def test_numbers_that_make_no_sense_are_refused(clips: int, targets: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        draw_cases(dataset([("a", 0, set())]), LABELS, clips, targets)
