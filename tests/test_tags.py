"""Goals about one tag of a victim that tags: closed forms, and attacks on a small tagger."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from subterfuge import Clip, Confident, LeastSNR, Maximise, Targeted, Threat, Untargeted, attack
from subterfuge.attacks import make_attack
from subterfuge.cli.show import print_outcome
from subterfuge.driver.survival import survive
from subterfuge.errors import AttackError, InputError, ThreatError
from subterfuge.outcome import Outcome, outcome_path
from subterfuge.threat import Budget, Goal, TagOff, TagOn, fitted, parse_goal
from subterfuge.transforms import parse_transforms
from subterfuge.victim import Gives, Kind
from subterfuge.victims import PythonVictim, TorchVictim, check_victim
from subterfuge.victims.detector import DetectorVictim
from subterfuge.victims.ensemble import EnsembleVictim

RATE = 8000
LABELS = ("low", "middle", "high")
TONES = {"low": 500.0, "middle": 1500.0, "high": 2600.0}
KNOBS = {
    "quietest": {"climb": "400", "even": "0", "starts": "inf", "resort": "1", "race": "20,20", "keep": "1"},
    "square": {"queries": "3000"},
    "nes": {"queries": "1500"},
}
EDGES_HZ = (100, 1000, 2000, 3400)
QUIETEST = make_attack("quietest", KNOBS["quietest"])


class Tagger(nn.Module):
    """A tag a band: on where the band's level is above -33 dB of full scale; several may be on, or none."""

    def forward(self, wave: Tensor) -> Tensor:
        power = torch.fft.rfft(wave).abs().square() * 2 / wave.shape[-1] ** 2
        hz = torch.fft.rfftfreq(wave.shape[-1], 1 / RATE)
        bands = [power[:, (hz >= a) & (hz < b)].sum(-1) for a, b in itertools.pairwise(EDGES_HZ)]
        return 2 * ((torch.stack(bands, -1) + 1e-9).log() - math.log(10**-3.3))


def tagger(output: str = "tag logits") -> TorchVictim:
    module = Tagger() if output == "tag logits" else nn.Sequential(Tagger(), nn.Sigmoid())
    return TorchVictim.of(module, labels=LABELS, sample_rate=RATE, name="tagger", output=output)


def clip(folder: Path, **levels: float) -> Clip:
    t = np.arange(round(0.4 * RATE)) / RATE
    noise = 0.001 * np.random.default_rng(0).normal(size=len(t))
    wave = noise + sum(level * np.sin(2 * np.pi * TONES[band] * t) for band, level in levels.items())
    path = folder / "tones.wav"
    soundfile.write(path, wave, RATE, subtype="PCM_16")
    return Clip.read(path)


@pytest.fixture
def low(tmp_path: Path) -> Clip:
    """Low is on, the others are off."""
    return clip(tmp_path, low=0.2, middle=0.02, high=0.01)


def chances(outcome: Outcome) -> dict[str, float]:
    wave = torch.from_numpy(soundfile.read(str(outcome.file), dtype="float32")[0])[None]
    found = tagger().probabilities(wave)
    assert found is not None
    return dict(zip(LABELS, found[0].tolist(), strict=True))


def fooled(low: Clip, goal: Goal, tmp_path: Path, by: str = "quietest", **about: Any) -> Outcome:
    method = make_attack(by, KNOBS.get(by, {}))
    return attack(low, about.pop("victim", tagger()), Threat(goal), by=method, out=tmp_path / "out.wav", **about)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6), st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_margin_is_above_0_exactly_where_the_sigmoid_is_on_the_wanted_side(
    odds: list[float], p: float, place: int
) -> None:
    scores, focus = torch.tensor([odds], dtype=torch.float64), torch.tensor([place % len(odds)])
    chance = float(scores.sigmoid()[0, int(focus)])
    on, off = (goal.margin(scores, focus).item() for goal in (TagOn("x", p), TagOff("x", p)))
    assert on == pytest.approx(-off)
    if abs(chance - p) > 1e-9:
        assert (on > 0) == (chance > p)
        said = torch.zeros(1, dtype=torch.int64)
        assert bool(TagOn("x", p).reached(said, scores.sigmoid(), focus)) == (chance > p)
        assert bool(TagOff("x", p).reached(said, scores.sigmoid(), focus)) == (chance < p)


def test_a_tag_s_margin_does_not_feel_the_other_tags() -> None:
    scores = torch.tensor([[1.0, -2.0, 3.0]], requires_grad=True)
    TagOn("a", 0.7).margin(scores, torch.tensor([1])).sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [[0.0, 1.0, 0.0]]


@pytest.mark.parametrize("text", ["tag+", "tag-", "tag+=0.3", "tag-=0.05", "confident=0.8"])
def test_a_goal_s_text_is_read_and_says_the_same_again(text: str) -> None:
    from subterfuge.driver.record import goal_text

    goal = parse_goal(text, "flute")
    assert goal_text(Threat(goal)) == (text if "=" in text else f"{text}=0.5")
    assert parse_goal(goal_text(Threat(goal)), "flute") == goal


@pytest.mark.parametrize("text", ["tag+=1", "tag-=0", "tag+=often", "tag+=nan", "tag*"])
def test_a_probability_that_is_none_is_refused_and_named(text: str) -> None:
    with pytest.raises(ThreatError, match=r"tag"):
        parse_goal(text, "flute")


def test_a_goal_about_a_tag_needs_a_target() -> None:
    with pytest.raises(ThreatError, match="needs a target"):
        parse_goal("tag+", None)


def test_a_goal_about_a_tag_is_refused_where_one_answer_is_right() -> None:
    victim = TorchVictim.of(Tagger(), labels=LABELS, sample_rate=RATE, output="logits")
    with pytest.raises(ThreatError, match=r"confident=0\.3"):
        fitted(TagOn("low", 0.3), victim)
    assert fitted(Confident("low", 0.3), victim) == Confident("low", 0.3)


def test_a_tagger_s_probabilities_are_sigmoids_and_pass_the_check() -> None:
    for output in ("tag logits", "tag probabilities"):
        victim = tagger(output)
        assert victim.kind is Kind.TAGS
        wave = 0.1 * torch.randn(2, 4000, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(victim.scores(wave).sigmoid(), victim.probabilities(wave))
        failures = check_victim(victim).failures
        assert not failures, failures


def test_probabilities_beyond_0_and_1_are_no_tags() -> None:
    with pytest.raises(InputError, match="tag logits"):
        TorchVictim.of(Tagger(), labels=LABELS, sample_rate=RATE, output="tag probabilities")


@pytest.mark.parametrize("by", ["quietest", "square", "nes"])
def test_a_tag_is_turned_on_and_the_others_may_stay(low: Clip, tmp_path: Path, by: str) -> None:
    outcome = fooled(low, TagOn("middle", 0.9), tmp_path, by)
    found = chances(outcome)
    assert outcome.won
    assert found["middle"] >= 0.9
    assert found["low"] > 0.9
    assert outcome.predicted == "low"
    assert outcome.goal == "tag+=0.9"
    assert outcome.probability == pytest.approx(found["middle"], abs=1e-6)


def test_a_tag_is_turned_off_and_the_file_says_so(low: Clip, tmp_path: Path) -> None:
    outcome = attack(low, tagger(), Threat(TagOff("low")), out=f"{tmp_path}/", control=2, by=QUIETEST)
    assert outcome.won
    assert chances(outcome)["low"] < 0.5
    assert Path(str(outcome.file)).name == "tones-to-no-low.wav"
    record = json.loads(outcome_path(Path(str(outcome.file))).read_text())
    assert (record["goal"], record["target"]) == ("tag-=0.5", "low")
    assert record["control"]["same_level_and_spectrum"]["draws"] == 2
    survived = survive(str(outcome.file), tagger(), parse_transforms("gain=-1,requantise=12"))
    assert survived.reached


def test_who_sees_only_which_tags_are_on_turns_one_on(low: Clip, tmp_path: Path) -> None:
    goal = TagOn("middle")
    outcome = fooled(low, goal, tmp_path, "hopskipjump", starts=[clip(tmp_path, low=0.1, middle=0.2, high=0.1)])
    assert outcome.won
    assert chances(outcome)["middle"] >= 0.5


def test_a_confident_tag_is_that_tag_alone(low: Clip, tmp_path: Path) -> None:
    outcome = fooled(low, Confident("high", 0.8), tmp_path)
    assert (outcome.won, outcome.goal) == (True, "tag+=0.8")
    assert chances(outcome)["high"] >= 0.8


def test_the_top_tag_is_changed_and_left(tmp_path: Path) -> None:
    low = clip(tmp_path, low=0.2, middle=0.17, high=0.15)
    targeted = fooled(low, Targeted("high"), tmp_path)
    assert targeted.won
    found = chances(targeted)
    assert max(found, key=found.__getitem__) == "high"
    left = fooled(low, Untargeted(), tmp_path, force=True)
    assert left.won
    assert left.predicted != "low"


def test_a_tag_is_maximised_by_its_own_odds(low: Clip, tmp_path: Path) -> None:
    threat = Threat(Maximise("low"), LeastSNR(20))
    outcome = attack(low, tagger(), threat, by=make_attack("pgd", {"steps": "30"}), out=tmp_path / "most.wav")
    assert outcome.won
    with torch.no_grad():
        before = tagger().scores(torch.from_numpy(low.mono(RATE))[None])[0, 0]
    assert outcome.margin is not None
    assert outcome.margin > float(before) + 0.1


def test_labels_alone_tell_nothing_of_a_tag(low: Clip) -> None:
    def top(wave: Any) -> str:
        return LABELS[int(tagger().decide(torch.from_numpy(wave)[None])[0])]

    victim = PythonVictim.of(top, labels=LABELS, sample_rate=RATE, gives="labels")
    assert victim.gives is Gives.LABELS
    with pytest.raises((AttackError, ThreatError), match=r"tag\+"):
        attack(low, victim, Threat(TagOn("high")))


def test_an_ensemble_of_taggers_tags_by_the_mean_of_their_probabilities() -> None:
    class Half(Tagger):
        def forward(self, wave: Tensor) -> Tensor:
            return 0.5 * super().forward(wave)

    half = TorchVictim.of(Half(), labels=LABELS, sample_rate=RATE, output="tag logits")
    both = EnsembleVictim.of([tagger(), half])
    wave = 0.02 * torch.randn(3, 3000, generator=torch.Generator().manual_seed(2))
    wanted = (torch.sigmoid(Tagger()(wave)) + torch.sigmoid(0.5 * Tagger()(wave))) / 2
    assert both.kind is Kind.TAGS
    torch.testing.assert_close(both.probabilities(wave).float(), wanted)
    torch.testing.assert_close(both.scores(wave).float(), torch.logit(wanted), rtol=1e-4, atol=1e-4)
    assert both.twin is not None
    torch.testing.assert_close(both.twin.scores(wave), both.scores(wave))
    assert not check_victim(both).failures
    one = TorchVictim.of(Tagger(), labels=LABELS, sample_rate=RATE, output="logits")
    with pytest.raises(InputError, match="one answer"):
        EnsembleVictim.of([one, half])


def test_what_is_printed_of_a_tag_says_whether_it_is_on(low: Clip, tmp_path: Path) -> None:
    off = attack(low, tagger(), Threat(TagOff("low")), out=tmp_path / "off.wav", control=0, by=QUIETEST)
    already = attack(low, tagger(), Threat(TagOff("high")), out=tmp_path / "already.wav", control=0)
    hard = Threat(TagOn("high", 0.9), LeastSNR(80), Budget(gradients=5))
    lost = attack(low, tagger(), hard, out=tmp_path / "lost.wav", by="pgd")
    said = []
    for outcome in (off, already, lost):
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
            print_outcome(outcome)
        said.append(out.getvalue())
    assert re.match(r"tones: low -> low off \(\d\S* %\), ", said[0])
    assert said[1].startswith("tones: high off already; copied unchanged")
    assert said[2].startswith("tones: lost, wanted was high on, the top tag is low; best margin -")


def test_a_detector_of_a_tagger_has_no_probabilities_to_be_wrong_about() -> None:
    watched = DetectorVictim.of(tagger(), "requantise=8")
    wave = 0.02 * torch.randn(2, 3000, generator=torch.Generator().manual_seed(3))
    assert watched.probabilities(wave) is None
    assert watched.twin is not None
    assert watched.twin.probabilities(wave) is None
    assert not check_victim(watched).failures
    with pytest.raises(ThreatError, match="targeted"):
        fitted(TagOn("low"), watched)
