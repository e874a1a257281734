"""A model taught anew: on which folds its probabilities are fitted."""

from __future__ import annotations

import numpy as np

from subterfuge.harden.refit import _parts
from subterfuge.training.tables import Table


def rows(clips_of_a: int, copies: int = 3) -> Table:
    """Give a class of one recording, with so many clips, and one of six recordings; each clip with its variants."""
    clips = [("a", "only", f"a/only__{k}.wav") for k in range(clips_of_a)]
    clips += [("b", f"b{k}", f"b/b{k}__1.wav") for k in range(6)]
    named = [(y, group, f"{name}#{k}" if k else name) for y, group, name in clips for k in range(copies)]
    y, groups, names = (np.array(column) for column in zip(*named, strict=True))
    return Table(np.zeros((len(y), 4)), y, groups, names, "librosa-mean-25", 8000)


def leaks(table: Table, notes: list[str]) -> list[bool]:
    return [bool(set(table.sounds[a]) & set(table.sounds[b])) for a, b in _parts(table, 0, notes)]


def test_variants_of_one_clip_never_stand_on_both_sides_where_folds_are_by_clip() -> None:
    notes: list[str] = []
    assert leaks(rows(4), notes) == [False] * 4
    assert notes == ["the class a has one recording to learn from, so probabilities were fitted on folds by clip"]


def test_where_a_class_has_one_clip_alone_its_variants_are_on_both_sides_and_that_is_said() -> None:
    notes: list[str] = []
    assert any(leaks(rows(1), notes))
    (said,) = notes
    assert said.endswith("variants of one clip, as a has one alone, were on both sides: they flatter")
