"""A victim that hears windows: what comes out is what a plain loop over them gives, and its gradient is their sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests import world
from torch import Tensor, nn

from subterfuge.attacks.pgd import PGD
from subterfuge.audio import Clip
from subterfuge.driver import attack
from subterfuge.errors import CardError, InputError, VictimError
from subterfuge.threat import LeastSNR, Targeted, Threat
from subterfuge.training.demo_data import embedded_card, embedded_clips
from subterfuge.victim import Gives, Kind, Victim, winner
from subterfuge.victims import PythonVictim, TorchVictim, check_victim, load_victim
from subterfuge.victims._windows import starts_of
from subterfuge.victims.ensemble import EnsembleVictim
from subterfuge.victims.torch_module.export import Size
from subterfuge.victims.windowed import WindowedVictim

RATE, L = 1000, 100
LABELS = ("a", "b", "c")


class Net(nn.Module):
    """Counts what it is asked, and how many of its graphs are alive."""

    def __init__(self, tail: nn.Module | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(L, 8), nn.Linear(8, 3)
        self.tail = tail or nn.Identity()

    def forward(self, wave: Tensor) -> Tensor:
        return self.tail(4 * self.last(torch.tanh(8 * self.first(wave))))


def net(output: str = "logits") -> TorchVictim:
    tails = {"probabilities": nn.Softmax(-1), "log-probabilities": nn.LogSoftmax(-1), "tag probabilities": nn.Sigmoid()}
    module = Net(tails.get(output))
    return TorchVictim.of(module, labels=LABELS, sample_rate=RATE, output=output, probe_seconds=L / RATE)


def waves(samples: int, rows: int = 2) -> Tensor:
    return torch.randn(rows, samples, generator=torch.Generator().manual_seed(samples))


def windows(wave: Tensor, hop: int, rest: str) -> list[Tensor]:
    """Cut by a plain loop: (N, L) each."""
    found, start = [], 0
    while start + L <= wave.shape[1]:
        found.append(wave[:, start : start + L])
        start += hop
    if not found:
        return [nn.functional.pad(wave, (0, L - wave.shape[1]))]
    end = start - hop + L
    if end < wave.shape[1] and rest == "shift":
        found.append(wave[:, -L:])
    if end < wave.shape[1] and rest == "pad" and start < wave.shape[1]:
        found.append(nn.functional.pad(wave[:, start:], (0, L - (wave.shape[1] - start))))
    return found


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x.double()).exp())


POOLED: dict[tuple[str, str], tuple[Kind, Callable[[TorchVictim, list[Tensor]], Tensor]]] = {}
"""From output and pool to the kind of the scores and a plain transcription of them."""
for name in ("logits", "probabilities", "log-probabilities"):
    POOLED[name, "mean"] = (
        Kind.LOG_PROBABILITY,
        lambda inner, each: sum(inner.probabilities(one).double() for one in each).div(len(each)).log(),
    )
    POOLED[name, "max"] = (Kind.DECISION, lambda inner, each: torch.stack([inner.scores(one) for one in each]).amax(0))
POOLED["logits", "scores"] = (Kind.DECISION, lambda inner, each: sum(inner.scores(one) for one in each) / len(each))
POOLED["decision values", "mean"] = POOLED["decision values", "scores"] = POOLED["logits", "scores"]
POOLED["probabilities", "scores"] = (
    Kind.LOG_PROBABILITY,
    lambda inner, each: (sum(inner.scores(one) for one in each) / len(each)).log_softmax(-1),
)
for name in ("tag logits", "tag probabilities"):
    POOLED[name, "mean"] = (
        Kind.TAGS,
        lambda inner, each: torch.logit(sum(inner.probabilities(one).double() for one in each) / len(each)),
    )
    POOLED[name, "max"] = (
        Kind.TAGS,
        lambda inner, each: torch.logit(torch.stack([inner.probabilities(one).double() for one in each]).amax(0)),
    )
    POOLED[name, "scores"] = (Kind.TAGS, POOLED["logits", "scores"][1])


@pytest.mark.parametrize(("output", "pool"), POOLED)
@pytest.mark.parametrize("rest", ["shift", "pad", "drop"])
def test_what_comes_out_is_what_a_loop_over_the_windows_gives(output: str, pool: str, rest: str) -> None:
    kind, by_hand = POOLED[output, pool]
    inner = net(output)
    victim = WindowedVictim.of(inner, L / RATE, hop_seconds=0.07, pool=pool, rest=rest)
    assert (victim.kind, victim.gives, victim.twin) == (kind, Gives.GRADIENTS, None)
    for samples in (40, 100, 101, 380):
        wave = waves(samples)
        each = windows(wave, 70, rest)
        torch.testing.assert_close(victim.scores(wave), by_hand(inner, each).double(), rtol=1e-4, atol=1e-4)
        assert torch.equal(victim.decide(wave), victim.scores(wave).argmax(-1))
        ours, theirs = wave.clone().requires_grad_(), wave.clone().requires_grad_()
        (slope,) = torch.autograd.grad(victim.scores(ours)[:, 0].square().sum(), ours)
        truth = by_hand(inner, windows(theirs, 70, rest)).double()[:, 0].square().sum()
        torch.testing.assert_close(slope, torch.autograd.grad(truth, theirs)[0], rtol=1e-3, atol=1e-5)
        chances = victim.probabilities(wave)
        expected = {Kind.LOG_PROBABILITY: victim.scores(wave).exp(), Kind.TAGS: sigmoid(victim.scores(wave))}.get(kind)
        assert (chances is None) == (expected is None)
        if expected is not None:
            torch.testing.assert_close(chances, expected)


@given(st.integers(1, 400), st.integers(1, 50), st.integers(1, 80), st.sampled_from(["shift", "pad", "drop"]))
def test_windows_begin_where_a_loop_says(samples: int, window: int, hop: int, rest: str) -> None:
    starts = starts_of(samples, window, hop, rest)
    regular = [start for start in range(0, samples, hop) if start + window <= samples] or [0]
    assert starts[: len(regular)] == regular
    more = starts[len(regular) :]
    assert len(more) <= (rest != "drop" and regular[-1] + window < samples)
    assert all(start < samples for start in starts)
    if rest == "shift" and samples > window:
        assert starts[-1] + window == samples
    if rest == "pad" and hop <= window:
        assert starts[-1] + window >= samples
    if hop <= window and rest != "drop":
        assert set().union(*(range(start, start + window) for start in starts)) >= set(range(samples))


def test_where_hop_is_window_each_sample_counts_once_and_where_windows_overlap_as_often_as_it_is_heard() -> None:
    module = nn.Linear(L, 3)
    nn.init.ones_(module.weight)
    inner = TorchVictim.of(module, labels=LABELS, sample_rate=RATE, output="decision values", probe_seconds=L / RATE)
    for hop, rest, samples in ((100, "shift", 500), (100, "pad", 450), (50, "shift", 430), (100, "drop", 450)):
        victim = WindowedVictim.of(inner, 0.1, hop_seconds=hop / RATE, rest=rest)
        wave = waves(samples, 1).requires_grad_()
        (slope,) = torch.autograd.grad(victim.scores(wave)[:, 0].sum(), wave)
        starts = starts_of(samples, L, hop, rest)
        heard = sum(
            (torch.arange(samples) >= start).double() * (torch.arange(samples) < start + L).double() for start in starts
        )
        torch.testing.assert_close(slope[0].double() * len(starts), heard, rtol=1e-5, atol=1e-5)


def test_a_sound_of_one_window_is_the_inner_victims() -> None:
    wave = waves(L, 1)
    for output in ("log-probabilities", "probabilities", "decision values", "tag logits"):
        for pool in ("mean", "scores"):
            inner = net(output)
            victim = WindowedVictim.of(inner, L / RATE, pool=pool)
            assert torch.equal(victim.scores(wave), inner.scores(wave).double())
            assert torch.equal(victim.decide(wave), inner.decide(wave))
            assert victim.kind == inner.kind


def test_labels_alone_are_counted_and_the_first_of_equals_wins() -> None:
    def loudest(wave: np.ndarray[Any, Any]) -> int:
        return round(float(wave[0]))

    inner = PythonVictim.of(loudest, labels=LABELS, sample_rate=RATE, gives="labels")
    victim = WindowedVictim.of(inner, 0.1)
    said = torch.tensor([[2, 1, 1, 0], [2, 1, 1, 2], [0, 2, 2, 1]]).float().repeat_interleave(L, 1)
    assert victim.decide(said).tolist() == [1, 1, 2]
    assert (victim.gives, victim.twin, victim.probabilities(said)) == (Gives.LABELS, None, None)
    with pytest.raises(VictimError, match="gives labels only"):
        victim.scores(said)
    with pytest.raises(InputError, match='pool = "max", and loudest gives labels only; "mean" counts'):
        WindowedVictim.of(inner, 0.1, pool="max")


@dataclass(frozen=True)
class Duels:
    """A victim of pairwise decision values, with probabilities or without."""

    chances: bool
    name: str = "duels"
    labels: tuple[str, ...] = LABELS
    sample_rate: int = RATE
    gives: Gives = Gives.GRADIENTS
    kind: Kind = Kind.DUELS
    fingerprint: str = "x"
    twin: Victim | None = None
    warnings: tuple[str, ...] = ()

    def scores(self, wave: Tensor) -> Tensor:
        own = torch.stack([wave[:, 0], wave[:, 1], wave[:, 2]], 1)
        return own[:, :, None] - own[:, None, :]

    def decide(self, wave: Tensor) -> Tensor:
        return winner(self.scores(wave))

    def probabilities(self, wave: Tensor) -> Tensor | None:
        return wave[:, :3].softmax(-1) if self.chances else None


def test_duels_are_pooled_by_their_probabilities_or_else_by_their_mean() -> None:
    wave = waves(350)
    each = windows(wave, 100, "shift")
    with_them = WindowedVictim.of(Duels(True), 0.1)
    assert with_them.kind is Kind.LOG_PROBABILITY
    chances = sum(Duels(True).probabilities(one).double() for one in each) / 4
    torch.testing.assert_close(with_them.probabilities(wave), chances)
    without = WindowedVictim.of(Duels(False), 0.1)
    assert without.kind is Kind.DUELS
    mean = sum(Duels(False).scores(one).double() for one in each) / 4
    torch.testing.assert_close(without.scores(wave), mean)
    assert torch.equal(without.decide(wave), winner(mean))
    assert without.probabilities(wave) is None
    largest = torch.stack([Duels(True).probabilities(one).double().log() for one in each]).amax(0)
    torch.testing.assert_close(WindowedVictim.of(Duels(True), 0.1, pool="max").scores(wave), largest)
    with pytest.raises(InputError, match='have no largest; use pool = "mean"'):
        WindowedVictim.of(Duels(False), 0.1, pool="max")


def test_probabilities_that_underflow_still_have_a_slope() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Linear(L, 3)
    with torch.no_grad():
        module.weight.mul_(4000)
    inner = TorchVictim.of(module, labels=LABELS, sample_rate=RATE, probe_seconds=0.1)
    wave = waves(L, 1).repeat(1, 3)
    victim = WindowedVictim.of(inner, 0.1)
    least = int(victim.scores(wave)[0].argmin())
    assert float(victim.scores(wave)[0, least]) < -200
    wave.requires_grad_()
    assert bool(torch.autograd.grad(victim.scores(wave)[0, least], wave)[0].any())


def test_the_graphs_of_few_windows_are_alive_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subterfuge.victims._windows.GRAPH_SAMPLES", 3 * L)
    alive, most = 0, 0

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            nonlocal alive, most
            ctx.rows = len(x)
            if ctx.needs_input_grad[0]:
                alive += len(x)
                most = max(most, alive)
            return x.clone()

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> Tensor:
            nonlocal alive
            alive -= ctx.rows
            return upstream

    module = Net()
    module.tail = nn.Module()
    module.tail.forward = Watched.apply  # type: ignore[method-assign]
    inner = TorchVictim("watched", LABELS, RATE, module, "logits", "NT", torch.device("cpu"), "x")
    wave = waves(20 * L, 2).requires_grad_()
    saved = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal saved
        saved += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        scores = WindowedVictim.of(inner, L / RATE).scores(wave)
    assert saved < 3 * wave.numel()  # the waves themselves, and the answers
    assert most == 0
    torch.autograd.grad(scores[:, 0].sum(), wave)
    assert (most, alive) == (3, 0)


def test_a_clip_does_not_feel_its_batch_and_is_asked_about_once_for_label_and_scores() -> None:
    inner = net()
    asked: list[int] = []
    inner.module.register_forward_hook(lambda module, given, out: asked.append(len(given[0])))
    victim = WindowedVictim.of(inner, L / RATE)
    wave = waves(950, 3)
    assert torch.equal(victim.scores(wave), torch.cat([victim.scores(row[None]) for row in wave]))
    asked.clear()
    victim.decide(wave), victim.scores(wave), victim.probabilities(wave)
    assert sum(asked) == 3 * 10
    assert torch.equal(victim.decide(wave.double()), victim.decide(wave))


@pytest.fixture
def card(card_of: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    def write(inner: Path, **values: Any) -> Path:
        path = tmp_path / "windowed.toml"
        common = {"schema": 1, "kind": "windowed", "sample_rate": 44100, "victim": str(inner), "window_seconds": 1.0}
        lines = [
            f"{key} = {value!r}".replace("'", '"') for key, value in (common | values).items() if value is not None
        ]
        path.write_text("\n".join(lines))
        return path

    return write


def test_the_embedded_classifier_in_windows_has_a_twin_that_agrees(card) -> None:
    victim = load_victim(card(embedded_card(), hop_seconds=0.7))
    wave = torch.from_numpy(Clip.read(embedded_clips()[0]).mono(44100).copy())[None, :110_000]
    assert victim.twin is not None
    assert victim.twin.gives is Gives.GRADIENTS
    torch.testing.assert_close(victim.twin.probabilities(wave), victim.probabilities(wave), rtol=0, atol=2e-3)
    assert torch.equal(victim.twin.decide(wave), victim.decide(wave))
    assert victim.twin.twin is None


def test_it_passes_the_check_with_a_gradient_equal_to_finite_differences() -> None:
    report = check_victim(WindowedVictim.of(net(), 0.1, hop_seconds=0.06), [waves(970)[0].numpy() * 0.1])
    assert not report.failures


def test_a_long_sound_is_fooled_on_file_in_a_few_steps(tmp_path: Path) -> None:
    clip = world.clip(tmp_path / "long.wav", seconds=20)
    victim = WindowedVictim.of(load_victim(world.card(tmp_path)), 1.5)
    threat = Threat(Targeted("high"), LeastSNR(15))
    outcome = attack(clip, victim, threat, by=PGD(steps=10, starts=1), out=tmp_path / "out.wav", control=0)
    assert outcome.won
    assert outcome.predicted_before == "low"
    heard = torch.from_numpy(soundfile.read(tmp_path / "out.wav", dtype="float32")[0])[None]
    assert victim.labels[int(victim.decide(heard))] == "high"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a window of nothing": ({"window_seconds": 0}, "window_seconds = 0; a length above 0 and up to 600 s"),
    "a long window": ({"window_seconds": 1000}, "window_seconds = 1000; a length above 0"),
    "a fine hop": ({"hop_seconds": 0.001}, r"hop_seconds = 0.001; from 0.01 \(a hundredth of the window\)"),
    "a pool": ({"pool": "median"}, 'pool = "median"; did you mean mean'),
    "a rest": ({"rest": "shfit"}, 'rest = "shfit"; did you mean shift'),
    "another rate": ({"sample_rate": 22050}, "sample_rate = 22050, and the victim .* hears at 44100 Hz"),
    "no card": ({"victim": "none.toml"}, r'victim = "none.toml", but there is no file'),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_card_is_refused_with_the_way_out(case: str, card) -> None:
    changes, told = WRONG[case]
    with pytest.raises(CardError, match=told):
        load_victim(card(embedded_card(), **changes))


def test_the_fingerprint_is_of_the_windows_and_of_what_they_wrap() -> None:
    prints = [
        WindowedVictim.of(inner, seconds, **more).fingerprint
        for inner, seconds, more in (
            (net(), 0.1, {}),
            (net("decision values"), 0.1, {}),
            (net(), 0.2, {}),
            (net(), 0.1, {"hop_seconds": 0.05}),
            (net(), 0.1, {"pool": "max"}),
            (net(), 0.1, {"rest": "pad"}),
        )
    ]
    assert len(set(prints)) == len(prints)
    assert WindowedVictim.of(net(), 0.1, name="other").fingerprint == prints[0]


def test_what_lies_between_windows_is_said_not_to_be_heard() -> None:
    assert WindowedVictim.of(net(), 0.1, hop_seconds=0.1).warnings == ()
    (said,) = WindowedVictim.of(net(), 0.1, hop_seconds=0.5).warnings
    assert said == "between windows, 0.4 s of every 0.5 s are not heard: hop_seconds is above window_seconds"


@pytest.mark.parametrize("pool", ["mean", "max", "scores"])
def test_no_sounds_have_no_scores_no_labels_and_no_slope(pool: str) -> None:
    victim, none = WindowedVictim.of(net(), 0.1, pool=pool), torch.zeros(0, 950, requires_grad=True)
    assert (victim.scores(none.detach()).shape, victim.scores(none.detach()).dtype) == ((0, 3), torch.float64)
    assert (victim.decide(none).shape, victim.decide(none).dtype) == ((0,), torch.int64)
    (slope,) = torch.autograd.grad(victim.scores(none).sum(), none)
    assert slope.shape == none.shape


def test_no_sounds_have_no_duels_and_no_votes() -> None:
    assert WindowedVictim.of(Duels(chances=False), 0.1).scores(torch.zeros(0, 300)).shape == (0, 3, 3)
    voting = PythonVictim.of(lambda wave: "a", labels=LABELS, sample_rate=RATE, gives="labels")
    assert WindowedVictim.of(voting, 0.1).decide(torch.zeros(0, 300)).shape == (0,)


def test_of_the_inner_warnings_windows_take_away_those_that_are_about_a_length_and_no_other() -> None:
    note = 'its labels come of a card of kind "windowed"'
    assert WindowedVictim.of(replace(net(), warnings=(note,)), 0.1).warnings == (note,)
    fixed = replace(net(), length=Size(L, L))
    assert fixed.about_length
    noted = replace(fixed, warnings=(note, *fixed.about_length))
    assert WindowedVictim.of(noted, 0.1).warnings == (note,)
    other = EnsembleVictim.of([noted, net()])
    assert WindowedVictim.of(other, 0.1).warnings == (note,), "also where something lies between"
