"""Silero VAD as a victim: is there speech in the clip? The network of the wheel silero-vad, rebuilt in torch.

The card is `EXAMPLE`. The wheel's code is not imported, so it may be installed without its dependencies. Its
TorchScript program, which is what its users run, gives the weights, and is asked at each load whether the rebuilt
network answers the same. They differ by rounding: 2e-5 in a chance at most on speech and music, as the wheel's own
TorchScript and ONNX files differ from one another. So the victim is its own twin.

A frame of 512 samples has a chance of speech; what a *clip* is comes from `pool`:

- ``timestamps``: what `get_speech_timestamps` of the wheel does with its defaults: speech, if there is a run of it
  longer than `min_speech_ms`. A run begins at a frame at or above `threshold`, and ends where frames stay below
  `threshold` - 0.15 for `min_silence_ms`.
- ``max``: any frame is at or above `threshold`.
- ``mean``: the mean chance is at or above it.
- ``share``: at least the share `share` of all frames is.

The log-odds of a clip are those of the highest threshold at which it would still be speech; the probability of speech
is their sigmoid. The scores are decision values: by how much the log-odds lie above the threshold's, and its negative.

A gradient follows the LSTM back through the whole clip and keeps some 1 MB a second of sound: 200 MB for 3 minutes.

Source: Silero Team, https://github.com/snakers4/silero-vad (MIT).
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from subterfuge.errors import VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import checked, noise
from subterfuge.victims._device import device_of
from subterfuge.victims._speech_wheel import wheel_file
from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.silero_vad.net import RATE, WHEEL, SileroNet, load_program, original_chances, silero_of
from subterfuge.victims.silero_vad.pool import POOLS, Pool

KEYS = {"pool": str, "threshold": float, "min_speech_ms": float, "min_silence_ms": float, "share": float}
LABELS = ("no speech", "speech")
NEAR = 1e-5
"""By how much the chances of the rebuilt network may differ from the original's without a word."""

EXAMPLE = """\
schema = 1                       # the card's format
kind = "silero-vad"              # speech or not; pip install --no-deps silero-vad==6.2.3
name = "speech detector"         # as reports call it; the file's name without it
sample_rate = 16000              # Hz; this model hears at no other rate
labels = ["no speech", "speech"] # other words for these two, in this order
pool = "timestamps"              # speech, if get_speech_timestamps finds any; or max, mean, share: of the frames
threshold = 0.5                  # chance at or above which a frame (or their mean) is speech
min_speech_ms = 250              # of timestamps: a shorter run is no speech
min_silence_ms = 100             # of timestamps: a shorter gap does not end a run
share = 0.5                      # of share: least part of the frames that must be speech
"""


@dataclass(frozen=True, eq=False)
class SileroVictim:
    """Says of a clip whether there is speech in it."""

    name: str
    labels: tuple[str, ...]
    net: SileroNet
    pool: Pool
    fingerprint: str
    device: torch.device
    dtype: torch.dtype = torch.float32
    warnings: tuple[str, ...] = ()
    sample_rate: int = RATE
    gives: Gives = Gives.GRADIENTS
    kind: Kind = Kind.DECISION
    twin: Victim | None = None
    card: Path | None = None
    """The card that it was loaded from, for the record."""

    @property
    def answers_most_probable(self) -> bool:
        """Whether `decide` is the largest of `probabilities`: with a threshold of a half."""
        return self.pool.threshold == 0.5

    def frames(self, wave: Tensor) -> Tensor:
        """Give the log-odds of speech in each frame, (N, F), with gradients."""
        return self.net(wave.to(self.device, self.dtype)).to(wave.device)  # type: ignore[no-any-return]

    def decide(self, wave: Tensor) -> Tensor:
        """Give 1 where there is speech and 0 where there is none, int64 (N,)."""
        with torch.no_grad():
            return (self._odds(wave) >= self.pool.edge).long()

    def scores(self, wave: Tensor) -> Tensor:
        """Give by how much the log-odds of the clip lie below those of the threshold, and above, (N, 2).

        Raises:
            VictimError: the clip is too short for its pool.
        """
        over = self._odds(wave) - self.pool.edge
        return torch.stack([-over, over], -1)

    def probabilities(self, wave: Tensor) -> Tensor:
        """Give the chance of no speech and that of speech, (N, 2)."""
        odds = self._odds(wave)
        return torch.stack([-odds, odds], -1).sigmoid()

    def in_float64(self) -> SileroVictim:
        """Give the same victim computing in float64, for comparing its gradients with finite differences."""
        return replace(self, net=copy.deepcopy(self.net).double(), dtype=torch.float64)

    def _odds(self, wave: Tensor) -> Tensor:
        if not wave.shape[-1]:
            raise VictimError(f"the victim {self.name} was asked about a wave of no samples")
        odds = self.pool(self.frames(wave), wave.shape[-1])
        return checked(odds[:, None], len(wave), self.labels[1:], self.name)[:, 0]


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> SileroVictim:
    """Load the model of a card of kind ``silero-vad``. It runs no code that the card names.

    Args:
        card: the card.
        trust_pickle: has no meaning here.
        device: "cpu" or "cuda".

    Raises:
        CardError: a key has a value that makes no sense, or another rate than 16000.
        MissingExtra: the wheel is not installed, or is of another version with another network.
        InputError: the device is not there.
    """
    labels, pool, where = card.labels or LABELS, _pool_of(card), device_of(device)
    if len(labels) != 2:
        raise card.fail(f"labels has {len(labels)} entries; two were expected, such as {list(LABELS)}")
    path = wheel_file("silero_vad", WHEEL, "data/silero_vad.jit")
    program = load_program(path)
    net = silero_of(program)
    print_of = fingerprint_of("silero-vad", path.read_bytes(), *labels, json.dumps(asdict(pool), sort_keys=True))
    gap = _gap(net, program)
    told = (f"the rebuilt network's chances differ from the original's by {gap:.2g} on a second of noise",)
    return SileroVictim(card.name, labels, net.to(where), pool, print_of, where, warnings=told if gap > NEAR else ())


def _gap(net: SileroNet, program: torch.jit.ScriptModule) -> float:
    """Give by how much the chances differ on a second that goes from noise over to a harmonic buzz."""
    wave = noise(RATE, 1.0)[0]
    time = torch.arange(RATE) / RATE
    buzz = sum(torch.sin(2 * torch.pi * 120 * k * time) / k for k in range(1, 20)) * torch.sin(20 * time).square()
    wave = (1 - time) * wave + 0.2 * time * buzz
    with torch.no_grad():
        return float((net(wave[None])[0].sigmoid() - original_chances(program, wave)).abs().max())


def _pool_of(card: Card) -> Pool:
    """Read a card's pool.

    Raises:
        CardError: a value that makes no sense.
    """
    if card.sample_rate != RATE:
        raise card.fail(f"sample_rate = {card.sample_rate}; Silero VAD is rebuilt for {RATE} Hz: write that")
    given = {key: float(card.get(key)) for key in _NUMBERS if key in card.values}
    for key, value in given.items():
        least, most = _NUMBERS[key]
        if not least <= value <= most:
            raise card.fail(f"{key} = {value:g}; a number from {least:g} to {most:g} was expected")
    name = card.get("pool", "timestamps")
    if name not in POOLS:
        raise card.fail(f'pool = "{name}"; {nearest(name, POOLS)}')
    return Pool(name=name, **given)


_NUMBERS = {
    "threshold": (0.01, 0.99),
    "min_speech_ms": (0.0, 60000.0),
    "min_silence_ms": (0.0, 60000.0),
    "share": (0.0, 1.0),
}
"""The keys that are numbers, and their least and largest values."""
