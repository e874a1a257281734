"""The check of a victim finds what is wrong with it, says it with numbers, and never dies of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from subterfuge.errors import InputError, VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims import Finding, PythonVictim, TorchVictim, check_victim
from subterfuge.victims.check import CHECKS, questions


class Energies(nn.Module):
    """Log energy in three parts of the wave: smooth, and easy to break."""

    def forward(self, wave: Tensor) -> Tensor:
        parts = wave[:, : wave.shape[1] // 3 * 3].unflatten(1, (3, -1))
        return (parts.square().mean(-1) + 1e-3).log()


def energies(wave: Tensor) -> Tensor:
    return Energies()(wave)


@dataclass(frozen=True)
class Fake:
    """A victim of any kind, each of whose answers can be replaced."""

    name: str = "fake"
    labels: tuple[str, ...] = ("a", "b", "c")
    sample_rate: int = 4000
    gives: Gives = Gives.GRADIENTS
    kind: Kind = Kind.DECISION
    fingerprint: str = "f"
    twin: Victim | None = None
    warnings: tuple[str, ...] = ()
    score: Callable[[Tensor], Any] = energies
    say: Callable[[Tensor], Any] | None = None
    chance: Callable[[Tensor], Any] | None = None
    no_twin: str | None = None

    def scores(self, wave: Tensor) -> Any:
        return self.score(wave)

    def decide(self, wave: Tensor) -> Any:
        return self.score(wave).argmax(-1) if self.say is None else self.say(wave)

    def probabilities(self, wave: Tensor) -> Any:
        return None if self.chance is None else self.chance(wave)


def finding(victim: Any, name: str, clips: list[np.ndarray] | None = None) -> Finding:
    return {each.name: each for each in check_victim(victim, clips or []).findings}[name]


def test_a_sound_victim_has_no_failure_and_its_report_is_fit_for_json() -> None:
    clip = (0.1 * np.random.default_rng(0).normal(size=3000)).astype(np.float32)
    report = check_victim(Fake(chance=lambda wave: energies(wave).softmax(-1)), [clip])
    assert [each.name for each in report.findings] == ["protocol", *CHECKS, "speed"]
    assert {each.level for each in report.findings} == {"ok"}, report
    assert json.loads(json.dumps(asdict(report)))["findings"][0]["level"] == "ok"


def dies(wave: Tensor) -> Tensor:
    raise RuntimeError("dead")


def noisy(wave: Tensor) -> Tensor:
    return energies(wave) + 0.5 * torch.rand(3)


class Alternating:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, wave: Tensor) -> Tensor:
        self.asked += 1
        return torch.full((len(wave),), self.asked % 2)


class Feels(nn.Module):
    def forward(self, wave: Tensor) -> Tensor:
        return energies(wave) + len(wave)


class OtherSlope(nn.Module):
    def forward(self, wave: Tensor) -> Tensor:
        out = energies(wave)
        return out.detach() + 2 * (out - out.detach())


class Steps(nn.Module):
    def forward(self, wave: Tensor) -> Tensor:
        out = energies(wave)
        return out.detach().round() + 0 * out


class RootSlope(nn.Module):
    def forward(self, wave: Tensor) -> Tensor:
        return torch.stack([wave.square().sum(-1).sqrt()] * 3, -1)


def only_loud(wave: Tensor) -> Tensor:
    if float(wave.abs().max()) < 1e-3:
        raise ValueError("too quiet")
    return energies(wave)


BAD: dict[str, tuple[Any, str, str, str]] = {
    "it is nothing": (object(), "protocol", "failure", "it lacks decide, fingerprint, gives"),
    "labels are a list": (Fake(labels=["a", "b", "c"]), "protocol", "failure", "no tuple of texts"),
    "a label stands twice": (Fake(labels=("a", "b", "a")), "protocol", "failure", "not two or more different"),
    "a rate of zero": (Fake(sample_rate=0), "protocol", "failure", "sample_rate is 0"),
    "gives is a text": (Fake(gives="scores"), "protocol", "failure", "gives is a str, not a Gives"),
    "it always dies": (Fake(score=dies), "finite", "failure", "no answer to 5 of 5 .*RuntimeError: dead"),
    "it dies of quiet sounds": (
        Fake(score=only_loud),
        "finite",
        "warning",
        r"no answer to 2 of 5 sounds \(near-silence, silence\); to near-silence: ValueError: too quiet",
    ),
    "scores of another count": (Fake(labels=("a", "b")), "shapes", "failure", r"shape \(1, 3\); shape \(1, 2\)"),
    "decide gives a list": (Fake(say=lambda w: [0] * len(w)), "shapes", "failure", "gave a list; an int64 tensor"),
    "an index too far": (Fake(say=lambda w: torch.full((len(w),), 9)), "shapes", "failure", "index 9; it has 3 labels"),
    "duels that are none": (
        Fake(kind=Kind.DUELS, score=lambda w: torch.ones(len(w), 3, 3), say=lambda w: torch.zeros(len(w)).long()),
        "shapes",
        "failure",
        "not antisymmetric",
    ),
    "labels only, yet scores": (Fake(gives=Gives.LABELS), "shapes", "warning", "and yet scores answers"),
    "NaN": (Fake(score=lambda w: energies(w) * torch.nan), "finite", "failure", "NaN or infinite"),
    "NaN probabilities": (Fake(chance=lambda w: torch.full((len(w), 3), torch.nan)), "finite", "failure", "NaN"),
    "random scores": (Fake(score=noisy), "determinism", "(failure|warning)", "asked twice"),
    "random labels": (Fake(say=Alternating()), "determinism", "failure", "another label to noise"),
    "it feels its batch": (Fake(score=Feels()), "batches", "failure", "a clip feels its batch: .* batch of 5"),
    "its labels feel their batch": (
        Fake(gives=Gives.LABELS, score=dies, say=lambda w: torch.full((len(w),), int(len(w) > 1))),
        "batches",
        "failure",
        "a clip feels its batch",
    ),
    "one answer for a batch": (Fake(say=lambda w: torch.zeros(1).long()), "batches", "failure", r"shape \(5,\)"),
    "labels against scores": (
        Fake(say=lambda w: energies(w).argmin(-1)),
        "agreement",
        "warning",
        "not the largest of its scores for [1-5] of 5 sounds",
    ),
    "sums": (Fake(chance=lambda w: torch.full((len(w), 3), 0.5)), "probabilities", "failure", "within 0.5"),
    "below zero": (
        Fake(chance=lambda w: torch.tensor([[-0.5, 0.5, 1.0]]).expand(len(w), 3)),
        "probabilities",
        "failure",
        "the least is -0.5",
    ),
    "constant scores": (
        Fake(score=lambda w: torch.ones(len(w), 3) + 0 * w.sum(-1, keepdim=True)),
        "answers",
        "warning",
        "a 1?.*; its scores are the same for all 5 sounds: does it hear them",
    ),
    "tags beyond 1": (
        Fake(kind=Kind.TAGS, chance=lambda w: energies(w).sigmoid() + 1),
        "probabilities",
        "failure",
        "where 0 to 1 was expected",
    ),
    "tags that are no sigmoids": (
        Fake(kind=Kind.TAGS, chance=lambda w: energies(w).softmax(-1)),
        "probabilities",
        "failure",
        "the sigmoids of its log-odds within 0",
    ),
    "an answer that is not the top tag": (
        Fake(kind=Kind.TAGS, say=lambda w: energies(w).argmin(-1)),
        "agreement",
        "warning",
        "not the tag of the largest of its log-odds",
    ),
    "another twin": (
        Fake(gives=Gives.SCORES, twin=Fake(score=lambda w: -energies(w))),
        "twin",
        "failure",
        "its decision values differ by",
    ),
    "a twin of other labels": (
        Fake(gives=Gives.SCORES, twin=Fake(labels=("a", "b", "d"))),
        "twin",
        "failure",
        "other labels",
    ),
    "another slope": (Fake(score=OtherSlope()), "gradient", "failure", "in float64 differ by 0.5 at most"),
    "no slope": (Fake(score=Steps()), "flat", "failure", "zero at every sound"),
    "a slope that is not finite": (Fake(score=RootSlope()), "flat", "failure", "NaN or infinite"),
    "a stated lack of a twin": (
        Fake(gives=Gives.SCORES, no_twin="trees are flat"),
        "access",
        "warning",
        r"no twin \(trees are flat\): black box only",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_found_and_told(case: str) -> None:
    victim, name, level, told = BAD[case]
    found = finding(victim, name)
    assert re.fullmatch(level, found.level), found
    assert re.search(told, found.says), found


def test_a_victim_all_of_whose_members_raise_is_a_report_of_failures() -> None:
    class Cursed:
        def __getattribute__(self, name: str) -> Any:
            if name.startswith("__"):
                return object.__getattribute__(self, name)
            raise RuntimeError("cursed")

    report = check_victim(Cursed())  # type: ignore[arg-type]
    assert [(each.name, each.level) for each in report.findings] == [("protocol", "failure")]
    assert report.failures == report.findings


def test_a_victim_without_answers_fails_every_check_that_asks_it() -> None:
    report = check_victim(Fake(score=dies))
    assert {each.name for each in report.failures} >= {"shapes", "finite", "determinism", "batches", "flat", "speed"}
    assert all("RuntimeError: dead" in each.says for each in report.failures)


def test_slopes_of_a_true_module_agree_to_a_millionth_in_float64() -> None:
    victim = TorchVictim.of(Energies(), labels=["a", "b", "c"], sample_rate=4000)
    found = finding(victim, "gradient")
    assert found.level == "ok"
    assert "in float64 differ by" in found.says
    assert float(found.says.split("differ by ")[1].split()[0]) < 1e-6


def test_a_module_that_insists_on_float32_is_compared_in_float32() -> None:
    class Single(nn.Module):
        def forward(self, wave: Tensor) -> Tensor:
            return energies(wave.float())

    found = finding(TorchVictim.of(Single(), labels=["a", "b", "c"], sample_rate=4000), "gradient")
    assert found.level == "ok"
    assert "in float32" in found.says


def test_a_twin_is_compared_with_the_truth_on_the_clips_too() -> None:
    def bent(wave: Tensor) -> Tensor:
        return energies(wave) + torch.where(wave[:, :1] == 0.25, 5.0, 0.0) * torch.tensor([1.0, 0, 0])

    victim = Fake(gives=Gives.SCORES, twin=Fake(score=bent))
    assert finding(victim, "twin").level == "ok"
    clip = np.full(3000, 0.25, dtype=np.float32)
    assert finding(victim, "twin", [clip]).level == "failure"
    assert "5 of 6" in finding(replace(victim, say=lambda w: energies(w).argmin(-1) * 0 + 1), "agreement", [clip]).says


def test_clips_of_different_lengths_are_asked_by_themselves() -> None:
    clips = [(0.1 * np.random.default_rng(n).normal(size=n)).astype(np.float32) for n in (3000, 3600)]
    report = check_victim(Fake(), clips)
    assert not report.failures
    assert "batch of 6" in finding(Fake(), "batches", clips).says


def test_one_length_only_is_learnt_from_the_victim() -> None:
    victim = TorchVictim.of(nn.Linear(1000, 3), labels=["a", "b", "c"], sample_rate=4000, probe_seconds=0.25)
    assert not check_victim(victim).failures


def test_access_is_told_in_words() -> None:
    assert "white box, and it is its own twin" in finding(Fake(), "access").says
    assert "has a twin whose decision values" in finding(Fake(gives=Gives.SCORES, twin=Fake()), "access").says
    labels = PythonVictim.of(lambda wave: 0, labels=["a", "b"], sample_rate=4000, gives="labels")
    assert finding(labels, "access").says == "it gives labels only and has no twin: black box only"


def test_time_is_told_a_query_and_a_gradient() -> None:
    assert "ms a query of 1 s of sound" in finding(Fake(), "speed").says
    assert "ms a gradient" in finding(Fake(), "speed").says


def test_tags_need_not_add_up_to_one() -> None:
    found = finding(Fake(kind=Kind.TAGS, chance=lambda w: energies(w).sigmoid()), "probabilities")
    assert found.level == "ok"
    assert re.search(r"each tag has a probability of its own, .*sigmoids of its log-odds within \S+$", found.says), (
        found
    )
    labels = Fake(kind=Kind.TAGS, gives=Gives.LABELS, chance=lambda w: energies(w).sigmoid())
    assert finding(labels, "probabilities").level == "ok"


def test_what_it_says_of_each_sound_is_told() -> None:
    clip = np.concatenate([np.full(1000, 0.01), np.full(1000, 0.5), np.full(1000, 0.01)]).astype(np.float32)
    report = check_victim(Fake(chance=lambda w: energies(w).softmax(-1)), [clip], names=["a bang"])
    found = next(each for each in report.findings if each.name == "answers")
    assert re.match(r"it says b 0\.\d\d of clip 1 \(a bang\), [abc] 0", found.says), found


@dataclass(frozen=True)
class Counted(Fake):
    """A victim that counts the sounds that it is asked about."""

    counts: list[int] = field(default_factory=list)
    keeps: bool = True

    @property
    def asked(self) -> int:
        return sum(self.counts)

    def afresh(self) -> Counted:
        return replace(self, keeps=False)

    def count(self, wave: Tensor, *, free: bool) -> Tensor:
        self.counts.append(0 if free and self.keeps else len(wave))
        return wave

    def decide(self, wave: Tensor) -> Any:
        return super().decide(self.count(wave, free=False))

    def scores(self, wave: Tensor) -> Any:
        return super().scores(self.count(wave, free=True))

    def probabilities(self, wave: Tensor) -> Any:
        return super().probabilities(self.count(wave, free=True))


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("queries", [2, 3, 5, 9, 100])
def test_no_more_is_asked_than_was_allowed(queries: int, keeps: bool) -> None:
    clips = [(0.1 * np.random.default_rng(n).normal(size=2000)).astype(np.float32) for n in range(2)]
    victim = Counted(gives=Gives.SCORES, keeps=keeps)
    report = check_victim(victim, clips, queries=queries, paid=lambda: victim.asked)
    assert not report.failures, report.failures
    assert victim.asked <= max(queries, 1 if keeps else 3)  # one sound, asked for its label, scores and probabilities
    levels = {each.name: each.level for each in report.findings}
    assert levels["batches"] == "not asked"
    assert levels["determinism"] == ("ok" if keeps or queries > 3 else "not asked")
    assert report.query_ms is not None
    if keeps:
        assert report.asked == min(queries, 8) == questions(victim, 2, queries)


def test_the_number_of_questions_is_told_beforehand() -> None:
    clips = [(0.1 * np.random.default_rng(n).normal(size=2000)).astype(np.float32) for n in range(2)]
    assert check_victim(Fake(), clips).asked <= questions(Fake(), 2)
    with pytest.raises(InputError, match="1 queries: 2 or more"):
        check_victim(Fake(), queries=1)


def test_a_repeated_question_goes_past_what_a_victim_remembers() -> None:
    @dataclass(frozen=True)
    class Forgetful(Fake):
        def afresh(self) -> Fake:
            return Fake(score=lambda w: energies(w) + 1)

    found = {each.name: each for each in check_victim(Forgetful(), queries=4).findings}["determinism"]
    assert found.level == "warning"
    assert "asked twice, scores differ by 1" in found.says


def test_a_victim_that_remembers_its_last_sound_is_timed_on_new_ones() -> None:
    heard: list[bytes] = []

    def remembers(wave: Tensor) -> Tensor:
        heard.append(wave.detach().numpy().tobytes())
        return energies(wave)

    check_victim(Fake(gives=Gives.SCORES, score=remembers))
    assert len(set(heard[-4:])) == 4


def test_progress_names_what_is_looked_at() -> None:
    told: list[tuple[str, int, int]] = []
    check_victim(Fake(), progress=lambda *what: told.append(what))
    assert {name for name, _, _ in told} == {"answers", *CHECKS} - {"access"}
    assert all(0 <= done <= total for _, done, total in told)


@pytest.mark.parametrize(("off", "level"), [(0.02, "warning"), (0.03, "failure")])
def test_probabilities_rounded_to_two_digits_are_doubted_and_worse_ones_refused(off: float, level: str) -> None:
    def rounded(wave: Tensor) -> Tensor:
        return energies(wave).double().softmax(-1) + off / 3

    assert finding(Fake(chance=rounded), "probabilities").level == level


@pytest.mark.parametrize(
    ("death", "clips", "lives_on", "level"),
    [
        (VictimError, 1, True, "warning"),
        (RuntimeError, 1, True, "failure"),
        (VictimError, 0, True, "failure"),
        (VictimError, 1, False, "failure"),
    ],
)
def test_the_declared_refusal_of_a_loud_made_sound_is_a_warning_where_clips_are_answered(
    death: type[Exception], clips: int, lives_on: bool, level: str
) -> None:
    dead: list[bool] = []

    def refuses(wave: Tensor) -> Tensor:
        if float(wave.abs().max()) > 0.45 or (dead and not lives_on):
            dead.append(True)
            raise death("overflows float16")
        return energies(wave)

    waves = [(0.05 * np.random.default_rng(0).normal(size=3000)).astype(np.float32)] * clips
    found = finding(Fake(score=refuses), "finite", waves)
    assert (found.level, "overflows float16" in found.says) == (level, True)
    assert ("it answers clip 1" in found.says) == (level == "warning")


def test_a_clip_that_is_refused_is_a_warning_only_if_it_is_nobodys_own() -> None:
    def refuses(wave: Tensor) -> Tensor:
        if float(wave.abs().max()) > 0.45:
            raise VictimError("too loud")
        return energies(wave)

    loud, soft = np.full(3000, 0.9, dtype=np.float32), np.full(3000, 0.1, dtype=np.float32)
    for clips, borrowed, level in (
        ([loud, soft], True, "warning"),
        ([loud, soft], False, "failure"),
        ([loud], True, "failure"),
    ):
        found = check_victim(Fake(score=refuses), clips, borrowed=borrowed).findings
        assert {one.name: one.level for one in found}["finite"] == level
