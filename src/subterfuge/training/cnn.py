"""Train a convolutional network on a mel spectrogram, in the manner of Han, Kim, Lee (2017), on a processor.

The network is `MelNet`; on a card it is ``module = "subterfuge.training.melnet:build"`` with the arguments and weights
of a `TrainedCNN`. What is heard in an epoch is a random piece of each clip, a little louder or softer, every other one
with some of another clip mixed in (mixup, Zhang et al. 2018, https://arxiv.org/abs/1710.09412), with a band and a
moment of its spectrogram blanked (SpecAugment, Park et al. 2019, https://arxiv.org/abs/1904.08779). The steps are
AdamW's, their length rises and then falls as a cosine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from subterfuge.errors import InputError, check_seed
from subterfuge.training._cnn_sounds import Behind, Sounds, blanked, mixed, passed, piece
from subterfuge.training.examples import Dataset
from subterfuge.training.melnet import MelNet, build  # older cards name this module's `build`

__all__ = ["Adversary", "Epoch", "MelNet", "TrainedCNN", "build", "train_cnn"]

Adversary = Callable[[torch.nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""From the network in eval mode, behind the stand-ins of what every sound passes, waves (n, T) before that, their
classes (n,) and a generator to the waves (n, T) that are put through it and learned instead."""

PIECE_SECONDS = 2.5
"""How much of a clip is heard in one epoch."""
STEP = 3e-3
"""The longest step of AdamW."""
DECAY = 0.02
"""Its weight decay."""
SMOOTH = 0.05
"""What of each label is spread over all classes."""
ENOUGH = 45_000
"""How many clips are heard in all where the number of epochs is not told; at least 20 times each, at most 120."""
OUT_OF_MEMORY = ("not enough memory", "out of memory", "can't allocate memory")
"""What torch says in a plain RuntimeError."""


@dataclass(frozen=True)
class Epoch:
    """How one epoch went."""

    loss: float
    """Mean cross-entropy of what was heard, mixed and blanked as it was."""
    batch: int
    """Clips a step at its end."""


@dataclass(frozen=True, eq=False)
class TrainedCNN:
    """A network that was taught, and how."""

    module: MelNet
    """In eval mode; its `state_dict` goes into a safetensors file."""
    arguments: dict[str, Any]
    """What `build` makes a network of the same shape from; values that TOML can hold."""
    labels: tuple[str, ...]
    """In the order of the logits: the classes of the training clips, in alphabetical order."""
    sample_rate: int
    history: tuple[Epoch, ...]
    hits: int
    """Test clips, heard whole, that it answers rightly."""
    tested: int
    skipped: tuple[str, ...]
    """Files that could not be used: one sentence each."""
    notes: tuple[str, ...]
    """What one must know of the training, such as a batch that had to be smaller."""

    @property
    def accuracy(self) -> float | None:
        """Share of the test clips that it answers rightly, None without any."""
        return self.hits / self.tested if self.tested else None


def train_cnn(
    data: Dataset,
    train: NDArray[np.int64] | Sequence[int],
    test: NDArray[np.int64] | Sequence[int] = (),
    *,
    through: str = "",
    augment: str = "",
    seed: int = 0,
    epochs: int | None = None,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
    adversarial: Adversary | None = None,
    adversarial_share: float = 0.5,
    sample_rate: int = 22050,
    mels: int = 64,
    widths: Sequence[int] = (16, 32, 64, 128),
) -> TrainedCNN:
    """Teach a network some examples of a set. On one thread, the same arguments give the same network.

    All sounds are held in memory: 88 KB a second at 22050 Hz, 1.8 GB for the 6,705 clips of IRMAS; twice that with an
    adversary before transforms.

    Args:
        data: the set. Of several instruments, an example counts as its first label.
        train: places of the examples to learn.
        test: places of those on which the accuracy is measured, at the end only: nothing is chosen by it.
        through: a list of transforms, as ``mp3=128,lowpass=8000``: every sound passes the real ones.
        augment: a list of augmentations, as ``noise``. In each epoch one of the variants of each piece is drawn.
        seed: of everything random. The generators of torch and numpy are left as they were.
        epochs: how often each clip is heard; by their number, if None.
        batch: clips a step. Where memory does not suffice it is halved, and the training goes on.
        progress: called with how many sounds were read and heard, and of how many.
        adversarial: makes of clips what is learned instead (Madry et al. 2018, https://arxiv.org/abs/1706.06083). What
            it gives passes the real transforms of `through`; its gradients their stand-ins.
        adversarial_share: of each batch that it gets; what it gets is neither mixed nor blanked.
        sample_rate: at which the network hears, in Hz.
        mels: bands of its mel spectrogram.
        widths: filters of each of its four blocks.

    Raises:
        InputError: no examples, fewer than two classes, a class whose every file is bad, a number that makes no sense,
            or not enough memory for a single clip.
        TransformError: an unknown transform.
    """
    check_seed(seed)
    if batch < 1 or (epochs is not None and epochs < 1) or not 0 <= adversarial_share <= 1:
        raise InputError(
            f"batch = {batch}, epochs = {epochs}, adversarial_share = {adversarial_share:g}: a batch and a number of "
            "epochs from 1 on, and a share from 0 to 1 were expected"
        )
    train, test = [int(place) for place in train], [int(place) for place in test]
    labels = tuple(sorted({data.examples[place].label for place in train}))
    if len(labels) < 2:
        raise InputError(
            f"{data.name}: the examples to learn are of {len(labels)} class{'es' * (len(labels) != 1)}"
            f"{'' if not labels else f' ({labels[0]})'}; a classifier needs two or more"
        )
    arguments: dict[str, Any] = {
        "classes": len(labels),
        "sample_rate": sample_rate,
        "mels": mels,
        "widths": list(widths),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build(**arguments)
    epochs = epochs or min(120, max(20, ENOUGH // len(train)))
    total = len(train) * (epochs + 1) + 2 * len(test)
    told = _Told(progress, total)
    sounds = Sounds.read(
        data, train, labels, sample_rate,
        through=through, augment=augment, seed=seed, told=told.one, bare=adversarial is not None,
    )  # fmt: skip
    missing = sorted(set(labels) - {labels[k] for k in sounds.classes})
    if missing:
        raise InputError(
            f"{data.name}: no file of the class {missing[0]} can be used: {sounds.skipped[0].rstrip('.')}. Mend the "
            "files, or leave the class out"
        )
    learner = _Learner(module, sounds, torch.Generator().manual_seed(seed), adversarial, adversarial_share, batch)
    history = tuple(learner.epoch(k / epochs, 1 / epochs, told.one) for k in range(epochs))
    module.eval().requires_grad_(False)
    tests = Sounds.read(data, test, labels, sample_rate, through=through, augment="", seed=seed, told=told.one)
    hits = 0
    for wave, label in zip(tests.waves, tests.classes, strict=True):
        hits += int(module(wave[None]).argmax()) == label
        told.one()
    told.end()
    skipped = (*sounds.skipped, *tests.skipped)
    return TrainedCNN(
        module, arguments, labels, sample_rate, history, hits, len(tests.waves), skipped, tuple(learner.notes)
    )


class _Learner:
    """The network, what it learns, and its optimiser, between steps."""

    def __init__(
        self,
        module: MelNet,
        sounds: Sounds,
        die: torch.Generator,
        adversarial: Adversary | None,
        share: float,
        batch: int,
    ) -> None:
        self.module, self.sounds, self.die, self.batch = module, sounds, die, batch
        self.adversarial, self.share = adversarial, share if adversarial is not None else 0.0
        self.attacked = Behind(module, sounds.front, module.sample_rate, die) if sounds.front else module
        self.optimiser = torch.optim.AdamW(module.parameters(), lr=STEP, weight_decay=DECAY)
        self.length = round(PIECE_SECONDS * module.sample_rate)
        self.notes: list[str] = []

    def epoch(self, begin: float, part: float, told: Callable[[], None]) -> Epoch:
        """Hear every clip once; `begin` and `part` are those of the whole training, from 0 to 1."""
        count = len(self.sounds.waves)
        order = torch.randperm(count, generator=self.die).tolist()
        losses, done = 0.0, 0
        while done < count:
            rows = order[done : done + self.batch]
            try:
                loss = self.step(rows, step_at(begin + part * done / count))
            except (MemoryError, RuntimeError) as error:
                self._smaller(error, len(rows))
                continue
            losses, done = losses + loss * len(rows), done + len(rows)
            for _ in rows:
                told()
        return Epoch(losses / count, self.batch)

    def step(self, rows: Sequence[int], size: float) -> float:
        """Learn some clips in one step, `size` times as long as the longest; give the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = STEP * size
        hard = round(self.share * len(rows)) if self.adversarial is not None else 0
        waves = torch.stack(
            [piece(self.sounds, row, self.length, self.die, bare=place < hard) for place, row in enumerate(rows)]
        )
        classes = torch.tensor([self.sounds.classes[row] for row in rows])
        wanted = torch.nn.functional.one_hot(classes, self.module.last.out_features).float()
        if hard and self.adversarial is not None:
            self.attacked.eval()
            found = self.adversarial(self.attacked, waves[:hard], classes[:hard], self.die).detach().to(waves)
            if self.sounds.front:
                found = passed(self.sounds, found, self.die)
            waves = torch.cat([found, waves[hard:]])
        waves[hard:], wanted[hard:] = mixed(waves[hard:], wanted[hard:], self.die)
        self.module.train()
        self.optimiser.zero_grad()
        with torch.no_grad():
            heard = self.module.spectrogram(waves)
            heard[hard:] = blanked(heard[hard:], self.die)
        loss = cross_entropy(self.module.answer(heard), wanted, label_smoothing=SMOOTH)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())

    def _smaller(self, error: Exception, rows: int) -> None:
        """Halve the batch after an error that memory explains; raise any other."""
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not any(
            words in str(error).lower() for words in OUT_OF_MEMORY
        ):
            raise error
        self.optimiser.zero_grad()
        if rows == 1:
            raise InputError(
                "not enough memory to learn a single clip; close other programs, or train a smaller network"
            ) from error
        self.batch = max(1, rows // 2)
        self.notes.append(f"not enough memory for {rows} clips at once: from there on {self.batch} a step")


def step_at(done: float) -> float:
    """Say how long a step is when a part of the training is done, from 0 to 1: up in the first tenth, then a cosine.

    >>> [round(step_at(done), 3) for done in (0, 0.05, 0.1, 0.55, 1)]
    [0.02, 0.5, 1.0, 0.5, 0.0]
    """
    if done < 0.1:
        return max(0.02, done / 0.1)
    return 0.5 + 0.5 * math.cos(math.pi * (done - 0.1) / 0.9)


class _Told:
    """Counts what is done, and tells it."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def one(self) -> None:
        """Count one more."""
        self.done += 1
        if self.progress is not None:
            self.progress(min(self.done, self.total), self.total)

    def end(self) -> None:
        """Say that everything is done."""
        if self.progress is not None:
            self.progress(self.total, self.total)
