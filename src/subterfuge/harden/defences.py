"""Defences as the command line says them: what is done in training, and what is worn in use.

A defence is one word or several joined by ``+``: ``lowpass=4000``, ``noise``, ``adversarial=40/30+smooth=0.003``. Its
name is what it says in one spelling: with its values, as ``mp3=128`` for ``mp3``; but ``noise`` and ``adversarial``
alone, where their values are the usual ones.

==================  ==================================================================================
word                what it is
==================  ==================================================================================
an augmentation     (``noise-study``, ``noise``, ``gauss=0.01``) the victim is taught noisy copies too
a transform         (``denoise``, ``requantise=8``, ``lowpass=4000``, ``mp3=64`` ...) every sound passes
                    it first, in training and in use
``adversarial``     the victim is taught what our own attack makes of its training clips; with values,
                    as ``adversarial=40/30``, within these signal-to-noise ratios
``smooth=SD``       randomised smoothing with white noise of this deviation of full scale
``ensemble``        the mean of several families taught the same
``detector``        answers one more label where the answer does not survive small transforms
==================  ==================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from subterfuge.errors import InputError, nearest
from subterfuge.harden.adversarial import STRENGTHS_DB
from subterfuge.training.augment import AUGMENTS, parse_augments
from subterfuge.transforms import TRANSFORMS, parse_transforms

SD = 0.003
"""Of smoothing, where none is given."""
SURVIVES = "mp3=128,lowpass=8000,requantise=8,noise=40"
"""What an answer must survive, where a detector watches."""
LONGEST = 80
"""Signs of a defence: it names its files."""
OWN = ("adversarial", "smooth", "ensemble", "detector")


@dataclass(frozen=True)
class Defence:
    """Everything that one defence does."""

    name: str
    """What it says, in one spelling: it names cards and files."""
    augment: str = ""
    """Augmentations of the training clips, as `parse_augments` reads them."""
    through: str = ""
    """Transforms that every sound passes, in training and in use, as `parse_transforms` reads them."""
    adversarial_db: tuple[float, ...] = ()
    """Signal-to-noise ratios of adversarial training; none without it."""
    smooth_sd: float | None = None
    ensemble: bool = False
    detector: bool = False

    @property
    def trains(self) -> bool:
        """Whether it teaches the victim anything that a wrapper does not need."""
        return bool(self.augment or self.adversarial_db or self.ensemble)


def parse_defence(text: str) -> Defence:
    """Read one defence.

    >>> parse_defence("lowpass=4000.0+smooth").name
    'lowpass=4000+smooth=0.003'

    Raises:
        InputError: a word that is none, or twice the same, or a value that makes no sense.
    """
    said: list[str] = []
    augments: list[str] = []
    transforms: list[str] = []
    own: dict[str, str | None] = {}
    for part in text.split("+"):
        word, equals, value = (side.strip() for side in part.partition("="))
        taught = word in AUGMENTS and not (word in TRANSFORMS and equals)
        if word in OWN:
            new = [word]
        elif taught:
            new = [one.name for one in parse_augments(part.strip())]
        elif word in TRANSFORMS:
            new = [one.name for one in parse_transforms(part.strip())]
        else:
            known = [*OWN, *AUGMENTS, *TRANSFORMS]
            raise InputError(
                f"the defence '{text}': {repr(word) if word else 'an empty word'} is not known; {nearest(word, known)}"
            )
        if set(new) & {*own, *augments, *transforms}:
            raise InputError(f"the defence '{text}' says {word} twice; say it once")
        said += new
        if word in OWN:
            own[word] = value if equals else None
        else:
            (augments if taught else transforms).extend(new)
    parse_augments(",".join(augments))
    for word in ("ensemble", "detector"):
        if own.get(word) is not None:
            raise InputError(f"the defence '{text}': {word} takes no value")
    sd = None
    if "smooth" in own:
        given = own["smooth"]
        sd = SD if given is None else _number(text, "smooth", given, 0, 1)
        said[said.index("smooth")] = f"smooth={_short(sd)}"
        if any(one.partition("=")[0] == "gauss" for one in augments):
            raise InputError(f"the defence '{text}': smooth teaches noisy copies of its own deviation; leave gauss out")
    strengths: tuple[float, ...] = ()
    if "adversarial" in own:
        given = own["adversarial"]
        strengths = STRENGTHS_DB
        if given is not None:
            strengths = tuple(_number(text, "adversarial", one, -20, 120) for one in given.split("/"))
        if strengths != STRENGTHS_DB:
            said[said.index("adversarial")] = f"adversarial={'/'.join(_short(one) for one in strengths)}"
    if "ensemble" in own and (strengths or sd is not None):
        raise InputError(f"the defence '{text}': an ensemble is joined by augmentations and transforms only")
    name = "+".join(said)
    if len(name) > LONGEST:
        raise InputError(f"the defence '{name:.40}...' has {len(name)} signs and cannot name files; {LONGEST} at most")
    return Defence(name, ",".join(augments), ",".join(transforms), strengths, sd, "ensemble" in own, "detector" in own)


def parse_defences(text: str) -> tuple[Defence, ...]:
    """Read a list of defences, such as ``noise,mp3=64,adversarial+smooth``.

    >>> [one.name for one in parse_defences("denoise, mp3")]
    ['denoise', 'mp3=128']

    Raises:
        InputError: as `parse_defence`, or the same twice.
    """
    found = [parse_defence(part.strip()) for part in text.split(",")]
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"the defence {twice[0]} is there twice; name it once")
    return tuple(found)


def _short(value: float) -> str:
    """Write a number with as few signs as give it back."""
    return repr(value).removesuffix(".0")


def _number(text: str, word: str, value: str, least: float, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not least < number <= most:
        said = f"{word}={value}" if value else f"an empty value of {word}"
        raise InputError(f"the defence '{text}': {said}: a number above {least:g} and up to {most:g} was expected")
    return number
