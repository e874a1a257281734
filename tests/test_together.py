"""Several attacks at once: each comes out as it does alone, and none waits for one that is gone."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import soundfile
import torch
from tests.world import LABELS, RATE, card, clip, sound, tree
from torch import Tensor

from subterfuge import Budget, Gives, Kind, Outcome, Targeted, Threat, Victim, attack, load_victim
from subterfuge.attacks import HopSkipJump, Quietest
from subterfuge.driver.together import Seat, attack_together, together
from subterfuge.errors import ClipError, OutputError, SubterfugeError, VictimError
from subterfuge.oracle import Oracle, Seeks

QUICK = Quietest(starts=(math.inf,), even=0, climb=100, resort=1, race=(8, 6), keep=(1,))
HIGH = Threat(Targeted("high"))
ODD = 50
"""The sample by which a victim can tell an odd clip."""


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@dataclass(eq=False)
class Powers:
    """The logarithm of the power in three bands, by a victim that remembers how it was asked.

    What `meets` does with a row and how it is asked, it does before it answers.
    """

    gives: Gives = Gives.GRADIENTS
    at_once: int = 32
    meets: Callable[[str, Tensor], object] = lambda how, row: None
    sloped: bool = True
    calls: list[tuple[str, int, str]] = field(default_factory=list)
    asked: int = 0
    name: ClassVar[str] = "powers"
    labels: ClassVar[tuple[str, ...]] = LABELS
    sample_rate: ClassVar[int] = RATE
    kind: ClassVar[Kind] = Kind.DECISION
    fingerprint: ClassVar[str] = "powers"
    twin: ClassVar[None] = None
    warnings: ClassVar[tuple[str, ...]] = ()

    def decide(self, wave: Tensor) -> Tensor:
        with torch.no_grad():
            return self._ask("decide", wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        return self._ask("slope" if wave.requires_grad else "scores", wave if self.sloped else wave.detach())

    def probabilities(self, wave: Tensor) -> Tensor | None:
        return None

    def rows(self, how: str) -> list[int]:
        return [rows for asked, rows, _ in self.calls if asked == how]

    def _ask(self, how: str, wave: Tensor) -> Tensor:
        assert not self.asked, "asked while it was asked"
        self.asked += 1
        try:
            self.calls.append((how, len(wave), threading.current_thread().name))
            for row in wave:
                self.meets(how, row)
            power = torch.fft.rfft(wave).abs().square()[:, 10:340]
            return 4 * torch.stack([part.sum(-1) for part in power.tensor_split((90, 190), -1)], -1).log()
        finally:
            self.asked -= 1


@dataclass(frozen=True)
class Breaks:
    """An attack that asks for some gradients and then breaks."""

    error: BaseException
    needs: ClassVar[Gives] = Gives.GRADIENTS
    seeks: ClassVar[Seeks] = "quiet"
    says: ClassVar[str] = "breaks"

    def __call__(self, oracle: Oracle, clean: Tensor, dice: Sequence[torch.Generator]) -> None:
        for _ in range(3):
            oracle.gradient(torch.zeros_like(clean))
        raise self.error


def powers(**knobs: Any) -> Victim:
    return cast(Victim, Powers(**knobs))


def clips(folder: Path, count: int, seconds: float = 0.1) -> list[Path]:
    return [clip(folder / f"{place}.wav", seconds=seconds, seed=place) for place in range(count)]


def odd_clip(path: Path) -> Path:
    wave = sound(seconds=0.1, seed=9)
    wave[ODD] = 0.9
    soundfile.write(path, wave, RATE)
    return path


def is_odd(row: Tensor) -> bool:
    return float(row[ODD]) > 0.8


at_once = partial(attack_together, threats=HIGH, by=QUICK, control=0)


def told(outcome: Outcome | SubterfugeError) -> dict[str, Any]:
    """A record but for its seconds and its place."""
    assert isinstance(outcome, Outcome), outcome
    return outcome.as_json() | {"seconds": None, "file": None}


def alike(one: Any, other: Any) -> bool:
    """Whether records are the same but for roundings."""
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=0.02, abs=0.01)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def apart(one: Outcome | SubterfugeError, other: Outcome | SubterfugeError) -> list[str]:
    """What differs by more than a rounding between two records, beside the file's hash."""
    mine, its = told(one), told(other)
    return [key for key in mine if key != "file_sha256" and not alike(mine[key], its[key])]


# as alone


def test_every_field_of_a_record_is_that_of_the_attack_alone_but_for_seconds_and_rounding(tmp_path: Path) -> None:
    bands = load_victim(card(tmp_path / "cards"))
    paths = clips(tmp_path, 4, 0.3)
    threats = [
        HIGH,
        Threat(Targeted("middle")),
        Threat(Targeted("low")),
        Threat(Targeted("high"), budget=Budget(None, 9)),
    ]
    alone = [
        attack(path, bands, threat, seed, by=QUICK, out=tmp_path / "alone" / path.name, control=2)
        for seed, (path, threat) in enumerate(zip(paths, threats, strict=True))
    ]
    places = [tmp_path / "together" / path.name for path in paths]
    made = attack_together(paths, bands, threats, range(4), by=QUICK, out=places, control=2, most=3)
    for one, other, place in zip(alone, made, places, strict=True):
        assert not apart(one, other)
        if one.won:
            assert isinstance(other, Outcome)
            assert one.snr_db == pytest.approx(other.snr_db, abs=0.1)
            assert other.file == str(place)
            assert place.is_file()
    assert [one.won for one in alone] == [True, True, True, False]


def test_the_same_clips_in_the_same_order_give_the_same_bits_again(tmp_path: Path) -> None:
    paths = clips(tmp_path, 4)
    once, again = (at_once(paths, powers(), out=tmp_path / run, most=3) for run in ("a/", "b/"))
    assert [told(one) for one in once] == [told(one) for one in again]  # among it the hash of the file
    assert all(one.won for one in once if isinstance(one, Outcome))


@pytest.mark.parametrize(("gives", "by"), [(Gives.LABELS, HopSkipJump()), (Gives.SCORES, "nes")])
def test_a_black_box_asks_as_often_and_finds_the_same_at_once_as_alone(gives: Gives, by: Any, tmp_path: Path) -> None:
    threat = Threat(Targeted("high"), budget=Budget(queries=120))
    paths, starts = clips(tmp_path, 3), [clip(tmp_path / "high.wav", seconds=0.1, seed=5)]
    shared = Powers(gives=gives)
    some = attack_together(paths, cast(Victim, shared), threat, by=by, out=tmp_path / "t/", control=0, starts=starts)
    for path, one in zip(paths, some, strict=True):
        alone = attack(path, powers(gives=gives), threat, by=by, out=f"{tmp_path}/a/", control=0, starts=starts)
        assert not apart(alone, one)
    assert max(rows for _, rows, _ in shared.calls) >= 3


# what is shared


@pytest.mark.parametrize("most", [2, 32])
def test_attacks_share_passes_that_hold_no_more_than_the_victim_takes_at_once(most: int, tmp_path: Path) -> None:
    victim = Powers(at_once=most)
    made = at_once(clips(tmp_path, 5), cast(Victim, victim), out=tmp_path / "o/", most=5)
    slopes = victim.rows("slope")
    assert max(slopes) == min(5, most)
    assert sum(slopes) == sum(one.gradients for one in made if isinstance(one, Outcome))
    assert len(slopes) < 0.7 * sum(slopes)


def test_the_next_clip_begins_where_one_ends_so_that_passes_stay_full(tmp_path: Path) -> None:
    victim = Powers()
    made = at_once(clips(tmp_path, 6), cast(Victim, victim), out=tmp_path / "o/", most=2)
    lone = sum(rows == 1 for rows in victim.rows("slope"))
    assert max(victim.rows("slope")) == 2
    assert lone <= max(one.gradients for one in made if isinstance(one, Outcome))


def test_clips_of_two_lengths_are_attacked_at_once_and_share_no_pass(tmp_path: Path) -> None:
    victim = Powers()
    paths = [*clips(tmp_path, 1), clip(tmp_path / "long.wav", seconds=0.12)]
    made = at_once(paths, cast(Victim, victim), out=tmp_path / "o/")
    assert all(isinstance(one, Outcome) and one.won for one in made)
    assert {rows for _, rows, _ in victim.calls} == {1}


def test_the_judge_asks_about_each_file_by_itself(tmp_path: Path) -> None:
    victim = Powers()
    at_once(clips(tmp_path, 3), cast(Victim, victim), out=tmp_path / "o/")
    assert set(victim.rows("decide")) == {1}


def test_joined_passes_and_what_is_told_happen_in_the_calling_thread(tmp_path: Path) -> None:
    here, where, waits = threading.current_thread().name, [], iter([0.6])
    victim = Powers(meets=lambda how, row: time.sleep(next(waits, 0) if how == "slope" else 0))
    at_once(
        clips(tmp_path, 2),
        cast(Victim, victim),
        out=tmp_path / "o/",
        progress=lambda place, oracle: where.append((threading.current_thread().name, "progress")),
        told=lambda place, made: where.append((threading.current_thread().name, "told")),
    )
    assert {thread for how, _, thread in victim.calls if how == "slope"} == {here}
    assert set(where) == {(here, "progress"), (here, "told")}


def test_the_seconds_of_calls_at_once_are_each_ones_own_and_shares_of_what_they_asked_together() -> None:
    victim = powers(meets=lambda how, row: time.sleep(0.1))

    def call(own: float, seat: Seat) -> float:
        time.sleep(own)
        seat.through(victim).decide(torch.rand(1, 800))
        return seat.clock()

    began = time.monotonic()
    made = dict(together([partial(call, 0.3), partial(call, 0.0)]))
    took = time.monotonic() - began
    assert isinstance(made[0], float)
    assert isinstance(made[1], float)
    assert made[0] >= 0.39
    assert made[1] >= 0.09
    assert made[0] + made[1] <= took + 0.01


# the way back


def test_slopes_through_joined_passes_are_the_victims_own_whoever_asks_for_them_and_when() -> None:
    victim = powers()
    waves = [0.1 * torch.randn(2, 800, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]

    def slope(number: int, on: Victim) -> Tensor:
        wave = waves[number].clone().requires_grad_()
        scores = on.scores(wave)
        if number == 1:  # one asks something else between
            with torch.no_grad():
                on.scores(wave)
        if number == 2:  # one goes through the victim twice
            scores = scores + on.scores(0.5 * wave)
        if number == 3:  # one goes back twice
            torch.autograd.grad(scores.sum(), wave, retain_graph=True)
        return torch.autograd.grad((scores * torch.arange(3.0)).sum(), wave)[0]

    calls = [lambda seat, number=number: slope(number, seat.through(victim)) for number in range(4)]
    for number, found in together(calls):
        torch.testing.assert_close(found, slope(number, victim))


def test_scores_without_a_slope_are_refused_as_they_are_alone(tmp_path: Path) -> None:
    paths = clips(tmp_path, 2)
    with pytest.raises(VictimError) as alone:
        attack(paths[0], powers(sloped=False), HIGH, by=QUICK, out=tmp_path / "o/")
    assert [str(one) for one in at_once(paths, powers(sloped=False), out=tmp_path / "o/")] == [str(alone.value)] * 2


def test_a_victim_lent_is_that_victim_but_for_its_clock() -> None:
    victim = powers(at_once=7)

    def look(seat: Seat) -> list[Any]:
        lent = seat.through(seat.watched(victim))
        assert isinstance(lent, Victim)
        assert not hasattr(lent, "jumps")
        return [lent.name, lent.labels, lent.gives, lent.kind, lent.twin, getattr(lent, "at_once", None)]

    assert dict(together([look])) == {0: ["powers", LABELS, Gives.GRADIENTS, Kind.DECISION, None, 7]}


# what goes wrong


def test_a_clip_of_which_the_victim_dies_in_a_joined_pass_costs_no_other(tmp_path: Path) -> None:
    slopes = 0

    def dies(how: str, row: Tensor) -> None:
        nonlocal slopes
        slopes += how == "slope" and is_odd(row)
        if slopes > 4 and is_odd(row):
            raise VictimError("that was too much")

    paths = [*clips(tmp_path, 3), odd_clip(tmp_path / "odd.wav")]
    made = at_once(paths, powers(meets=dies), out=tmp_path / "o/")
    assert isinstance(made[3], VictimError)
    assert "too much" in str(made[3])
    well = at_once(paths[:3], powers(), out=tmp_path / "p/")
    assert [apart(one, other) for one, other in zip(made[:3], well, strict=True)] == [[], [], []]
    assert sorted(path.name for path in (tmp_path / "o").glob("*.wav")) == sorted(f"{n}-to-high.wav" for n in range(3))


def test_one_that_dies_on_the_way_back_costs_no_other(tmp_path: Path) -> None:
    class Odd(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, wave: Tensor) -> Tensor:
            ctx.save_for_backward(wave)
            return wave.clone()

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> Tensor:
            if any(map(is_odd, ctx.saved_tensors[0])):
                raise RuntimeError("no way back")
            return upstream

    class OneWay(Powers):
        def scores(self, wave: Tensor) -> Tensor:
            return super().scores(cast(Tensor, Odd.apply(wave)))  # type: ignore[no-untyped-call]

    paths = [odd_clip(tmp_path / "odd.wav"), *clips(tmp_path, 2)]
    made = at_once(paths, cast(Victim, OneWay()), out=tmp_path / "o/")
    assert isinstance(made[0], VictimError)
    assert "died on the way back" in str(made[0])
    assert [one.won for one in made[1:] if isinstance(one, Outcome)] == [True, True]


def test_clips_that_cannot_be_attacked_are_errors_in_their_places(tmp_path: Path) -> None:
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, 0 * sound(seconds=0.1), RATE)
    good = clips(tmp_path, 1)[0]
    order: list[int] = []
    made = at_once(
        [silent, tmp_path / "none.wav", good, good],
        powers(),
        out=tmp_path / "o/",
        told=lambda place, result: order.append(place),
    )
    assert [type(one) for one in made] == [ClipError, ClipError, Outcome, OutputError]  # two of one name
    assert sorted(order) == [0, 1, 2, 3]
    assert order[:2] == [0, 1]


def test_an_attack_with_a_foreseen_error_is_one_among_others_and_an_unforeseen_one_ends_all(tmp_path: Path) -> None:
    paths = clips(tmp_path, 3)
    made = at_once(paths, powers(), by=[QUICK, Breaks(ClipError("odd")), QUICK], out=tmp_path / "o/")
    assert [type(one) for one in made] == [Outcome, ClipError, Outcome]
    with pytest.raises(ZeroDivisionError):
        at_once(paths, powers(), by=[QUICK, Breaks(ZeroDivisionError()), QUICK], out=tmp_path / "p/")
    assert not (tmp_path / "p").exists()


def test_losses_leave_no_folder_that_was_made_for_nothing(tmp_path: Path) -> None:
    threat = Threat(Targeted("high"), budget=Budget(gradients=2))
    made = at_once(clips(tmp_path, 3), powers(), threats=threat, out=tmp_path / "new" / "deep/")
    assert [one.won for one in made if isinstance(one, Outcome)] == [False] * 3
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("where", ["while one runs", "in a joined pass", "in what is told", "in the judge"])
def test_an_interrupt_ends_all_of_them_and_leaves_nothing_half_written(where: str, tmp_path: Path) -> None:
    paths, counted = clips(tmp_path, 4), 0
    main = threading.main_thread()

    def meets(how: str, row: Tensor) -> None:
        nonlocal counted
        counted += how == "slope"
        if counted > 12 and where == "in a joined pass" and how == "slope":
            raise KeyboardInterrupt
        if counted > 12 and how == "decide" and where == "while one runs":
            assert main.ident is not None
            signal.pthread_kill(main.ident, signal.SIGINT)
        if counted > 12 and how == "decide" and where == "in the judge":
            raise KeyboardInterrupt

    def stop(place: int, made: object) -> None:
        if where == "in what is told":
            raise KeyboardInterrupt

    before = tree(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        at_once(paths, powers(meets=meets), out=tmp_path / "o/", told=stop)
    left = {name for name in tree(tmp_path) if name not in before}
    assert not any(".subterfuge-" in name or ".part" in name for name in left)
    for sound_file in (tmp_path / "o").glob("*.wav"):  # whole, each with its record
        assert sound_file.with_name(sound_file.name + ".outcome.json").is_file()


def test_who_asks_for_no_more_results_ends_the_rest() -> None:
    victim, ended = powers(), []

    def call(seat: Seat) -> None:
        try:
            while True:
                seat.through(victim).scores(torch.rand(1, 800))
        finally:
            ended.append(True)

    some = together([lambda seat: None, call, call])
    assert next(some)[0] == 0
    some.close()  # type: ignore[attr-defined]
    assert len(ended) in (0, 2)


def test_as_many_threats_as_clips_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 threats for 3 clips"):
        attack_together(clips(tmp_path, 3), powers(), [HIGH, HIGH])
    with pytest.raises(ValueError, match="most=0"):
        attack_together(clips(tmp_path, 3), powers(), HIGH, most=0)
