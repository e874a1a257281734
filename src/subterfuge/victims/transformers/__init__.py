"""A Hugging Face audio classifier as a victim: the library's feature extractor and model, as its users run them.

::

    kind = "transformers"
    model = "my-model"               # a folder that save_pretrained wrote, or a name on the hub: "owner/name"
    revision = "main"                # of a name on the hub: branch, tag or commit
    output = "logits"                # or tag logits, decision values; as the model's configuration says without it
    labels = ["cel", "cla"]          # in the order of the outputs; the model's own (id2label) without it
    probe_seconds = 1.0              # length of the noise that is asked first

Weights are read from safetensors only, and no code is run but the library's. The twin is the same model behind the
extractor in torch. Each row is asked as the library's audio-classification pipeline asks a clip.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from subterfuge.errors import VictimError, nearest
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import (
    KINDS,
    checked,
    dead_on,
    doubt_of,
    fault_of_seconds,
    lone_fault_of,
    noise,
    probabilities_of,
    scores_of,
    two_of,
)
from subterfuge.victims._code import told
from subterfuge.victims._device import device_of
from subterfuge.victims.card import Card, fingerprint_of
from subterfuge.victims.transformers.agree import check_rate, check_sizes, labels_of, output_of
from subterfuge.victims.transformers.check import front_gap
from subterfuge.victims.transformers.front import Found, front_of
from subterfuge.victims.transformers.loading import load_model

KEYS = {
    "model!": str,
    "revision": str,
    "output": str,
    "probe_seconds": float,
}
EXAMPLE = """\
schema = 1
kind = "transformers"                # a Hugging Face audio classifier; weights from safetensors, no code of the model's
name = "my-classifier"               # as reports call it; the file's name without it
model = "owner/name"                 # a name on the hub, or a folder that save_pretrained wrote, relative to this card
revision = "main"                    # of a name on the hub: branch, tag or commit; leave it out for a folder
sample_rate = 16000                  # Hz; what the model's feature extractor says (sampling_rate)
labels = ["cel", "cla"]              # in the order of the model's outputs; its own names (id2label) without it
output = "logits"                    # or "tag logits" (several labels may be right), "decision values"; as the model's
                                     # configuration says (problem_type) without it
probe_seconds = 1.0                  # length of the noise that is asked first
"""
OUTPUTS = ("logits", "tag logits", "decision values")
ROUNDING = 1e-4
"""A twin nearer to the truth than this, as a share of the spread of what is compared, differs by rounding."""
OTHER = 1e-2
"""A front end further than this from the extractor is another one."""


@dataclass(frozen=True)
class Extractor:
    """The library's extractor itself, row by row, as its pipeline calls it: arrays in, no gradient."""

    extractor: Any

    def __call__(self, wave: Tensor) -> dict[str, Tensor]:
        """Give the model's inputs by name, of waves (N, T)."""
        rows = wave.detach().cpu().to(torch.float32).numpy()
        rate = self.extractor.sampling_rate
        with np.errstate(all="ignore"):  # what is not finite is found in the answer
            heard = [self.extractor(row.copy(), sampling_rate=rate, return_tensors="pt") for row in rows]
        return {key: torch.cat([torch.as_tensor(row[key]) for row in heard]) for key in heard[0]}


@dataclass(frozen=True, eq=False)
class TransformersVictim:
    """A model behind its extractor, or, as a twin, behind a front end in torch."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    model: nn.Module
    hears: Callable[[Tensor], dict[str, Tensor]]
    """Waves (N, T) -> the model's inputs by name."""
    output: str
    device: torch.device
    fingerprint: str
    gives: Gives = Gives.SCORES
    probe_seconds: float = 1.0
    """A length of sound that it takes."""
    twin: Victim | None = None
    no_twin: str | None = None
    """Why it has no gradients."""
    warnings: tuple[str, ...] = ()
    card: Path | None = None
    """The card that it was loaded from, for the record."""
    at_once: int = 8
    """How many clips are worth asking at once."""
    heard_seconds: float | None = None
    """How much of a sound it hears, where that has an end."""
    about_length: tuple[str, ...] = ()
    """Those of its warnings that windows around it mend."""

    @property
    def kind(self) -> Kind:
        """What `scores` are."""
        return KINDS[self.output]

    @property
    def answers_most_probable(self) -> bool:
        """Whether `decide` is the largest of `probabilities`, wherever it has any."""
        return True

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the largest output, the first of equals, int64 (N,)."""
        with torch.no_grad():
            return self._ask(wave).argmax(-1)

    def scores(self, wave: Tensor) -> Tensor:
        """Give the outputs (N, K), of a twin with gradients.

        Raises:
            VictimError: the extractor or the model died, or answered no finite numbers.
        """
        return scores_of(self._ask(wave), self.output)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give probabilities (N, K), or None if the outputs are decision values."""
        return None if self.output == "decision values" else probabilities_of(self._ask(wave), self.output)

    def in_float64(self) -> TransformersVictim:
        """Give the same twin computing in float64, for comparing its gradients with finite differences."""
        return replace(self, model=copy.deepcopy(self.model).double())

    def _ask(self, wave: Tensor) -> Tensor:
        return two_of(self._numbers(wave), self.output)

    def _numbers(self, wave: Tensor) -> Tensor:
        """Give what the model gives, (N, K), or (N, 1) for the second of two labels."""
        dtype = next(self.model.parameters()).dtype
        try:
            with redirect_stdout(sys.stderr):  # standard output is the caller's
                heard = self.hears(wave.to(self.device))
                placed = {
                    key: value.to(self.device, dtype if value.is_floating_point() else None)
                    for key, value in heard.items()
                }
                raw: Tensor = self.model(**placed).logits
        except Exception as reason:
            died = dead_on(self.name, wave, self.sample_rate, self.probe_seconds)
            raise VictimError(f"{died}: {told(reason)}") from reason
        whole = raw if raw.dtype in (torch.float32, torch.float64) else raw.float()
        one = whole.shape[-1] == 1 and len(self.labels) == 2
        return checked(whole, len(wave), self.labels[1:] if one else self.labels, self.name).to(wave.device)


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> TransformersVictim:
    """Load the classifier of a card of kind ``transformers``.

    Args:
        card: the card.
        trust_pickle: has no meaning here; pickled weights are never read.
        device: where the model computes, "cpu" or "cuda". The extractor computes on the CPU, the twin's front end
            where the model is.

    Raises:
        CardError: no such model, weights that are pickled or do not fit, a rate or labels other than the model's, or a
            model that does not answer noise with one finite number a label.
        MissingExtra: the library is not installed.
        InputError: the device is not there.
    """
    seconds = float(card.get("probe_seconds", 1.0))
    if fault := fault_of_seconds(seconds):
        raise card.fail(fault)
    if card.get("output", OUTPUTS[0]) not in OUTPUTS:
        raise card.fail(f'output = "{card.get("output")}"; {nearest(card.get("output"), OUTPUTS)}')
    where = device_of(device)
    found = load_model(card)
    check_rate(card, found)
    check_sizes(card, found)
    labels, notes = labels_of(card, found)
    output, more = output_of(card, found)
    notes += more
    heard = front_of(found.extractor)
    about_length: tuple[str, ...] = ()
    if heard.heard_seconds is not None:
        about_length = (
            f"it hears the first {heard.heard_seconds:.2f} s of a clip; what lies beyond is not heard (a card of kind "
            '"windowed" around it hears all)',
        )
    model = found.model.to(where).eval().requires_grad_(False)
    truth = TransformersVictim(
        card.name,
        labels,
        card.sample_rate,
        model,
        Extractor(found.extractor),
        output,
        where,
        fingerprint_of("transformers", found.digest, *labels, str(card.sample_rate), output),
        probe_seconds=seconds,
        warnings=(*found.notes, *notes, *about_length),
        heard_seconds=heard.heard_seconds,
        about_length=about_length,
    )
    try:
        with torch.no_grad():
            raw = truth._numbers(noise(card.sample_rate, seconds))
            doubt = doubt_of(raw, output, truth._numbers, card.sample_rate, seconds) if raw.shape[-1] > 1 else None
    except VictimError as reason:
        raise card.fail(f"asked {seconds:g} s of noise, {reason}") from reason
    fault = lone_fault_of(raw, output)
    if fault:
        raise card.fail(fault)
    if doubt is not None:
        truth = replace(truth, warnings=(*truth.warnings, doubt))
    return _with_twin(truth, heard)


def _with_twin(truth: TransformersVictim, heard: Found) -> TransformersVictim:
    """Give a victim its twin, if there is a front end that does what its extractor does."""
    if heard.front is None:
        return replace(truth, no_twin=heard.why)
    lengths = [truth.probe_seconds * share for share in (1.0, 1.13, 1.57)]
    if heard.heard_seconds is not None:
        lengths.append(heard.heard_seconds + 0.1)
    gap = front_gap(truth.hears, heard.front, truth.sample_rate, lengths, truth.device)
    if gap > OTHER:
        return replace(truth, no_twin=f"its extractor and the re-expression of it differ by {gap:.2g} of their spread")
    dtype = next(truth.model.parameters()).dtype
    model = truth.model if dtype == torch.float32 else copy.deepcopy(truth.model).float()
    twin = replace(truth, model=model, hears=heard.front, gives=Gives.GRADIENTS, warnings=())
    wave = noise(truth.sample_rate, truth.probe_seconds)
    with torch.no_grad():
        true, guess = truth.scores(wave), twin.scores(wave)
    apart = float((true - guess).abs().max()) / max(float(true.max() - true.min()), 1e-12)
    notes = truth.warnings
    if dtype != torch.float32:
        notes += (f"its weights are {str(dtype).removeprefix('torch.')}; the twin computes in float32",)
    if max(gap, apart) > ROUNDING:
        notes += (f"twin and truth differ by {gap:.2g} of the spread of what is heard, {apart:.2g} of that of scores",)
    return replace(truth, twin=twin, warnings=notes)
