"""Two audits side by side: paired by content, and no difference is told that chance makes."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, false_discovery_control, wilcoxon
from tests.campaign.kit import audit_of, lost, scored, trial, tried, won

from subterfuge.campaign._comparing_tests import mcnemar, medians_apart, ratios_apart
from subterfuge.campaign.comparing import Comparison, compare
from subterfuge.campaign.holm import holm
from subterfuge.campaign.rows import Audit
from subterfuge.errors import InputError

NAMES = [f"clip{k}" for k in range(12)]


def white(snrs: Sequence[float | None], **about: Any) -> Audit:
    """Give an audit of one white box search a clip; None is lost."""
    rows = [
        lost(name, "low", "high") if snr is None else won(name, "low", "high", snr)
        for name, snr in zip(NAMES, snrs, strict=False)
    ]
    return audit_of(rows, **about)


def row(found: Comparison, name: str) -> Any:
    return next(one for one in found.rows if one.name == name)


def test_an_audit_beside_itself_has_no_differences() -> None:
    one = audit_of(
        [
            *(won(name, "low", "high", 30.0 + k, survival=[trial("mp3", k % 2 == 0)]) for k, name in enumerate(NAMES)),
            *(won(name, "low", None, 30.0, probe="masked") for name in NAMES[:6]),
            *(lost(name, "low", None, probe="masked") for name in NAMES[6:]),
        ],
        clean=dict.fromkeys(NAMES, "low"),
    )
    found = compare(one, one)
    assert len(found.rows) == 4
    assert {each.word for each in found.rows} == {"no more than noise"}
    assert {each.difference for each in found.rows} == {0.0}
    assert {each.p for each in found.rows} == {1.0}
    assert (found.common, found.only_a, found.only_b) == (24, 0, 0)
    assert "both audits are of the same victim, by its fingerprint" in found.notes


def test_a_change_of_every_clip_is_told_and_its_interval_is_that_change() -> None:
    found = compare(white([40.0 + k for k in range(12)]), white([20.0 + k for k in range(12)]))
    needed = row(found, "median SNR needed, white")
    assert (needed.a, needed.b, needed.difference, needed.low, needed.high) == (45.5, 25.5, -20.0, -20.0, -20.0)
    assert needed.word == "better"
    assert needed.p < 0.002
    assert any("better" in sentence and "45.5 dB before, 25.5 dB after" in sentence for sentence in found.sentences)
    other = row(compare(white([20.0 + k for k in range(12)]), white([40.0 + k for k in range(12)])), needed.name)
    assert (other.word, other.difference) == ("worse", 20.0)


def test_three_clips_can_prove_nothing_however_far_apart_they_are() -> None:
    needed = row(compare(white([60.0, 61.0, 62.0]), white([10.0, 11.0, 12.0])), "median SNR needed, white")
    assert needed.p == 2 / 2**3
    assert needed.word == "no more than noise"


def test_a_lost_search_counts_as_worse_than_any_and_no_median_is_no_number() -> None:
    needed = row(compare(white([50.0 + k for k in range(12)]), white([None] * 12)), "median SNR needed, white")
    assert (needed.a, needed.b, needed.difference, needed.word) == (55.5, None, None, "better")
    assert needed.says == "won 12 and 0 of 12"
    assert needed.p == pytest.approx(2 / 2000, abs=2e-3)


def test_clean_accuracy_is_held_by_the_exact_test_of_mcnemar() -> None:
    a = audit_of(clean={name: ("low", "low" if k < 9 else "high") for k, name in enumerate(NAMES)})
    b = audit_of(clean={name: ("low", "low" if k == 0 or k == 11 else "high") for k, name in enumerate(NAMES)})
    clean = row(compare(a, b), "clean accuracy")
    assert (clean.a, clean.b) == (9 / 12, 2 / 12)
    assert clean.says == "1 of 12 clips gained, 8 lost"
    assert clean.p == pytest.approx(binomtest(8, 9).pvalue)
    assert clean.word == "worse"


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_mcnemar_is_what_swapping_clips_comes_to(pairs: list[tuple[bool, bool]]) -> None:
    first, second = ([pair[side] for pair in pairs] for side in (0, 1))
    there = abs(sum(first) - sum(second))
    apart = [
        abs(sum((x - y) if swap else (y - x) for (x, y), swap in zip(pairs, swaps, strict=True)))
        for swaps in itertools.product((False, True), repeat=len(pairs))
    ]
    assert mcnemar(first, second) == pytest.approx(sum(one >= there for one in apart) / len(apart))


def test_the_swaps_of_ranks_are_those_of_a_plain_transcription() -> None:
    die = np.random.default_rng(3)
    first, second = die.normal(30, 5, 9), die.normal(33, 5, 9)
    first[2] = second[5] = -math.inf
    places = np.array([0, 0, 1, 2, 2, 3, 4, 4, 5])

    changes = [0.0 if x == y else float(y - x) for x, y in zip(first, second, strict=True)]
    ordered = sorted(map(abs, changes))
    signed = [math.copysign(np.mean([k + 1 for k, one in enumerate(ordered) if one == abs(d)]), d) for d in changes]

    def apart(swaps: Sequence[bool]) -> float:
        return sum(rank * (-1 if swaps[place] else 1) for rank, place in zip(signed, places, strict=True))

    there = apart([False] * 6)
    every = [apart(swaps) for swaps in itertools.product((False, True), repeat=6)]
    found, _, p, side = medians_apart(first, second, places, np.random.default_rng(0))
    assert found == pytest.approx(statistics.median(second) - statistics.median(first))
    assert p == sum(abs(one) >= abs(there) - 1e-9 for one in every) / len(every)
    assert side == np.sign(there)


def test_with_one_case_a_clip_it_is_the_signed_rank_test_of_wilcoxon() -> None:
    die = np.random.default_rng(5)
    first = die.normal(30, 5, 30)
    second = first + die.normal(1.5, 4, 30)
    p = medians_apart(first, second, np.arange(30), np.random.default_rng(0))[2]
    assert p == pytest.approx(wilcoxon(first, second).pvalue, abs=0.03)
    few = medians_apart(first[:8], second[:8], np.arange(8), np.random.default_rng(0))[2]
    assert few == pytest.approx(wilcoxon(first[:8], second[:8], method="exact").pvalue)


def test_noise_alone_is_told_from_noise_in_about_one_of_twenty_cases() -> None:
    die = np.random.default_rng(11)
    told = 0
    for _ in range(200):
        hard = die.normal(30, 6, 8)
        first, second = (np.repeat(hard, 2) + die.normal(0, 3, 16) for _ in range(2))
        told += medians_apart(first, second, np.repeat(np.arange(8), 2), die)[2] <= 0.05
    assert 1 <= told <= 20


def test_shares_of_survival_are_swapped_by_clip_too() -> None:
    a = [np.array([3.0, 3, 3, 3, 3, 3]), np.full(6, 3.0)]
    b = [np.zeros(6), np.full(6, 3.0)]
    found, (low, high), p = ratios_apart((a[0], a[1]), (b[0], b[1]), np.random.default_rng(0))
    assert (found, low, high, p) == (-1.0, -1.0, -1.0, 2 / 2**6)


def test_survival_counts_the_wins_of_what_both_audits_have() -> None:
    yes, no, alone = (
        [trial("mp3", True), trial("gain", True)],
        [trial("mp3", False), trial("gain", True)],
        [trial("mp3", True, alone=True), trial("gain", None, why_not="too short")],
    )
    a = audit_of([*(won(name, "low", "high", 30.0, survival=yes) for name in NAMES[:8])])
    b = audit_of(
        [
            *(won(name, "low", "high", 30.0, survival=no) for name in NAMES[:7]),
            won(NAMES[7], "low", "high", 30.0, survival=alone),
            won(NAMES[9], "low", "high", 30.0, survival=yes),
        ]
    )
    found = row(compare(a, b), "share of wins that survive")
    assert (found.a, found.b, found.of) == (1.0, 0.5, 8)
    assert found.says == "16 of 16, and 7 of 14"
    assert found.word == "better"


def test_cases_are_paired_by_content_and_not_by_name_or_place() -> None:
    a = white([40.0, 30.0, 20.0])
    shuffled = list(reversed(white([40.0, 30.0, 20.0]).rows))
    b = audit_of(shuffled)
    assert row(compare(a, b), "median SNR needed, white").p == 1.0
    c = audit_of([won("other", "low", "high", 40.0), won(NAMES[0], "low", "high", 40.0)])
    found = compare(a, c)
    assert (found.common, found.only_a, found.only_b) == (1, 2, 1)


def test_robust_accuracy_counts_clips_that_are_wrong_as_they_come() -> None:
    a = audit_of(
        [
            *(lost(name, "low", None, probe="masked") for name in NAMES[:8]),
            *(won(name, "low", "high", 30.0) for name in NAMES[:8]),
        ],
        clean=dict.fromkeys(NAMES[:8], "low"),
    )
    b = audit_of(
        [
            lost(NAMES[0], "low", None, probe="masked"),
            *(won(name, "low", None, 40.0, probe="masked") for name in NAMES[1:7]),
            *(won(name, "low", "high", 30.0) for name in NAMES[:7]),
            won(NAMES[7], "low", "high", 30.0, answer="high"),
        ],
        clean=dict.fromkeys(NAMES[:7], "low") | {NAMES[7]: ("low", "high")},
    )
    found = row(compare(a, b), "robust accuracy below masking")
    assert (found.a, found.b, found.of) == (1.0, 1 / 8, 8)
    assert found.p == pytest.approx(binomtest(7, 7).pvalue)


@pytest.mark.parametrize(
    ("key", "values"), [("protocol", ("subterfuge", "mine")), ("version", (1, 2)), ("level", ("quick", "standard"))]
)
def test_audits_that_were_made_otherwise_are_refused(key: str, values: tuple[Any, Any]) -> None:
    a, b = (white([40.0], **{key: one}) for one in values)
    with pytest.raises(InputError, match=f"different {key}s, {values[0]} and {values[1]}"):
        compare(a, b)


def test_audits_of_other_clips_are_refused() -> None:
    with pytest.raises(InputError, match="nothing in common"):
        compare(white([40.0]), audit_of([won("elsewhere", "low", "high", 40.0)]))
    with pytest.raises(InputError, match="nothing in common"):
        compare(audit_of(), audit_of())


def test_where_little_is_in_common_it_is_said_why() -> None:
    def about(a: Audit, b: Audit) -> str:
        try:
            return " ".join(compare(a, b).notes)
        except InputError as error:
            return str(error)

    clean = dict.fromkeys(NAMES, "low")
    one = audit_of([won(name, "low", "high", 40.0) for name in NAMES[:6]], clean)
    other = audit_of([won(name, "low", "high", 40.0) for name in NAMES[4:]], clean)
    assert "little is in both: other clips were attacked: 6 in A, 8 in B, 2 in both; audit" in about(one, other)
    aimed = audit_of([won(name, "low", "middle", 40.0) for name in NAMES[:6]], clean)
    assert "little is in both: the 6 clips in both had other targets: 0 of 6 are the same" in about(one, aimed)
    victim = {"name": "v", "labels": ["low", "middle", "drum"]}
    assert "the victims know other labels, A alone high; B alone drum" in about(
        one, audit_of(aimed.rows, victim=victim)
    )
    blind = audit_of([won(name, "low", "high", 40.0, probe="labels") for name in NAMES[:6]], clean)
    assert "other searches were made: white in A, labels in B" in about(one, blind)
    assert "B attacked no clip" in about(one, audit_of(clean=clean))
    strange = audit_of([won("elsewhere", "low", "high", 40.0)])
    assert "nothing in common" in about(one, strange)
    assert "1 in B, 0 in both, and no sound was even scored in both" in about(one, strange)
    assert "little" not in about(one, audit_of(one.rows[:16]))


def test_a_search_with_another_budget_is_left_out_and_named() -> None:
    audits = [
        audit_of([won("a", "low", "high", 30.0), won("a", "low", "high", 20.0, probe="scores")]) for _ in range(2)
    ]
    searches = [
        dict(one) | {"queries": 2000 if one["name"] == "scores" else None} for one in audits[1].setting["searches"]
    ]
    other = Audit({**audits[1].setting, "searches": searches}, audits[1].rows)
    found = compare(audits[0], other)
    assert [one.name for one in found.rows] == ["median SNR needed, white"]
    assert any("scores is not compared" in note and "queries" in note for note in found.notes)


def test_what_is_incomplete_or_drawn_otherwise_is_said() -> None:
    a = audit_of([won("a", "low", "high", 30.0), tried("b", "low", "high", None, state="failed", error="x")])
    b = audit_of([won("a", "low", "high", 30.0)], seed=5, survives="mp3=64")
    notes = " ".join(compare(a, b).notes)
    assert "A is incomplete: 1 of its 2 jobs" in notes
    assert "different seeds, 0 and 5" in notes
    assert "different transforms" in notes


def test_clips_without_a_label_count_in_no_accuracy() -> None:
    one = audit_of([won("a", None, "high", 30.0)], clean={"a": (None, "low"), "b": (None, "low")})
    assert [each.name for each in compare(one, one).rows] == ["median SNR needed, white"]


def test_a_search_that_both_failed_at_is_compared_by_nobody() -> None:
    rows = [tried("a", "low", "high", None, state="failed", error="x"), scored("a", "low", "low")]
    assert [one.name for one in compare(audit_of(rows), audit_of(rows)).rows] == ["clean accuracy"]


def test_the_p_values_are_adjusted_for_all_that_is_told() -> None:
    a = audit_of(
        [won(name, "low", "high", 40.0 + k) for k, name in enumerate(NAMES)], clean=dict.fromkeys(NAMES, "low")
    )
    b = audit_of(
        [won(name, "low", "high", 30.0 + k) for k, name in enumerate(NAMES)],
        clean={name: ("low", "high" if k < 6 else "low") for k, name in enumerate(NAMES)},
    )
    found = compare(a, b)
    assert [one.p_holm for one in found.rows] == pytest.approx(holm([one.p for one in found.rows]))
    assert all(one.p_holm >= one.p for one in found.rows)
    assert "2 differences were looked at" in found.sentences[-1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_the_plain_p_and_bonferroni(ps: list[float]) -> None:
    for p, adjusted in zip(ps, holm(ps), strict=True):
        assert p <= adjusted <= min(1.0, len(ps) * p) + 1e-12
    assert min(holm(ps)) == pytest.approx(min(1.0, len(ps) * min(ps)))
    assert np.all(np.array(holm(ps)) >= false_discovery_control(ps) - 1e-12), "stricter than a false discovery rate"


def test_the_same_seed_tells_the_same_and_json_holds_it_all() -> None:
    a, b = white([30.0 + 3 * k % 7 for k in range(12)]), white([31.0 + 5 * k % 11 for k in range(11)] + [None])
    first, again = compare(a, b, seed=4), compare(a, b, seed=4)
    assert first == again
    told = json.loads(json.dumps(first.json(), allow_nan=False))
    assert told["rows"][0]["name"] == "median SNR needed, white"
    assert set(told) == {"a", "b", "common", "only_a", "only_b", "rows", "sentences", "notes", "schema"}


def test_holm_is_every_bonferroni_on_what_is_left() -> None:
    ps = [0.001, 0.2, 0.04, 0.04]
    assert holm(ps) == pytest.approx([0.004, 0.2, 0.12, 0.12])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]
