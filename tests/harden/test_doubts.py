"""The audit doubts itself: victims that hide their slopes are found out, and honest ones are not accused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.harden.kit import TINY, attempt, cases, faced
from tests.world import CODE, COMMON, card

from subterfuge.campaign.cases import Case
from subterfuge.campaign.doubts import Doubt, look, verdict
from subterfuge.harden.doubts import compare
from subterfuge.harden.memory import Memory
from subterfuge.harden.strength import Plan, Strength, strength_of
from subterfuge.victims import load_victim

HIDING = '''

class Coarse(Bands):
    """Hears its input in steps, which have no slope."""

    def forward(self, wave):
        return super().forward((wave * 64).round() / 64)


class Saturated(Bands):
    """Is so sure that nothing moves its scores."""

    def forward(self, wave):
        return (1e4 * super().forward(wave)).softmax(-1)


class Misled(Bands):
    """Answers as the bands do, with slopes that have nothing to do with it."""

    def forward(self, wave):
        return super().forward(wave.detach()) + 1e-3 * wave[:, :3]


class Drawing(Bands):
    """Draws its answer anew for every sound."""

    def forward(self, wave):
        return super().forward(wave) + 20 * torch.randn(len(wave), 3)


def coarse():
    return Coarse()


def saturated():
    return Saturated()


def misled():
    return Misled()


def drawing():
    return Drawing()
'''


def hiding(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "hiding.py").write_text(CODE + HIDING)
    path = folder / f"{name}.toml"
    path.write_text(COMMON + f'kind = "torch"\nmodule = "hiding.py:{name}"\noutput = "decision values"\n')
    return path


def audited(path: Path, some: tuple[Case, ...], folder: Path) -> tuple[Strength, list[Doubt]]:
    plan = Plan(some, replace(TINY, queries=150, doubted=1), ("targeted",))
    strength = strength_of(path, plan, folder=folder, memory=Memory(None))
    return strength, [*look(load_victim(path), some), *compare(strength)]


@pytest.mark.parametrize(
    ("name", "signs"),
    [("coarse", {"flat slopes"}), ("saturated", {"flat slopes"}), ("misled", {"black box", "lost without a limit"})],
)
def test_a_victim_that_hides_its_gradients_is_found_out(tmp_path: Path, name: str, signs: set[str]) -> None:
    _, doubts = audited(hiding(tmp_path / "cards", name), cases(tmp_path, 1), tmp_path / "out")
    found = {one.sign for one in doubts if one.hides}
    assert found & signs, doubts
    assert verdict(doubts).startswith("do not trust these figures: the defence is hiding its gradients")
    assert found.pop() in verdict(doubts)


def test_an_honest_victim_is_not_accused(tmp_path: Path) -> None:
    strength, doubts = audited(card(tmp_path / "cards"), cases(tmp_path, 3), tmp_path / "out")
    assert strength.won == 3
    assert doubts == []
    assert verdict(doubts) == "no sign of hidden gradients"


def test_a_victim_that_draws_its_answers_is_random_and_not_accused_of_hiding(tmp_path: Path) -> None:
    torch.manual_seed(1)
    doubts = look(load_victim(hiding(tmp_path / "cards", "drawing")), cases(tmp_path, 8))
    drawn = [one for one in doubts if one.sign == "random answers"]
    assert len(drawn) == 1
    assert not drawn[0].hides
    assert verdict(drawn) == "no sign of hidden gradients; the victim is random, so figures vary"


def test_a_twin_that_answers_otherwise_is_told(tmp_path: Path) -> None:
    honest = load_victim(card(tmp_path / "cards"))

    class Other:
        """The victim's twin, with its labels turned round."""

        def __getattr__(self, name: str) -> object:
            return getattr(honest, name)

        def decide(self, wave: torch.Tensor) -> torch.Tensor:
            return 2 - honest.decide(wave)

    class Outer(Other):
        gives, twin = honest.gives.SCORES, Other()

        def decide(self, wave: torch.Tensor) -> torch.Tensor:
            return honest.decide(wave)

    doubts = look(Outer(), cases(tmp_path, 3))  # low and high are turned round, and middle stays
    assert [(one.sign, one.hides) for one in doubts] == [("twin", True)]
    assert "2 of 3 clips" in doubts[0].words


def signs(*those: object, goal: str = "targeted") -> list[str]:
    cases_ = tuple(Case(place, Path("a.wav"), "low", "high") for place in range(len(those)))
    return [one.sign for one in compare(Strength("", "", cases_, those), goal)]  # type: ignore[arg-type]


def test_whoever_sees_less_and_does_better_by_more_than_a_decibel_is_a_sign() -> None:
    assert signs(faced(targeted=attempt(40.0), black_box=attempt(40.9))) == []
    assert signs(faced(targeted=attempt(40.0), black_box=attempt(41.1))) == ["black box"]
    assert signs(faced(targeted=attempt(40.0), black_box=attempt(None))) == []
    assert signs(faced(targeted=attempt(40.0), elsewhere=40.9)) == []
    assert signs(faced(targeted=attempt(40.0), elsewhere=41.1)) == ["found elsewhere"]
    assert signs(faced(targeted=attempt(None), black_box=attempt(10.0), elsewhere=5.0)) == [
        "black box",
        "found elsewhere",
        "lost without a limit",
    ]


def test_victims_without_gradients_and_goals_met_unchanged_are_no_sign() -> None:
    assert signs(faced(targeted=attempt(None, gradients=0))) == []
    assert signs(faced(right=False, targeted=attempt(None, won=True, already=True), black_box=attempt(40.0))) == []


def test_a_goal_of_certainty_may_be_lost_honestly() -> None:
    assert signs(faced(targeted=attempt(None)), goal="confident=0.99") == []
