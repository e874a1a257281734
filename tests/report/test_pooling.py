"""Several listeners together: only whole runs of the one test count, and every other is named."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest
from tests.report.kit import SHORT, results, run, sounds

from subterfuge.errors import InputError
from subterfuge.report.listening import describe_test, id_of
from subterfuge.report.pooling import pool
from subterfuge.report.results import read_results
from subterfuge.report.trials import design

TEST = describe_test([sounds(1, name="one"), sounds(2, name="two")], SHORT)
OTHER = describe_test([sounds(1, name="one"), sounds(2, name="two")], design(trials=7))
GOOD = results(TEST, run(TEST, [6, 3], listener="Ann", id="a"))


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of results."""

    def write(content: Any, name: str = "") -> Path:
        place = tmp_path / (name or f"{len(list(tmp_path.iterdir()))}.json")
        place.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return place

    return write


def altered(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    content = copy.deepcopy(GOOD)
    change(content)
    return content


def test_listeners_are_counted_each_and_together_on_each_pair_and_on_all(put: Callable[..., Path]) -> None:
    files = [put(GOOD), put(results(TEST, run(TEST, [4, 2], id="b"), run(TEST, [5, 6], listener="Cy", id="c")))]
    found = pool(files)
    counts = {(row.listener, row.pair): (row.count.right, row.count.trials) for row in found.listeners}
    assert counts == {
        ("Ann", "one"): (6, 6),
        ("Ann", "two"): (3, 6),
        ("unnamed b", "one"): (4, 6),
        ("unnamed b", "two"): (2, 6),
        ("Cy", "one"): (5, 6),
        ("Cy", "two"): (6, 6),
    }
    assert [(row.count.right, row.count.trials) for row in found.pairs] == [(15, 18), (11, 18)]
    assert (found.everything.count.right, found.everything.count.trials) == (26, 36)
    for row in (*found.listeners, *found.pairs, found.everything):
        truth = binomtest(row.count.right, row.count.trials, alternative="greater")
        assert row.count.p == truth.pvalue
        span = binomtest(row.count.right, row.count.trials).proportion_ci(0.95, "exact")
        assert row.count.share == (span.low, span.high)
    assert found.skipped == ()


def test_a_listener_among_many_is_judged_by_holms_p(put: Callable[..., Path]) -> None:
    one = describe_test([sounds(1)], SHORT)
    alone = pool([put(results(one, run(one, [6], listener="Ann", id="a")))])
    assert alone.listeners[0].p_holm is None
    assert alone.as_json()["listeners"][0]["heard"] is True
    found = pool([put(results(one, *(run(one, [6 if k == 0 else 3], listener=f"L{k}", id=str(k)) for k in range(8))))])
    assert found.listeners[0].p_holm == pytest.approx(8 / 64)
    assert found.as_json()["listeners"][0]["heard"] is False
    assert any("8 counts of single listeners" in note for note in found.notes)


def test_several_runs_of_one_listener_are_added_up_and_that_is_told(put: Callable[..., Path]) -> None:
    both = results(TEST, run(TEST, [6, 6], listener=" Ann ", id="a"), run(TEST, [1, 2], listener="Ann", id="b"))
    found = pool([put(both)])
    assert [(row.listener, row.runs, row.count.right, row.count.trials) for row in found.listeners] == [
        ("Ann", 2, 7, 12),
        ("Ann", 2, 8, 12),
    ]
    assert any("several runs are counted together: Ann (2)" in note for note in found.notes)


def test_a_run_that_comes_twice_counts_once(put: Callable[..., Path]) -> None:
    first, second = put(GOOD), put(altered(lambda told: told["runs"][0].update(listener="Ann B.")))
    found = pool([first, second, first])
    assert found.everything.count.trials == 12
    assert found.skipped == (
        f"{second}, run 1: the same run as in {first}; counted once",
        f"{first}, run 1: the same run as in {first}; counted once",
    )


def test_of_two_runs_that_claim_to_be_one_neither_counts(put: Callable[..., Path]) -> None:
    other = results(TEST, run(TEST, [6, 6], listener="Ann", id="a"), run(TEST, [3, 3], listener="Bo", id="b"))
    found = pool([put(GOOD), put(other)])
    assert [row.listener for row in found.listeners] == ["Bo", "Bo"]
    assert "with other answers; neither is counted" in found.skipped[0]


def test_a_run_that_was_saved_early_and_then_finished_counts_and_its_beginning_is_not_told(
    put: Callable[..., Path],
) -> None:
    early = run(TEST, [6, 3], id="a", complete=False) | {"trials": [], "answered": 5}
    assert read_results([put(results(TEST, early)), put(GOOD)]).skipped == ()


def test_an_incomplete_run_is_named_and_not_counted(put: Callable[..., Path]) -> None:
    early = run(TEST, [6, 6], id="b", complete=False) | {"trials": [], "answered": 5}
    place = put(results(TEST, early))
    found = pool([put(GOOD), place])
    assert found.everything.count.trials == 12
    assert found.skipped == (f"{place}, run 1: left after 5 trials; an incomplete run is not counted",)
    with pytest.raises(InputError, match="no complete run to count"):
        pool([place])


def test_results_of_different_tests_are_not_mixed(put: Callable[..., Path]) -> None:
    files = [put(GOOD, "one.json"), put(results(OTHER, run(OTHER, [7, 7])), "two.json")]
    with pytest.raises(
        InputError, match=rf"2 different tests \({TEST['id'][:8]}: .*one.json; {OTHER['id'][:8]}: .*two"
    ):
        pool(files)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is no JSON; was it cut short"),
        (json.dumps(GOOD)[:-9], "it is no JSON; was it cut short"),
        ("[" * 100_000, "it is no JSON"),
        ("test,run,listener\r\n", "this is the CSV"),
        ([GOOD], "holds no results of a listening test"),
        ({"schema": 1, "won": True}, "holds no results of a listening test"),
        (altered(lambda told: told.update(schema=2)), "its schema is 2, and this version reads 1"),
        (altered(lambda told: told.pop("runs")), "does not say which test, or which runs"),
        (altered(lambda told: told.update(test=7)), "does not say which test"),
        (altered(lambda told: told["test"].update(pairs=[])), "does not say which test"),
        (altered(lambda told: told["test"]["settings"].update(trials=3)), "settings or pairs were altered"),
        (altered(lambda told: told["test"]["settings"].update(alpha=0.5)), "settings or pairs were altered"),
        (altered(lambda told: told["test"]["pairs"][0].update(name="x")), "settings or pairs were altered"),
        (altered(lambda told: told["test"]["pairs"][0].update(snr_db=float("nan"))), "settings or pairs were altered"),
        (altered(lambda told: told["runs"].append(7)), "run 2: it is not a run"),
        (altered(lambda told: told["runs"][0].pop("id")), "run 1: it is not a run"),
        (altered(lambda told: told["runs"][0]["trials"].pop()), r"calls itself complete with \[6, 5\] trials"),
        (altered(lambda told: told["runs"][0]["trials"].append(told["runs"][0]["trials"][0])), r"\[7, 6\] trials"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(pair=2)), "none of the test's pairs"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(pair=True)), "none of the test's pairs"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(pair=[])), "none of the test's pairs"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(x="C")), "a trial says X 'C'"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(x={})), "a trial says X {}"),
        (altered(lambda told: told["runs"][0]["trials"][8].update(right=True)), None),
        (altered(lambda told: told["runs"][0]["trials"][9].update(right=True)), "right True; was it altered"),
        (altered(lambda told: told["runs"][0]["trials"].__setitem__(3, None)), "none of the test's pairs"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(pair=0.0)), "none of the test's pairs"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(seconds=10**400)), "damaged: a trial lasts 1000"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(seconds=math.inf)), "damaged: a trial lasts inf"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(seconds=math.nan)), "damaged: a trial lasts nan"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(seconds=1e308)), "damaged: a trial lasts 1e"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(seconds=-1)), "damaged: a trial lasts -1"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(seconds=True)), "damaged: a trial lasts True"),
        (altered(lambda told: told["runs"][0]["trials"][0].pop("seconds")), "damaged: a trial lasts None"),
        (altered(lambda told: [one.update(trial=1) for one in told["runs"][0]["trials"]]), "numbered from 1 to 6"),
        (altered(lambda told: told["runs"][0]["trials"][7].update(trial=3)), "trials of two are not numbered"),
        (altered(lambda told: told["runs"][0]["trials"][0].update(trial=True)), "trials of one are not numbered"),
    ],
)
def test_what_is_broken_or_altered_is_named_and_never_counted(
    content: Any, said: str | None, put: Callable[..., Path]
) -> None:
    good, bad = put(results(TEST, run(TEST, [3, 3], listener="Bo", id="b"))), put(content)
    found = read_results([good, bad])
    if said is None:
        assert len(found.runs) == 2
        return
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith(str(bad))
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(found.skipped[0])
    assert {one.id for one in found.runs} <= {"a", "b"}


def test_no_name_from_a_file_steers_the_terminal(put: Callable[..., Path]) -> None:
    """Neither a listener's nor a run's nor a pair's, even of a whole test made up for it."""
    red = "\x1b[31m\u202e\ud800\x07"
    test = copy.deepcopy(TEST)
    test["pairs"][0]["name"] = f"{red}one"
    test["id"] = id_of(test)
    runs = (run(test, [3, 3], listener=f"Bo{red}\n\tb ", id="b"), run(test, [3, 3], id=f"{red}c"))
    false = altered(lambda told: told["test"].update(id=f"{red}x"))
    found = pool([put(results(test, *runs)), put(false)])
    said = [*(row.listener for row in found.listeners), *(row.pair for row in found.listeners), *found.skipped]
    assert all(isinstance(words, str) and words.isprintable() for words in said)
    assert {row.listener for row in found.listeners} == {"Bo[31m b", "unnamed [31m"}
    assert found.listeners[0].pair == "[31mone"


def test_a_missing_file_a_folder_and_bytes_are_named(tmp_path: Path, put: Callable[..., Path]) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    files = [put(GOOD, "good.json"), tmp_path / "no.json", tmp_path, tmp_path / "bytes.json"]
    said = read_results(files).skipped
    assert [words.partition(": ")[2] for words in said] == [
        "there is no such file",
        "it cannot be read: Is a directory",
        "it cannot be read: it is no text",
    ]


def test_the_id_of_a_test_does_not_change_when_a_browser_writes_its_numbers_anew() -> None:
    test = TEST | {"more": [1.0, 0.05, -0.0, 1e-7]}
    anew = json.loads(json.dumps(test).replace("1.0", "1").replace("-0.0", "0").replace("1e-07", "1e-7"))
    assert id_of(test) == id_of(anew)
    assert id_of(test) != id_of(test | {"schema": 2})
