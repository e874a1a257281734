"""The pretrained music taggers of the package musicnn, read without TensorFlow and rebuilt in torch.

::

    kind = "musicnn"
    sample_rate = 16000              # they hear no other rate
    model = "MTT_musicnn"            # or MTT_vgg, MSD_musicnn, MSD_vgg
    overlap = 1.5                    # seconds from window to window, 187 frames (nearly 3 s) without it
    float16 = false                  # round as the package does
    as_trained = false               # MSD_vgg as it was trained, and not as the package runs it
    folder = "musicnn"               # the package's files, where it is not installed

A tag's probability is its mean over windows of 187 frames, as the package's ``top_tags`` ranks it, and its score the
log-odds of that. What follows the last whole window is not heard. A sound too short for one window, which the package
cannot tag, is repeated until it fills one, as the networks' training did it (``pad_short`` in the wheel's config.json).

The package keeps mel power in float16, in which 10000 times a power above 6.55 overflows. Many loud recordings have
more, as have tones 18 dB below full scale: the spectrum is infinite, all tags are NaN. With ``float16`` each step is
rounded as there, such a sound is refused, and gradients pass straight through the rounding. Without, there is neither.

The graph that MSD_vgg was trained with, which lies beside its weights, has other pooling than the package's code runs
them with, and so the package mistags. What is deployed is the package; ``as_trained`` mends it.

Weights: Jordi Pons and Xavier Serra, ISC licence, trained on MagnaTagATune (MTT) and the Million Song Dataset (MSD);
``pip install --no-deps musicnn==0.1.0``. Loading such a card runs no code.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch.utils.checkpoint import checkpoint

from subterfuge.errors import VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import checked, noise
from subterfuge.victims._device import device_of
from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.musicnn import spectra
from subterfuge.victims.musicnn.bundle import Damaged, read_tensors
from subterfuge.victims.musicnn.networks import FRAMES, MODELS, TRAINED_POOLS, network_of
from subterfuge.victims.musicnn.package import WHEEL, file_of, tags_of

__all__ = ["EXAMPLE", "KEYS", "MusicnnVictim", "load"]

KEYS = {"model!": str, "overlap": float, "float16": bool, "as_trained": bool, "folder": str}
EXAMPLE = """\
schema = 1
kind = "musicnn"                 # pip install --no-deps musicnn==0.1.0; TensorFlow is not needed
name = "musicnn"
sample_rate = 16000              # these taggers hear no other rate
model = "MTT_musicnn"            # or MTT_vgg; MSD_musicnn, MSD_vgg, which know other tags
overlap = 1.5                    # seconds from window to window, the package's input_overlap; without it, 187 frames
float16 = false                  # true: round as the package does, and refuse the loud sounds on which it overflows
as_trained = false               # true: MSD_vgg with the pooling of its training, which the package's code has wrong
folder = ""                      # the package's files, as of an unpacked wheel; "" for the installed ones
labels = [                       # optional: the model's 50 tags, in its order
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
    "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
    "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
    "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "metal", "female voice", "choral",
]
"""
"""A whole card; the README shows it, and `subterfuge card new` writes it."""
MOST_WINDOWS = 8
"""Windows that are computed at once: more of them go by turns, and of those a gradient keeps only the waves."""
SHORTEST, LONGEST = 0.032, 60.0
"""Seconds from window to window: at least a frame."""
STRAIGHT = (
    "float16 = true: mel power is rounded to float16 as the package does; gradients pass straight through, and sounds "
    f"with mel power above {spectra.MOST_MEL:.2f} are refused, of which the package makes NaN"
)
MISTAGS = (
    "the package's code pools otherwise than MSD_vgg was trained, and so it mistags; as_trained = true on the card "
    "mends that"
)


@dataclass(frozen=True, eq=False)
class MusicnnVictim:
    """One of the four taggers: 50 tags, each by itself, with gradients of its own."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    network: nn.Module
    fingerprint: str
    device: torch.device
    hop: int = FRAMES
    """Frames from window to window."""
    float16: bool = False
    dtype: torch.dtype = torch.float32
    gives: Gives = Gives.GRADIENTS
    kind: Kind = Kind.TAGS
    answers_most_probable: bool = True
    at_once: int = MOST_WINDOWS
    probe_seconds: float = 3.0
    twin: Victim | None = None
    warnings: tuple[str, ...] = ()
    card: Path | None = None
    """The card that it was loaded from, for the record."""

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the most probable tag, int64 (N,)."""
        with torch.no_grad():
            return self.scores(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give each tag's log-odds (N, 50): those of its mean probability over the windows, with gradients.

        Raises:
            VictimError: the sound is too loud for float16, or the answer is not finite.
        """
        logits = self._logits(wave.to(self.device, self.dtype))
        has, has_not = (logsigmoid(sign * logits).logsumexp(1) for sign in (1, -1))  # both less log(windows)
        odds = logits[:, 0] if logits.shape[1] == 1 else has - has_not
        return checked(odds, len(wave), self.labels, self.name).to(wave.device)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give each tag's probability (N, 50), the mean over the windows; they need not add up to 1."""
        return self.scores(wave).sigmoid()

    def in_float64(self) -> MusicnnVictim:
        """Give the same victim computing in float64, for comparing its gradients with finite differences."""
        return replace(self, network=copy.deepcopy(self.network).double(), dtype=torch.float64)

    def _logits(self, wave: Tensor) -> Tensor:
        """Give the logits of every window of waves (N, T), shape (N, windows, 50), some windows at a time."""
        windows = spectra.windows_of(wave.shape[-1], self.hop)
        if len(wave) * windows <= MOST_WINDOWS:
            return self._heard(wave, 0, windows)
        parts = []
        for first in range(0, windows, MOST_WINDOWS):
            count = min(MOST_WINDOWS, windows - first)
            turns = torch.split(wave, MOST_WINDOWS // count)
            heard = [checkpoint(self._heard, rows, first, count, use_reentrant=False) for rows in turns]
            parts.append(torch.cat(heard))
        return torch.cat(parts, dim=1)

    def _heard(self, wave: Tensor, first: int, count: int) -> Tensor:
        """Give the logits of some windows of each wave, (N, count, 50)."""
        mel = spectra.mel_windows(wave, self.hop, first, count)
        logs = spectra.rounded_logarithms(mel) if self.float16 else spectra.logarithms(mel)
        if self.float16 and bool(torch.isinf(logs).any()):
            loudest = float(mel.detach().max())
            over_db = 10 * math.log10(loudest / spectra.MOST_MEL)
            raise VictimError(
                f"the victim {self.name} was asked a sound of mel power {loudest:.3g}. Above {spectra.MOST_MEL:.3g} "
                "the package's float16 overflows, and every tag is NaN. Make the sound quieter, by "
                f"{max(0.1, math.ceil(10 * over_db) / 10):.1f} dB or more, or say float16 = false on the card"
            )
        together = MOST_WINDOWS if self.device.type != "cpu" else 1  # one at a time stays in the processor's cache
        parts = [self.network(some) for some in torch.split(logs.flatten(0, 1), together)]
        return torch.cat(parts).reshape(len(wave), count, -1)


@dataclass(frozen=True, eq=False)
class RoundingVictim(MusicnnVictim):
    """A tagger that rounds to float16, so that its gradient is not its own slope."""

    float16: bool = True

    def without_stand_ins(self, at: Tensor) -> Callable[[Tensor], Tensor]:
        """Give a function like `scores` whose gradient is its own slope: without the rounding."""
        return replace(self, float16=False).scores


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> MusicnnVictim:
    """Load the tagger that a card of kind ``musicnn`` names. It runs no code of the package, and no TensorFlow.

    Args:
        card: the card.
        trust_pickle: has no meaning here.
        device: "cpu" or "cuda".

    Raises:
        CardError: no such tagger, another rate, other labels, a step that makes no sense, or a damaged checkpoint.
        InputError: the device is not there.
        MissingExtra: the package is not installed.
    """
    model = card.get("model")
    if model not in MODELS:
        raise card.fail(f'model = "{model}" is none of the taggers in {WHEEL}; {nearest(model, MODELS)}')
    if card.sample_rate != spectra.RATE:
        raise card.fail(f"sample_rate = {card.sample_rate}, but {model} hears {spectra.RATE} Hz; write that")
    hop = _hop(card)
    where = device_of(device)
    index, data = (file_of(card, f"{model}/{name}") for name in (".index", ".data-00000-of-00001"))
    labels = tags_of(card, model, file_of(card, "configuration.py"))
    raw = index.read_bytes(), data.read_bytes()
    as_trained = bool(card.get("as_trained", False)) and model in TRAINED_POOLS
    try:
        network = network_of(model, read_tensors(*raw), as_trained=as_trained)
    except (Damaged, ValueError) as reason:
        raise card.fail(
            f'model = "{model}": the checkpoint in {index.parent} is damaged: {reason}. Install it anew: '
            f"pip install --force-reinstall --no-deps {WHEEL}"
        ) from None
    float16 = bool(card.get("float16", False))
    hashes = [hashlib.sha256(each).digest() for each in raw]
    print_of = fingerprint_of("musicnn", model, *hashes, *labels, str(hop), str(float16), str(as_trained))
    told = ((STRAIGHT,) if float16 else ()) + ((MISTAGS,) if model in TRAINED_POOLS and not as_trained else ())
    settled = network.to(where).eval().requires_grad_(False)
    sort = RoundingVictim if float16 else MusicnnVictim
    victim = sort(card.name, labels, spectra.RATE, settled, print_of, where, hop=hop, float16=float16, warnings=told)
    try:
        victim.decide(noise(spectra.RATE, 1.0))
    except VictimError as reason:
        raise card.fail(f"asked a second of noise, {reason}") from reason
    return victim


def _hop(card: Card) -> int:
    """Give the frames from window to window."""
    if "overlap" not in card.values:
        return FRAMES
    seconds = float(card.get("overlap"))
    if not SHORTEST <= seconds <= LONGEST:
        raise card.fail(
            f"overlap = {seconds:g}; the seconds from window to window were expected, {SHORTEST:g} to {LONGEST:g}, "
            "such as 1.5. Without the key each window begins where the last one ends"
        )
    return spectra.hop_frames(seconds)
