"""`check` says whether a victim is sound, what can be done to it, and what asking has cost."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.world import QUICK, card, clip, run
from torch import Tensor

from subterfuge.attacks import ATTACKS, knobs_of
from subterfuge.driver.reach import AFFORDABLE, Reach, planned, reach, sounds_for
from subterfuge.errors import VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import TorchVictim, load_victim
from subterfuge.victims.check import CHECKS


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    for name in ("bands", "scores", "label", "uncertain", "raises", "nan"):
        card(folder, name)
    return folder


def test_it_tells_each_finding_and_ends_with_a_verdict(cards: Path, tmp_path: Path) -> None:
    said = run("check", cards / "bands.toml", clip(tmp_path / "a.wav"))
    assert (said.code, said.err) == (0, "")
    *findings, verdict = lines(said.out)
    assert {line.split()[0] for line in findings} == {"ok"}
    assert [line.split()[1][:-1] for line in findings] == ["protocol", *CHECKS, "speed", "attacks", "goals"]
    assert re.fullmatch(
        r"bands is fit for white-box attacks: quietest by default, .* of the victim's time a clip", verdict
    )
    assert "of clip 1 (a)," in said.out


def test_json_holds_the_same_and_more(cards: Path) -> None:
    found = json.loads(run("check", cards / "scores.toml", "--json").out)
    assert found["victim"] == "scores"
    assert {one["level"] for one in found["findings"]} == {"ok"}
    assert found["fit"] is True
    assert [one["attack"] for one in found["attacks"] if one["default"]] == ["substitute"]
    assert {one["attack"] for one in found["attacks"]} == {
        name for name, kind in ATTACKS.items() if kind.needs <= Gives.SCORES
    }
    assert found["query_ms"] > 0
    assert found["gradient_ms"] is None
    assert found["spent"] is None
    for one in found["attacks"]:
        assert one["minutes"] == pytest.approx(one["count"] * found["query_ms"] / 60_000)


def test_a_victim_that_dies_is_exit_code_4(cards: Path) -> None:
    said = run("check", cards / "raises.toml")
    assert said.code == 4
    assert "failure" in said.out
    assert "the bands broke" in said.out
    assert re.match(r"raises is not fit to be attacked \(.*\): mend that first", lines(said.out)[-1])
    told = run("check", cards / "nan.toml", "--json")
    assert told.code == 4
    found = json.loads(told.out)
    assert "failure" in {one["level"] for one in found["findings"]}
    assert found["fit"] is False


def of(found: Reach, name: str) -> str:
    return next(one.says for one in found.findings if one.name == name)


def test_a_victim_of_labels_is_open_to_label_only_attacks_and_to_two_goals(cards: Path) -> None:
    found = reach(load_victim(cards / "label.toml"), [])
    assert {way.attack for way in found.attacks} == {"hopskipjump", "kenansville", "noise"}
    assert found.goals == ("targeted", "untargeted")
    assert "confident needs probabilities, and it has none" in of(found, "goals")
    assert found.verdict.startswith("label is fit for label-only attacks: hopskipjump by default")


def test_decision_values_alone_cannot_be_made_confident(cards: Path) -> None:
    assert reach(load_victim(cards / "uncertain.toml")).goals == ("targeted", "untargeted", "maximise")
    assert reach(load_victim(cards / "bands.toml")).goals == ("targeted", "untargeted", "confident", "maximise")


def test_a_tagger_is_open_to_goals_about_one_tag(tmp_path: Path) -> None:
    found = reach(load_victim(card(tmp_path, "bands", more='output = "tag logits"\n')))
    assert found.fit, found.findings
    assert found.goals == ("targeted", "untargeted", "confident", "maximise", "tag+", "tag-")
    assert "each tag has a probability of its own" in of(found, "probabilities")
    assert found.findings[0].says.startswith("it has all")


def test_white_box_attacks_run_on_the_twin_where_there_is_one(cards: Path, tmp_path: Path) -> None:
    rest = f'sample_rate = 8000\nvictim = "{cards / "bands.toml"}"\nthrough = "requantise=8"\n'
    (tmp_path / "t.toml").write_text(f'schema = 1\nkind = "through"\n{rest}')
    found = reach(load_victim(tmp_path / "t.toml"))
    assert {way.attack: way.on for way in found.attacks}["quietest"] == "its twin"
    assert {way.attack: way.on for way in found.attacks}["square"] == "itself"
    assert "white box on its twin: quietest" in of(found, "attacks")
    assert "on its twin: quietest by default" in found.verdict


def test_without_clips_two_of_the_demos_are_asked_about_at_a_length_that_it_takes(cards: Path) -> None:
    victim = load_victim(cards / "bands.toml")
    assert isinstance(victim, TorchVictim)
    waves, names = sounds_for(replace(victim, probe_seconds=0.25))
    assert [wave.shape for wave in waves] == [(2000,), (2000,)]
    assert [name[:5] for name in names] == ["[flu]", "[gel]"]
    assert all(np.abs(wave).max() > 0.01 for wave in waves)
    assert sounds_for(replace(victim, probe_seconds=30.0))[0][0].shape == (240_000,)


@dataclass(frozen=True)
class Service:
    """A victim that is asked elsewhere and counts, each answer kept."""

    victim: Victim
    bill: dict[str, Any]
    known: dict[bytes, Tensor]
    most: int | None = None
    twin: None = None
    gives: Gives = Gives.SCORES
    kind: Kind = Kind.DECISION
    warnings: tuple[str, ...] = ("only for servers that you may test",)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.victim, name)

    @property
    def queries_left(self) -> int | None:
        return None if self.most is None else self.most - self.bill["queries"]

    def spent(self) -> dict[str, Any]:
        return self.bill | {"total": 0.25 * self.bill["queries"]}

    def afresh(self) -> Service:
        return replace(self, known={})

    def scores(self, wave: Tensor) -> Tensor:
        key = wave.numpy().tobytes()
        if key not in self.known:
            if self.queries_left is not None and self.queries_left < 1:
                raise VictimError("the budget is spent")
            self.bill["queries"] += len(wave)
            with torch.no_grad():
                self.known[key] = self.victim.scores(wave)
        return self.known[key]

    def decide(self, wave: Tensor) -> Tensor:
        return self.scores(wave).argmax(-1)

    def probabilities(self, wave: Tensor) -> Tensor:
        return self.scores(wave).softmax(-1)


@pytest.fixture
def service(cards: Path) -> Service:
    none = {"queries": 0, "cached": 0, "retries": 0, "price": 0.25, "total": 0.0, "currency": "EUR"}
    return Service(load_victim(cards / "bands.toml"), none, {})


def test_a_victim_that_counts_is_asked_little_and_its_bill_is_told(service: Service) -> None:
    waves, names = sounds_for(service)
    assert planned(service, 2)[0] == 8 <= AFFORDABLE
    found = reach(service, waves, names=names)
    assert found.fit, found.findings
    assert found.spent is not None
    assert (found.spent["queries"], found.spent["total"]) == (8, 2.0)
    assert found.asked == 8
    assert found.verdict.endswith("not asked: batches")
    assert {way.attack: way.price for way in found.attacks}["hopskipjump"] == 2500.0
    assert re.search(r"hopskipjump \(10,000 queries, [^,]*, 2,500 EUR\)", of(found, "attacks"))
    few = reach(replace(service, most=13, known={}), waves, queries=9)
    assert few.spent == found.spent | {"queries": 13, "total": 3.25}


def test_a_bill_is_announced_before_and_told_after(
    service: Service, cards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subterfuge.victims.load_victim", lambda *_, **__: service)
    said = run("check", cards / "bands.toml", "--queries", 4)
    assert said.code == 0
    assert "bands counts its queries: 4 questions at the most follow, 0.25 EUR each" in said.err
    assert "only for servers that you may test" in said.err
    assert "spent     4 queries since it was loaded, 0 answers that were known, 0 retries; 1 EUR" in said.out
    assert run("check", cards / "bands.toml", "--queries", 1).code == 2


def test_every_attack_says_what_a_run_of_it_takes(cards: Path) -> None:
    found = reach(load_victim(cards / "bands.toml"))
    assert {way.attack for way in found.attacks} == set(ATTACKS)
    assert all(way.count > 0 for way in found.attacks)
    assert {way.attack for way in found.attacks if way.limit} == {"pgd"}


def test_a_clip_that_is_none_and_a_card_that_is_none_are_refused(cards: Path, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("no sound")
    assert run("check", cards / "bands.toml", tmp_path / "x.wav").code == 2
    assert run("check", cards / "none.toml").code == 2


def test_of_a_substitute_that_hands_over_the_most_that_it_may_ask_is_told(cards: Path) -> None:
    way = next(one for one in reach(load_victim(cards / "scores.toml")).attacks if one.attack == "substitute")
    own = knobs_of(ATTACKS["substitute"])
    assert own["resign"] > 0
    assert (way.count, way.most) == (max(own["queries"], own["resign"] + own["guided"]), True)
    found = reach(load_victim(cards / "scores.toml"))
    assert f"substitute (up to {way.count:,} queries" in of(found, "attacks")
    assert [one.attack for one in found.attacks if one.most] == ["substitute"]


def test_what_a_cache_knows_is_neither_timed_nor_said_to_be_asked(service: Service) -> None:
    waves, names = sounds_for(service)
    first = reach(service, waves, names=names)
    again = reach(service, waves, names=names)
    assert again.spent is not None
    assert first.spent is not None
    assert again.spent["queries"] - first.spent["queries"] == again.asked == 1
    assert of(again, "finite").startswith("its answers to 7 sounds are finite, and were all known, so none was asked: ")
    assert "ms a query" in of(again, "speed"), "of the one that was asked afresh"


def test_the_time_of_a_query_is_that_of_what_was_asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on a second with each question that is paid, and stands still otherwise."""
    waves, names = sounds_for(service)
    reach(service, waves, names=names)
    monkeypatch.setattr("time.perf_counter", lambda: float(service.bill["queries"]))
    assert reach(service, waves, names=names).query_ms == 1000.0


def test_what_only_a_memory_answers_is_said_not_to_be_asked(service: Service) -> None:
    @dataclass(frozen=True)
    class Wraps:
        victim: Service

        def __getattr__(self, name: str) -> Any:
            if name in ("afresh", "spent", "__setstate__"):
                raise AttributeError(name)
            return getattr(self.victim, name)

    waves, names = sounds_for(service)
    reach(service, waves, names=names)
    found = reach(Wraps(service), waves, names=names)  # type: ignore[arg-type]
    levels = {one.name: one.level for one in found.findings}
    assert (levels["determinism"], levels["speed"]) == ("not asked", "not asked")
    assert (found.query_ms, found.asked) == (None, 0)
    assert all(way.minutes is None for way in found.attacks)
    assert found.verdict.endswith("not asked: determinism, batches, speed")


def test_sounds_that_are_one_file_are_counted_once(service: Service) -> None:
    @dataclass(frozen=True)
    class Rounds(Service):
        def scores(self, wave: Tensor) -> Tensor:
            return super().scores((wave * 32768).round() / 32768 + 0.0)

    rounds = Rounds(service.victim, service.bill, {})
    waves, names = sounds_for(service)
    found = reach(rounds, waves, names=names)
    assert re.search(
        r"answers 6 sounds .*near-silence; not asked, for it knew the answer: silence$", of(found, "finite")
    )
    assert found.spent is not None
    assert found.asked == found.spent["queries"] == 7


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("check", "CARD", "CLIP"), 0),
        (("score", "CLIP", "--victim", "CARD"), 0),
        (("attack", "CLIP", "--victim", "CARD", "--target", "nobody", "--out", "o/"), 2),
        (("attack", "CLIP", "--victim", "CARD", "--target", "high", "--out", "o/", *QUICK), 0),
        (("harden", "CARD", "CLIP"), 2),
    ],
    ids=["check", "score", "no such label", "attack", "harden"],
)
def test_what_steers_a_terminal_is_shown_as_codes(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    path = card(tmp_path, "bands")
    odd = path.read_text().replace('"middle"', r'"mid\u001b[2J\u202e"').replace('"low"', r'"l\u0007\u001b[2J"')
    path.write_text(odd)
    places = {"CARD": path, "CLIP": clip(tmp_path / "a.wav"), "o/": tmp_path / "o.wav"}
    said = run(*(places.get(word, word) for word in words))
    assert said.code == code, said
    told = said.out + said.err
    assert not {"\x1b", "\x07", "\u202e"} & set(told)
    assert r"mid\x1b[2J\u202e" in told or r"l\x07" in told or words[0] == "harden"


@pytest.mark.parametrize("own", [True, False])
def test_only_the_demos_clips_count_as_nobodys_own(
    own: bool, cards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def tells(*given: Any, borrowed: bool, **more: Any) -> Reach:
        told.append(borrowed)
        return reach(*given, borrowed=borrowed, **more)

    monkeypatch.setattr("subterfuge.driver.reach.reach", tells)
    run("check", cards / "label.toml", *([clip(tmp_path / "a.wav")] if own else []))
    assert told == [not own]
