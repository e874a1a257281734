"""How a table's features are made, and by what version of everything that they depend on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from subterfuge.dsp.recipes import RECIPES
from subterfuge.errors import TransformError
from subterfuge.training.augment import Augment, augmented, parse_augments
from subterfuge.transforms import Transform, parse_transforms

DIGITS = 6
"""To which the answers to the known sound are compared: rounding differs behind them, from machine to machine."""


@dataclass(frozen=True)
class Setup:
    """The way from a mono wave to features."""

    recipe: str
    sample_rate: int
    through: str
    """Names of the transforms, as `parse_transforms` reads them, or empty."""
    augment: str
    seed: int
    """0 where nothing is drawn."""

    @classmethod
    def of(cls, recipe: str, sample_rate: int, through: str, augment: str, seed: int) -> Setup:
        """Give it with every default written out, so that one way has one name.

        Raises:
            InputError: a transform or an augmentation that makes no sense.
        """
        passes = parse_transforms(through) if through.strip() else ()
        ways = parse_augments(augment)
        names = ",".join(one.name for one in passes), ",".join(one.name for one in ways)
        return cls(recipe, int(sample_rate), *names, seed if any(names) else 0)

    def waves(self, wave: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Give what is described of one mono wave (T,): its variants, each through the transforms.

        Raises:
            TransformError: it cannot be put through them.
        """
        if not self.through and not self.augment:
            return [wave]
        passes, ways = _parsed(self.through, self.augment)
        die = self._die(wave)
        return [self._through(passes, one, die) for one in augmented(ways, wave, self.sample_rate, die)]

    def features(self, waves: NDArray[np.floating]) -> NDArray[np.float64]:
        """Describe waves (N, T) by the recipe's twin, (N, F)."""
        with torch.no_grad():
            answers = RECIPES[self.recipe].twin(torch.from_numpy(waves), self.sample_rate)
        numbers: NDArray[np.float64] = answers.double().numpy()
        return numbers

    def versions(self) -> dict[str, str]:
        """Give the versions of the libraries that decode, resample and transform, and what comes out for a known sound.

        So a change of our own code is noticed too: of the recipe, of a transform, of an augmentation.
        """
        names = ["soxr", "torch"]
        if self.through or self.augment:
            names += ["numpy", "scipy", "noisereduce", "pyroomacoustics"]
        found = {"libsndfile": soundfile.__libsndfile_version__}
        for name in names:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = ""
        return found | {"answers": self._answers()}

    def _die(self, wave: NDArray[np.float32]) -> torch.Generator:
        heard = hashlib.sha256(f"{self.seed} {self.sample_rate} ".encode() + wave.astype("<f4").tobytes()).digest()
        return torch.Generator().manual_seed(int.from_bytes(heard[:8]) >> 1)

    def _through(
        self, passes: tuple[Transform, ...], wave: NDArray[np.float32], die: torch.Generator
    ) -> NDArray[np.float32]:
        heard = wave[None]
        for one in passes:
            heard = one.real(heard, self.sample_rate, die)
        return np.ascontiguousarray(heard[0], dtype=np.float32)

    def _answers(self) -> str:
        """Give a hash of the features of one known sound, in float64: of noise, a fading tone, silence and a click."""
        samples = max(4096, self.sample_rate // 2)
        t = np.arange(samples) / samples
        known = 0.05 * np.random.default_rng(0).normal(size=samples) * (t < 0.3)
        known += 0.1 * np.sin(40 * np.pi * t * (1 + 3 * t)) * np.exp(-4 * t) * (t < 0.7)
        known[int(0.9 * samples)] = 0.2
        try:
            said = [
                f"{number:.{DIGITS - 1}e}"
                for wave in self.waves(known.astype(np.float32))
                for number in self.features(wave[None].astype(np.float64))[0]
            ]
        except TransformError as reason:
            said = [str(reason)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def _parsed(through: str, augment: str) -> tuple[tuple[Transform, ...], tuple[Augment, ...]]:
    return parse_transforms(through) if through else (), parse_augments(augment)
