"""Resemblyzer as a victim: whose voice is it? An encoder of voices, enrolled clips, and a threshold.

The card is `EXAMPLE`. The network and its weights are those of the wheel resemblyzer, whose code is not imported, so it
may be installed without its dependencies.

A clip's embedding is compared with each speaker's, the mean embedding of the clips that enrol him or her. The answer
is the speaker of the largest cosine, if it is above `threshold`, and else the first label, "unknown" ("other" where
one speaker is enrolled). The scores are decision values: by how much each cosine lies above the threshold, and for the
first label by how much the largest lies below it, times the factor that the encoder was trained with (70.9). It has no
probabilities.

`preprocess_wav` of the original also cuts out silences with webrtcvad, which a gradient does not go through: here it is
left out. Cut them out of your clips beforehand if your system does. Its volume step is the key `normalise`.

Source: Resemble AI, https://github.com/resemble-ai/Resemblyzer (Apache-2.0).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subterfuge.audio import Clip
from subterfuge.errors import ClipError, VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import checked
from subterfuge.victims._device import device_of
from subterfuge.victims._speech_wheel import wheel_file
from subterfuge.victims.card import Card, check_labels, fingerprint_of
from subterfuge.victims.resemblyzer.net import RATE, WHEEL, VoiceEncoder, embed, load_encoder, unit

KEYS = {"enrolled": list, "speakers": dict, "threshold": float, "normalise": bool}
THRESHOLD = 0.8
"""Cosine above which a clip is a speaker's; of 12 espeak-ng voices none was turned away, a tenth of others let in."""

EXAMPLE = """\
schema = 1                       # the card's format
kind = "resemblyzer"             # whose voice? pip install --no-deps resemblyzer==0.1.4
name = "door keeper"             # as reports call it; the file's name without it
sample_rate = 16000              # Hz; this model hears at no other rate
labels = ["other", "enrolled"]   # nobody's, then the speaker's; with speakers: "unknown", then their names
enrolled = ["anna1.wav", "anna2.wav"]    # clips of the one speaker who is let in, relative to the card
# speakers = { anna = ["anna1.wav"], ben = ["ben1.wav", "ben2.wav"] }    # instead of enrolled: which of several?
threshold = 0.8                  # cosine above which a clip is a speaker's; set it on voices of your own
normalise = true                 # lift quiet clips to -30 dB of full scale, as the original does
"""


@dataclass(frozen=True, eq=False)
class ResemblyzerVictim:
    """Says whose voice a clip is. Make one from a card."""

    name: str
    labels: tuple[str, ...]
    """Nobody's, then the speakers."""
    encoder: VoiceEncoder
    enrolled: Tensor
    """The speakers' embeddings, (K, 256), of unit length."""
    threshold: float
    factor: float
    """Scores are so many times a cosine."""
    normalise: bool
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

    def cosines(self, wave: Tensor) -> Tensor:
        """Give the cosine of each clip with each speaker, (N, K), with gradients.

        Raises:
            VictimError: a wave of no samples, or an embedding that is not finite.
        """
        if not wave.shape[-1]:
            raise VictimError(f"the victim {self.name} was asked about a wave of no samples")
        found = embed(self.encoder, wave.to(self.device, self.dtype), normalise=self.normalise) @ self.enrolled.mT
        return checked(found, len(wave), self.labels[1:], self.name).to(wave.device)

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label of the largest score, int64 (N,)."""
        with torch.no_grad():
            return self.scores(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give how far the largest cosine lies below the threshold, and each above it, times `factor`, (N, 1 + K).

        The first is above 0 where the answer is nobody, a speaker's where he or she is let in. With gradients.
        """
        over = self.cosines(wave) - self.threshold
        return self.factor * torch.cat([-over.amax(-1, keepdim=True), over], -1)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give None: it has none."""
        return None

    def in_float64(self) -> ResemblyzerVictim:
        """Give the same victim computing in float64, for comparing its gradients with finite differences."""
        encoder = copy.deepcopy(self.encoder).double()
        return replace(self, encoder=encoder, enrolled=self.enrolled.double(), dtype=torch.float64)


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> ResemblyzerVictim:
    """Load the model of a card of kind ``resemblyzer`` and enrol its speakers. It runs no code that the card names.

    Args:
        card: the card.
        trust_pickle: has no meaning here.
        device: "cpu" or "cuda".

    Raises:
        CardError: a key has a value that makes no sense, another rate than 16000, or a clip that cannot be enrolled.
        MissingExtra: the wheel is not installed, or is of another version with another network.
        InputError: the device is not there.
    """
    if card.sample_rate != RATE:
        raise card.fail(f"sample_rate = {card.sample_rate}; Resemblyzer hears at {RATE} Hz: write that")
    speakers, labels = _speakers_of(card)
    threshold = float(card.get("threshold", THRESHOLD))
    if not -1 <= threshold <= 1:
        raise card.fail(f"threshold = {threshold:g}; a cosine from -1 to 1 was expected, such as {THRESHOLD}")
    where, normalise = device_of(device), bool(card.get("normalise", True))
    waves = {name: [_heard(card, name, clip) for clip in clips] for name, clips in speakers.items()}
    path = wheel_file("resemblyzer", WHEEL, "pretrained.pt")
    encoder, factor = load_encoder(path)
    enrolled = torch.stack([_enrol(card, name, encoder, each, normalise) for name, each in waves.items()])
    sounds = [b"".join(wave.numpy().tobytes() for wave in each) for each in waves.values()]
    rest = json.dumps([labels, threshold, normalise])
    print_of = fingerprint_of("resemblyzer", path.read_bytes(), rest, *sounds)
    place = encoder.to(where), enrolled.to(where), threshold, factor, normalise
    return ResemblyzerVictim(card.name, labels, *place, print_of, where)


def _speakers_of(card: Card) -> tuple[Mapping[str, Sequence[str]], tuple[str, ...]]:
    """Give the clips of each speaker, and the labels.

    Raises:
        CardError: neither of the two keys, or both, or nothing in them that can be enrolled, or labels that do not fit.
    """
    enrolled, speakers = card.get("enrolled"), card.get("speakers")
    if (enrolled is None) == (speakers is None):
        raise card.fail(
            'it must have one of the keys enrolled = ["a1.wav", "a2.wav"] (is it this speaker?) and speakers = '
            '{ anna = ["a1.wav"], ben = ["b1.wav"] } (which of them is it?)'
        )
    if speakers is None:
        labels = card.labels or ("other", "enrolled")
        if len(labels) != 2:
            raise card.fail(
                f'labels has {len(labels)} entries; with enrolled two were expected, "other" and "enrolled"'
            )
        speakers = {labels[1]: enrolled}
    else:
        labels = card.labels or ("unknown", *speakers)
        fault = check_labels(list(labels))
        if fault or labels[1:] != tuple(speakers):
            raise card.fail(
                fault
                or f"labels are {', '.join(labels)}; with speakers one for nobody was expected and then their names as "
                f"they stand: {', '.join(['unknown', *speakers])}"
            )
    for name, clips in speakers.items():
        if not isinstance(clips, list) or not clips or not all(isinstance(clip, str) for clip in clips):
            key = "enrolled" if enrolled is not None else f"speakers.{name}"
            raise card.fail(f"{key} = {clips!r}; a list of one or more paths of sound files was expected")
    return speakers, labels


def _heard(card: Card, name: str, clip: str) -> Tensor:
    """Give a clip that enrols a speaker, (T,), at 16 kHz."""
    path = Card(card.path, {f"clip of {name}": clip}).file(f"clip of {name}")
    try:
        return torch.from_numpy(Clip.read(path).mono(RATE).copy())
    except ClipError as reason:
        raise card.fail(f"the clip of {name} cannot be enrolled: {reason}") from reason


def _enrol(card: Card, name: str, encoder: VoiceEncoder, waves: Sequence[Tensor], normalise: bool) -> Any:
    """Give a speaker's embedding, (256,): the mean of the clips', of unit length (`embed_speaker`)."""
    with torch.no_grad():
        each = torch.cat([embed(encoder, wave[None], normalise=normalise) for wave in waves])
    if not bool(torch.isfinite(each).all()):
        raise card.fail(f"the clips of {name} have no embedding; are they silent?")
    return unit(each.mean(0))
