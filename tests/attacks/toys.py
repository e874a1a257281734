"""Toy victims whose boundaries are known, and which write down what they are asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.victim import Gives, Kind, winner

RATE = 8000


@dataclass(eq=False)
class Toy:
    """A victim made of one function of the wave, (N, T) to (N, K) or (N, K, K)."""

    function: Callable[[Tensor], Tensor]
    labels: tuple[str, ...] = ("no", "yes")
    gives: Gives = Gives.GRADIENTS
    kind: Kind = Kind.DECISION
    name: str = "toy"
    sample_rate: int = RATE
    fingerprint: str = "toy"
    twin: None = None
    warnings: tuple[str, ...] = ()
    has_probabilities: bool = True
    asked: list[Tensor] = field(default_factory=list)
    """Every wave that a search asked about, one a row."""
    with_slope: int = 0
    """How many of them came with a gradient."""

    def _note(self, wave: Tensor) -> Tensor:
        self.asked.extend(wave.detach().clone())
        self.with_slope += len(wave) if wave.requires_grad else 0
        return self.function(wave)

    def decide(self, wave: Tensor) -> Tensor:
        answer = self._note(wave)
        return winner(answer) if answer.ndim == 3 else answer.argmax(1)

    def scores(self, wave: Tensor) -> Tensor:
        if self.gives is Gives.LABELS:
            raise VictimError("labels only")
        return self._note(wave)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        if not self.has_probabilities:
            return None
        latest = self.asked[-len(wave) :]  # scores and probabilities of the same waves are one question
        again = len(latest) == len(wave) and torch.equal(torch.stack(latest), wave)
        return (self.function(wave) if again else self._note(wave)).softmax(1)

    def forget(self) -> None:
        self.asked.clear()
        self.with_slope = 0


def linear(weights: Tensor, bias: Tensor, **about: object) -> Toy:
    """Scores W x + b, each row summed by itself, so that a row's numbers do not depend on its batch."""
    about.setdefault("labels", tuple("abcdefghijk"[: len(weights)]))
    return Toy(lambda wave: (wave[:, None, :] * weights.to(wave)).sum(-1) + bias.to(wave), **about)  # type: ignore[arg-type]


def two_sided(length: int, *, seed: int = 0, scale: float = 1.0, **about: object) -> tuple[Toy, Tensor]:
    """A linear victim of two classes, whose duel of class 1 is w·x, and w of shape (T,)."""
    w = torch.randn(length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights = scale * torch.stack([-w / 2, w / 2])
    return linear(weights, torch.zeros(2, dtype=torch.float64), **about), w


def bands(length: int, **about: object) -> Toy:
    """A smooth, curved victim of log energies in six bands: class a is dark, b is flat and c is bright (an RBF)."""
    tilt = torch.linspace(1, -1, 6)
    profiles = torch.stack([tilt, 0 * tilt, -tilt])

    def scores(wave: Tensor) -> Tensor:
        power = torch.fft.rfft(wave).abs().square()[:, 1:]
        width = power.shape[1] // 6
        energy = power[:, : 6 * width].reshape(len(wave), 6, width).mean(-1)
        shape = (energy + 1e-9).log()
        shape = shape - shape.mean(1, keepdim=True)
        return torch.exp(-0.15 * (shape[:, None] - profiles.to(wave)).square().sum(-1))

    about.setdefault("labels", ("a", "b", "c"))
    return Toy(scores, **about)  # type: ignore[arg-type]


def tones(rows: int, length: int, *, seed: int = 1, level: float = 0.1) -> Tensor:
    """White sounds, float32, shape (rows, length)."""
    die = torch.Generator().manual_seed(seed)
    return level * torch.randn(rows, length, generator=die)


def dark(rows: int, length: int, *, seed: int = 1, level: float = 0.1) -> Tensor:
    """Sounds whose bands fall as those of class a of `bands` do; flat noise makes them class b."""
    spectrum = torch.fft.rfft(tones(rows, length, seed=seed, level=level))
    return torch.fft.irfft(spectrum * torch.linspace(0.4, -0.4, spectrum.shape[1]).exp(), n=length)


def at_distance(clean: Tensor, w: Tensor, snr_db: float | Tensor) -> Tensor:
    """Move sounds along w so that the plane w·x = 0 is `snr_db` below their level, on the losing side."""
    unit = (w / w.norm()).to(clean)
    flat = clean - (clean @ unit)[:, None] * unit
    ratio = 10 ** (-torch.as_tensor(snr_db).expand(len(clean)) / 20)
    distance = flat.norm(dim=-1) * ratio / (1 - ratio**2).sqrt()  # its own part along w counts in its level
    return flat - distance[:, None] * unit


def nearest_in_cone(weights: Tensor, bias: Tensor, clean: Tensor, target: int) -> Tensor:
    """Give the least change (T,) with which `target` has the largest score, by Lawson and Hanson's LDP."""
    from scipy.optimize import nnls

    others = [k for k in range(len(weights)) if k != target]
    rows = weights[target] - weights[others]
    needed = -(rows @ clean.double() + bias[target] - bias[others])
    system = torch.cat([rows.T, needed[None]]).numpy()
    wanted = torch.zeros(len(system), dtype=torch.float64)
    wanted[-1] = 1
    scale = float(rows.norm(dim=1).mean())
    system[:-1] /= scale
    u, _ = nnls(system, wanted.numpy())
    residual = torch.from_numpy(system @ u) - wanted
    return -residual[:-1] / residual[-1] / scale
