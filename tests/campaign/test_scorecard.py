"""The scorecard: its word is earned by the numbers, its line carries them, its advice can be typed."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

import pytest
from click import Group
from hypothesis import given
from hypothesis import strategies as st
from tests.campaign.kit import SEES, audit_of, lost, scored, trial, tried, won

from subterfuge.campaign.figures import figures_of
from subterfuge.campaign.rows import Audit, Row
from subterfuge.campaign.scorecard import VERDICTS, Scorecard, bars, check_bars, scorecard_of
from subterfuge.cli import cli
from subterfuge.errors import InputError

NAMES = [f"clip{k}" for k in range(8)]
HIDES = {"sign": "flat slopes", "hides": True, "words": "the slope is 0 at 3 of 8 clips"}


STANDS = [
    lost(name, "low", target, probe=probe) for probe, target in (("white", "high"), ("masked", None)) for name in NAMES
]
"""Searches by gradients and below the threshold of 8 clips, all of them lost."""
BLIND = [
    lost(name, "low", target, probe=probe) for probe, target in (("labels", "high"), ("masked", None)) for name in NAMES
]
"""Likewise by labels alone."""


def card(audit: Audit) -> Scorecard:
    return scorecard_of(audit, figures_of(audit))


def attacked(snr_db: float, masked: int, mos: float = 4.9, **about: Any) -> Audit:
    """Give an audit of 8 clips, all of them right: white box at an SNR, so many turned below the threshold."""
    white = [won(name, "low", "high", snr_db + k / 10, zimtohrli_mos=mos) for k, name in enumerate(NAMES)]
    below: list[Row] = [
        tried(name, "low", None, 30.0, won=k < masked, probe="masked", zimtohrli_mos=mos)
        for k, name in enumerate(NAMES)
    ]
    return audit_of([*white, *below], dict.fromkeys(NAMES, "low"), **about)


@pytest.mark.parametrize(
    ("audit", "word"),
    [
        (attacked(15.0, 0), "robust"),
        (attacked(15.0, 4), "robust"),
        (attacked(15.0, 5), "fooled"),
        (attacked(25.0, 0), "weak"),
        (attacked(39.0, 4), "weak"),
        (attacked(41.0, 0), "fooled"),
        (attacked(41.0, 0, mos=3.0), "weak"),
        (attacked(15.0, 0, doubts=[HIDES]), "doubtful"),
        (attacked(15.0, 0, doubts=[HIDES | {"hides": False}]), "robust"),
        (attacked(41.0, 8, doubts=[HIDES]), "fooled"),
        (audit_of(clean={"a": "low"}), "incomplete"),
        (audit_of(), "incomplete"),
        (audit_of([won("a", "low", "high", 50.0), tried("b", "low", "high", None, state="left")]), "incomplete"),
        (audit_of([won("a", "low", "high", 50.0), tried("b", "low", "high", None, state="failed")]), "incomplete"),
        (audit_of([tried("a", "low", "high", None, already=True)]), "incomplete"),
        (audit_of(STANDS), "robust"),
        (audit_of(STANDS[:8]), "unproven"),
        (audit_of(STANDS[8:]), "unproven"),
        (audit_of(STANDS[:15]), "unproven"),
        (audit_of([lost(name, "low", "high", probe="labels") for name in NAMES], queries=20), "unproven"),
        (audit_of(BLIND, victim={"name": "tuned", "gives": "label"}), "robust"),
        (audit_of(BLIND, victim={"name": "tuned", "gives": "scores"}), "unproven"),
        (audit_of([lost("a", "low", "middle", answer="high")], {"a": ("low", "high")}), "weak"),
    ],
)
def test_the_word_is_what_the_numbers_earn(audit: Audit, word: str) -> None:
    found = card(audit)
    assert found.verdict == word
    assert found.sentences[0].startswith(f"tuned is {word}: ")


def test_a_black_box_that_turns_clips_makes_no_robust_victim() -> None:
    black = [won(name, "low", "high", 30.0, probe="scores") for name in NAMES]
    assert card(audit_of(STANDS)).verdict == "robust"
    assert card(audit_of([*STANDS, *black])).verdict == "weak"


def test_without_the_strongest_search_at_the_levels_effort_nothing_is_robust_and_what_is_missing_is_told() -> None:
    labels = [lost(name, "low", "high", probe="labels") for name in NAMES]
    every = audit_of([*STANDS, *labels]).setting["searches"]
    found = card(audit_of(labels, dict.fromkeys(NAMES, "low"), searches=every, queries=20, seed=3))
    assert found.verdict == "unproven"
    assert "but the search white was not made; the search masked was not made." in found.sentences[0]
    assert found.line.endswith("(subterfuge 1 quick, seed 3; altered: --only labels --queries 20)")
    assert any("CLIPS --seed 3 --queries 20 --only white,masked --out ." in step for step in found.next)
    few = card(audit_of([*STANDS[:15], *labels], dict.fromkeys(NAMES, "low"), searches=every))
    assert "but the search masked was not made of 1 clip." in few.sentences[0]


def test_queries_that_are_fewer_than_the_levels_prove_nothing_where_they_are_all_that_there_is() -> None:
    searches = [
        {"name": name, "goal": goal, "limit": limit, "queries": 20}
        for name, goal, limit in (("masked", "untargeted", "masking"), ("labels", "targeted", ""))
    ]
    blind = {"name": "tuned", "card": "a.toml", "gives": "label", "labels": ["low", "high"]}
    found = card(audit_of(BLIND, dict.fromkeys(NAMES, "low"), searches=searches, queries=20, clips=8, victim=blind))
    assert found.verdict == "unproven"
    assert "masked had 20 queries of 600; labels had 20 queries of 600" in found.sentences[0].replace("but ", "")
    assert "altered: --clips 8 --queries 20)" in found.line
    assert any("a.toml CLIPS --clips 8 --out whole" in step for step in found.next)


def test_one_clip_of_a_search_decides_nothing_where_another_was_asked_of_enough() -> None:
    rows = [won(name, "low", "high", 25.0) for name in NAMES]
    one = won(NAMES[0], "low", None, 89.1, probe="untargeted")
    assert card(audit_of([*rows, one])).verdict == "weak"
    alone = card(audit_of([one]))
    assert "; of 1 clip, 1 right as it came); that rests on 1 clip, and of so few" in alone.sentences[0]
    wrong = [won(name, "low", "middle", 45.0, answer="high", predicted="middle") for name in NAMES[1:]]
    quiet = [won(name, "low", None, 70.0, probe="untargeted") for name in NAMES]
    mixed = card(
        audit_of([won(NAMES[0], "low", "high", 45.0), *wrong, *quiet], dict.fromkeys(NAMES[1:], ("low", "high")))
    )
    assert "the search white needs a change of 45.0 dB SNR only" in mixed.sentences[0], "not the loudest number"
    assert "of 8 clips, 1 right as they came" in mixed.sentences[0]


def test_a_verdict_that_rests_on_few_right_clips_says_so_however_many_were_attacked() -> None:
    wrong = [lost(name, "low", "middle", answer="high") for name in NAMES[1:]]
    rows = [lost(NAMES[0], "low", "high"), won(NAMES[0], "low", None, 30.0, probe="masked"), *wrong]
    clean = {NAMES[0]: "low"} | dict.fromkeys(NAMES[1:], ("low", "high"))
    found, all_there_are = (card(audit_of(rows, clean, clips=clips)) for clips in (8, 9))
    assert found.verdict == "fooled"
    assert "that rests on 1 clip, and of so few no verdict holds for long" in found.sentences[0]
    assert any("--clips 16 --out more" in step for step in found.next)
    assert any("there were no others" in step for step in all_there_are.next)
    assert not any("--clips" in step for step in all_there_are.next)


def test_clips_that_are_wrong_as_they_come_do_not_fool_by_themselves() -> None:
    wrong = dict.fromkeys(NAMES[1:], ("low", "high"))
    rows = [lost(name, "low", "middle", answer="high") for name in NAMES[1:]]
    mine = [lost(NAMES[0], "low", "high"), lost(NAMES[0], "low", None, probe="masked")]
    found = card(audit_of([*mine, *rows], {NAMES[0]: "low"} | wrong))
    assert found.verdict == "robust"
    assert any("wrong about many clips as they come" in step for step in found.next)


def test_the_line_carries_the_figures() -> None:
    survival = [trial("mp3=64", True), trial("gain=-6", False)]
    rows = [won(name, "low", "high", 48.1, survival=survival) for name in NAMES]
    rows += [won(name, "low", None, 60.0, probe="untargeted") for name in NAMES]
    rows += [won(name, "low", None, 40.0, probe="masked") for name in NAMES]
    rows += [tried(name, "low", "high", 41.0, won=k < 6, probe="scores") for k, name in enumerate(NAMES)]
    rows += [tried(name, "low", "high", 12.3, won=k < 3, probe="labels") for k, name in enumerate(NAMES)]
    audit = audit_of(rows, dict.fromkeys(NAMES, "low") | {"x": ("low", "high"), "y": ("low", "high")})
    assert card(audit).line == (
        "tuned: clean 80 % [49, 94] of 10; robust below the masking threshold 0 %; white box 48.1 dB SNR [48, 48]; "
        "scores at 600 queries 41.0 dB (6 of 8); labels at 600 queries wins 3 of 8; wins survive 50 % of 2 transforms "
        "(subterfuge 1 quick, seed 0)"
    )


def test_the_line_of_an_audit_of_nothing_is_a_line_too() -> None:
    assert card(audit_of()).line == "tuned: clean accuracy not known (subterfuge 1 quick, seed 0)"
    unfinished = audit_of([tried("a", "low", "high", None, state="left")])
    assert "incomplete: 0 of 1 job done" in card(unfinished).line


def test_names_cannot_steer_a_terminal_or_break_a_line() -> None:
    audit = audit_of(
        [won("a", "low\x1b[2J", "hi\ngh", 50.0), won("a", "low\x1b[2J", "x", 40.0)],
        victim={"name": "tu\nned\x1b[31m", "card": "a b;rm -rf.toml"},
        doubts=[{"sign": "a\x07", "hides": True, "words": "b\r"}],
    )
    found = card(audit)
    for text in (found.line, *found.sentences, *found.next):
        assert text.isprintable(), text
    assert any(shlex.quote("a b;rm -rf.toml") in step for step in found.next)


def test_what_failed_is_named_with_its_first_error_and_can_be_tried_again() -> None:
    failed = tried("b", "low", "high", None, state="failed", error="VictimError: it died")
    found = card(audit_of([won("a", "low", "high", 50.0), failed, scored("c", "low", None, state="left")]))
    assert "Of 3 jobs 1 failed and 1 is left; the first: VictimError: it died." in found.sentences
    assert any("--retry" in step for step in found.next)
    assert any("goes on with the 1 job left" in step for step in found.next)


def test_a_sound_that_is_none_is_named_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Audit, "complete", property(lambda _: True))
    found = card(audit_of([won("a", "low", "high", 50.0), scored("b", None, None, state="failed")]))
    assert "1 sound could not be read, and counts nowhere." in found.sentences
    assert not any("--retry" in step for step in found.next)


def test_the_first_ten_sounds_that_are_none_are_named_with_the_reason_and_the_rest_counted() -> None:
    unread = [scored(f"bad{k:02d}", None, None, state="failed") for k in range(12)]
    for rest in ([], [tried("c", "low", "high", None, state="left")]):
        told = card(audit_of([won("a", "low", "high", 50.0), *unread, *rest])).sentences
        assert [one for one in told if one.startswith("Not read: ")] == [
            f"Not read: bad{k:02d}: gone." for k in range(10)
        ]
        assert any("12 sounds could not be read" in one for one in told)
        assert any("Nor could 2 more be read" in one for one in told)


def test_a_sound_that_is_none_is_no_failed_job() -> None:
    failed = tried("b", "low", "high", None, state="failed", error="VictimError: it died")
    found = card(audit_of([scored("u", None, None, state="failed"), failed]))
    assert "Of 2 jobs 1 failed and 0 are left; the first: VictimError: it died." in found.sentences
    assert any("Do the 1 job that failed again" in step for step in found.next)


@pytest.mark.parametrize("state", ["failed", "left"])
def test_searches_that_were_asked_and_never_done_are_not_asked_for_again(state: str) -> None:
    row = tried("b", "low", "high", None, state=state, error="VictimError: it died")
    assert not any("attacked" in step for step in card(audit_of([row], {"a": "low"})).next)
    dead = scored("b", "low", None, state="left")
    assert not any("attacked" in step for step in card(audit_of([dead], {"a": "low"})).next)


def test_an_audit_without_attacks_is_told_which_searches_attack_every_clip() -> None:
    searches = [
        {"name": name, "goal": "untargeted" if name in ("untargeted", "masked") else "targeted"} for name in SEES
    ]
    found = card(audit_of(clean={"a": ("low", "high")}, searches=searches))
    assert any("--only white,scores,labels,substitute --out audit" in step for step in found.next)
    already = card(audit_of([tried("a", "low", "high", None, already=True)]))
    assert any("met its goal as it came" in step for step in already.next)


def test_of_one_clip_nothing_is_promised_and_every_word_is_singular() -> None:
    survival = [trial("mp3=64", True)]
    noise = {"same_level_and_spectrum": {"hits": 1, "draws": 1}, "white_noise_snr_db": None}
    one = won("a", None, "high", 19.8, survival=survival, control=noise, queries=1, gradients=1)
    audit = audit_of([one, lost("a", None, None, probe="masked")], {"a": (None, "low")}, clips=1)
    found = card(audit)
    assert found.verdict == "robust"
    assert "that rests on 1 clip, and of so few no verdict holds for long" in found.sentences[0]
    assert not any("Keep it so" in step for step in found.next)
    assert any("--clips 11" in step for step in found.next)
    words = " ".join([*found.sentences, *figures_of(audit).notes, *figures_of(audit_of([], {"a": "low"})).notes])
    assert not re.search(r"\b1 (clips|jobs|wins|draws|trials|queries|gradients|sounds|unchanged clips)\b", words), words
    many = attacked(15.0, 0)
    assert "so few" not in card(many).sentences[0]
    assert any("Keep it so" in step for step in card(many).next)


def test_the_sentences_name_the_easiest_and_the_hardest_pair_and_the_deadliest_transform() -> None:
    survival = [trial("gain=-6", True), trial("mp3=64", False)]
    rows = [won("a", "low", "high", 50.0, survival=survival), lost("b", "high", "low")]
    found = card(audit_of(rows))
    assert "Easiest is low to high, 50.0 dB; hardest is high to low, lost (search white)." in found.sentences
    assert any("deadliest is mp3=64: 0 of 1 come through" in sentence for sentence in found.sentences)


def test_a_transform_that_kills_most_wins_is_tried_as_a_defence() -> None:
    rows = [
        won(name, "low", "high", 50.0, survival=[trial("gain=-6", False), trial("mp3=64", False)]) for name in NAMES
    ]
    steps = card(audit_of(rows)).next
    assert any("--with mp3=64,noise,adversarial" in step for step in steps)


def test_a_hidden_gradient_asks_for_black_boxes_and_a_robust_victim_for_a_bar() -> None:
    assert any("--only labels" in step for step in card(attacked(15.0, 0, doubts=[HIDES])).next)
    robust = card(attacked(15.0, 0)).next
    assert any("--fail-under clean=0.67,robust=0.67" in step for step in robust)
    assert any("--standard" in step for step in robust)


EVERY = [
    attacked(15.0, 0),
    attacked(25.0, 0, level="standard"),
    attacked(50.0, 8),
    attacked(15.0, 0, doubts=[HIDES]),
    audit_of(),
    audit_of([won("a", "low", "high", 50.0), tried("b", "low", "high", None, state="failed", error="x")]),
    audit_of([won("a", "low", "high", 30.0)], {"a": "low", "b": ("low", "high")}),
]


@pytest.mark.parametrize("audit", EVERY)
def test_every_command_that_is_advised_exists_with_its_options(audit: Audit) -> None:
    for step in card(audit).next:
        for command in re.findall(r"`(subterfuge [^`]*)`", step):
            name, *words = shlex.split(command)[1:]
            assert isinstance(cli, Group)
            known = cli.commands.get(name)
            if known is None:
                pytest.skip(f"the command {name} is not there yet")
            options = {option for one in known.params for option in (*one.opts, *one.secondary_opts)}
            assert {word for word in words if word.startswith("--")} <= options, command


@pytest.mark.parametrize("audit", EVERY)
def test_a_scorecard_is_plain_json_and_its_verdict_is_explained(audit: Audit) -> None:
    told = json.loads(json.dumps(card(audit).json()))
    assert told["says"] == VERDICTS[told["verdict"]]
    assert set(told) == {"line", "verdict", "says", "sentences", "next"}
    assert told["next"], "there is always something to do"


# bars


def test_a_bar_of_robustness_is_not_met_by_a_weaker_search_than_the_victim_allows() -> None:
    labels = [lost(name, "low", "high", probe="labels") for name in NAMES]
    assert missed(audit_of(labels), "robust@20=0.5,clean=0") == [
        "robust@20=0.5: the search white was not made of 8 of 8 clips, which counts as missed",
        "clean=0: it could not be measured, which counts as missed",
    ]
    assert missed(audit_of(labels, victim={"gives": "label"}), "robust@20=0.5") == []
    assert missed(audit_of(STANDS), "robust@20=0.5,robust=0.5") == []


def missed(audit: Audit, text: str) -> Sequence[str]:
    return bars(figures_of(audit), text)


def test_a_bar_is_missed_below_it_and_met_on_it() -> None:
    audit = attacked(33.0, 4)
    assert missed(audit, "robust=0.5,clean=1") == []
    assert missed(audit, "robust=0.51") == [
        "robust=0.51: robust accuracy below the masking threshold is 0.5 (4 of 8 clips)"
    ]
    assert missed(audit, "robust@35=1, robust@32.5=0") == []
    assert missed(audit, "robust@32.5=0.1") == ["robust@32.5=0.1: robust accuracy at 32.5 dB SNR is 0 (0 of 8 clips)"]


def test_the_bar_of_snr_is_the_most_that_an_attacker_may_need() -> None:
    audit = attacked(33.0, 0)
    assert missed(audit, "snr=34") == []
    assert missed(audit, "snr=30") == ["snr=30: the search white needs no louder a change than 33.3 dB SNR (median)"]
    assert missed(audit_of([lost("a", "low", "high")]), "snr=0") == [], "no change at all was found"
    blind = audit_of([won("a", "low", None, 33.0, probe="untargeted")])
    assert "untargeted" in missed(blind, "snr=30")[0]


def test_what_could_not_be_measured_is_missed_and_says_so() -> None:
    audit = audit_of([won("a", None, "high", 30.0)], {"a": (None, "low")})
    assert missed(audit, "clean=0,robust=0,robust@30=0") == [
        "clean=0: it could not be measured, which counts as missed",
        "robust=0: it could not be measured, which counts as missed",
    ]
    assert len(missed(audit_of(), "snr=40,clean=0,robust=0,robust@20=0")) == 4


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "NAME=NUMBER was expected"),
        ("robust", "NAME=NUMBER was expected"),
        ("robust=0.5,", "NAME=NUMBER was expected"),
        ("robost=0.5", "did you mean robust"),
        ("clean@30=0.5", "bar 'clean@30' is not known"),
        ("robust=1.5", "from 0 to 1 was expected"),
        ("robust=50", "50 % is 0.5"),
        ("robust=-0.1", "from 0 to 1"),
        ("clean=nan", "and 'nan' is none"),
        ("clean=1_0", "'1_0' is none"),
        ("clean=half", "'half' is none"),
        ("snr=900", "from -150 to 150"),
        ("snr=inf", "'inf' is none"),
        ("robust@70=0.5", "dB after the @ from 0 to 60"),
        ("robust@=0.5", "dB after the @"),
        ("robust@31=0.5", "try robust@30=0.5"),
        ("robust=0.5,robust=0.6", "given twice"),
    ],
)
def test_a_bar_that_makes_no_sense_is_refused_before_any_work(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        check_bars(text)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        assert check_bars(text)


@given(st.sampled_from(["robust", "robust@20", "robust@42.5", "clean", "snr"]), st.integers(0, 100))
def test_a_bar_is_written_as_it_is_read(name: str, percent: int) -> None:
    text = f"{name}={percent / 100:g}"
    assert [one.word for one in check_bars(text)] == [text]
