"""Kenansville: what is weak is left out, and the least threshold that changes the answer."""

from __future__ import annotations

import math

import pytest
import torch
from tests.attacks.kit import search
from tests.attacks.toys import RATE, Toy, at_distance, dark, linear, tones, two_sided
from torch import Tensor

from subterfuge.attacks._kenansville_parts import apart
from subterfuge.attacks.kenansville import DOMAINS, Kenansville
from subterfuge.errors import AttackError
from subterfuge.threat import LeastSNR, Untargeted
from subterfuge.victim import Gives

T = 512
domains = pytest.mark.parametrize("domain", DOMAINS)


def weak_and_strong(part: float, weak_db: float = 20.0) -> tuple[Toy, Tensor, Tensor]:
    """A victim that says b where less than `part` of a weak tone is left, the two tones, and the weak one alone."""
    t = torch.arange(T, dtype=torch.float64)
    strong = 0.1 * torch.sin(2 * math.pi * 16 * t / T)
    weak = 0.1 * 10 ** (-weak_db / 20) * torch.sin(2 * math.pi * 100 * t / T)
    weights = torch.stack([weak / weak.norm(), 0 * weak])
    victim = linear(weights, torch.stack([0 * t[0], part * weak.norm()]), gives=Gives.LABELS)
    return victim, (strong + weak)[None].float(), weak


def test_it_leaves_out_a_tone_whole_where_half_of_it_would_do() -> None:
    victim, clean, weak = weak_and_strong(0.5)
    oracle = search(Kenansville(domain="dft"), victim, clean, goal=Untargeted(), focus=0, labels_only=True)
    assert oracle.won.all()
    nearest = 0.5 * float(weak.norm())
    assert math.isclose(float(oracle.best_size[0]), 2 * nearest, rel_tol=1e-4)
    assert torch.allclose(oracle.best[0].double(), -weak, atol=1e-6)
    finding = oracle.findings[0]
    assert (finding["kind"], finding["domain"]) == ("removal", "dft")
    assert abs(finding["threshold_db"] + 20) < 0.05
    assert oracle.queries[0] < 20


@domains
def test_every_domain_finds_a_weak_tone(domain: str) -> None:
    victim, clean, weak = weak_and_strong(0.5)
    knobs = Kenansville(domain=domain, beyond=0)  # type: ignore[arg-type]
    oracle = search(knobs, victim, clean, goal=Untargeted(), focus=0, labels_only=True)
    assert oracle.won.all()
    assert oracle.findings[0]["kind"] == "removal"
    assert float(oracle.best_size[0]) < 3 * float(weak.norm())


@domains
def test_the_parts_of_a_sound_add_up_to_it(domain: str) -> None:
    for length in (T, T + 1):
        clean = dark(1, length)[0]
        parts = apart(domain, clean, RATE)
        assert torch.allclose(parts.sound(torch.ones_like(parts.power)), clean, atol=1e-5)
        assert torch.allclose(parts.mixed([0.0] * 5, [1.0] * 5), clean, atol=1e-5)
        assert torch.allclose(parts.mixed([0.0] * 5, [-2.0] * 5), -2 * clean, atol=1e-5)


def test_the_weakest_bins_are_as_loud_as_told_and_weaker_than_the_rest() -> None:
    clean = dark(1, 4001)[0]
    for db in (6.0, 20.0, 40.0):
        weak, threshold_db = apart("dft", clean, RATE).weakest(db)
        ratio_db = 20 * math.log10(float(clean.norm() / weak.norm()))
        assert db - 1e-3 <= ratio_db < db + 1
        left, out = torch.fft.rfft(clean - weak).abs(), torch.fft.rfft(weak).abs()
        gone = out > 1e-3 * out.max()
        strongest = float(torch.fft.rfft(clean).abs().max())
        assert math.isclose(20 * math.log10(float(out.max()) / strongest), threshold_db, abs_tol=0.01)
        assert float(left[~gone].min()) > 0.99 * float(out.max()) or float(left[gone].max()) < 1e-3 * strongest


def test_the_singular_components_are_those_of_the_trajectory_matrix() -> None:
    clean = dark(1, 120)[0].double()
    lags = 32
    trajectory = clean.unfold(0, lags, 1).T  # (L, K)
    u, s, v = torch.linalg.svd(trajectory, full_matrices=False)
    parts = apart("ssa", clean, RATE)
    for place in range(lags):
        one = s[place] * u[:, place : place + 1] @ v[place : place + 1]
        flipped = one.flip(0)
        expected = torch.stack([flipped.diagonal(t - lags + 1).mean() for t in range(120)])
        gains = torch.zeros(lags, dtype=torch.float64)
        gains[lags - 1 - place] = 1  # eigenvalues come in rising order
        assert torch.allclose(parts.sound(gains), expected, atol=1e-9)


def test_where_no_removal_wins_it_goes_beyond_and_says_so() -> None:
    t = torch.arange(T, dtype=torch.float64)
    strong, weak = (level * torch.sin(2 * math.pi * k * t / T) for level, k in ((0.1, 16), (0.01, 100)))
    weights = torch.stack([-weak / weak.norm(), 0 * weak])  # b where the weak tone is half as loud again
    victim = linear(weights, torch.stack([0 * t[0], -1.5 * weak.norm()]), gives=Gives.LABELS)
    clean = (strong + weak)[None].float()
    pure = search(Kenansville(beyond=0), victim, clean, labels_only=True)
    assert not pure.won.any()
    assert pure.findings == [{"kind": "none"}]
    further = search(Kenansville(), victim, clean, labels_only=True)
    assert further.won.all()
    assert further.findings[0]["kind"] == "beyond"
    assert max(further.queries) <= max(pure.queries) + 100


def test_a_removal_that_the_limit_would_shrink_is_no_removal() -> None:
    victim, clean, weak = weak_and_strong(0.99)
    oracle = search(Kenansville(domain="dft", beyond=0), victim, clean, limit=LeastSNR(25.0), labels_only=True)
    assert not oracle.won.any()
    assert all(float((wave - clean[0]).norm()) < 0.9 * float(weak.norm()) for wave in victim.asked)


def test_a_win_that_its_file_lost_is_not_asked_again() -> None:
    victim, w = two_sided(T)
    clean = at_distance(tones(1, T), w, 40.0)
    oracle = search(Kenansville(), victim, clean)
    lost = oracle.best[0].clone()
    oracle.raise_bar(0, 0.0, lost)
    victim.forget()
    search(Kenansville(), victim, clean, oracle=oracle)
    assert victim.asked
    assert all(float((wave - clean[0]).norm()) > 1.01 * float(lost.norm()) for wave in victim.asked)


@domains
@pytest.mark.parametrize("length", [1, 2, 5, 17])
def test_a_very_short_or_silent_sound_is_survived(domain: str, length: int) -> None:
    victim, _ = two_sided(length)
    for clean in (tones(1, length), torch.zeros(1, length)):
        oracle = search(Kenansville(domain=domain, beyond=10), victim, clean)  # type: ignore[arg-type]
        assert oracle.best.isfinite().all()


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"domain": "dct"}, "domain=dct is not known; all, dft, stft or ssa"),
        ({"step_db": 0.0}, r"step_db=0: 0\.1 to 60"),
        ({"fine_db": 0.0}, "fine_db=0"),
        ({"beyond": -1}, "beyond=-1: 0 or more"),
        ({"bands": 0}, "bands=0: 1 to 256"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(knobs: dict[str, object], says: str) -> None:
    with pytest.raises(AttackError, match=says):
        Kenansville(**knobs)  # type: ignore[arg-type]
