"""From the log-odds of speech in each frame to that of the whole clip.

Every pool gives a number that is at or above the log-odds of the threshold exactly where its rule says speech.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from subterfuge.errors import VictimError
from subterfuge.victims.silero_vad.net import FRAME, RATE

HYSTERESIS, LOWEST = 0.15, 0.01
"""How far below the threshold speech may fall before it ends, and the least that this may come to (the wheel's)."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """How the frames of a clip become one answer."""

    name: str = "timestamps"
    threshold: float = 0.5
    """Chance at or above which a frame is speech."""
    min_speech_ms: float = 250.0
    min_silence_ms: float = 100.0
    share: float = 0.5

    @property
    def edge(self) -> float:
        """The log-odds of the threshold."""
        return log_odds(self.threshold)

    def __call__(self, odds: Tensor, samples: int) -> Tensor:
        """Give the log-odds (N,) of clips of so many samples, from those of their frames (N, F)."""
        return POOLS[self.name](self, odds, samples)


def log_odds(chance: float) -> float:
    """Give log(p / (1 - p))."""
    return math.log(chance / (1 - chance))


def loudest(pool: Pool, odds: Tensor, samples: int) -> Tensor:
    """Give the largest log-odds: speech is where any frame is."""
    return odds.amax(-1)


def mean(pool: Pool, odds: Tensor, samples: int) -> Tensor:
    """Give the log-odds of the mean chance."""
    return logsigmoid(odds).logsumexp(-1) - logsigmoid(-odds).logsumexp(-1)


def share(pool: Pool, odds: Tensor, samples: int) -> Tensor:
    """Give the k-th largest log-odds: speech is where k frames are, the least number that is that share of all."""
    k = max(1, math.ceil(pool.share * odds.shape[-1] - 1e-9))
    return odds.topk(k, dim=-1).values[:, -1]


def timestamps(pool: Pool, odds: Tensor, samples: int) -> Tensor:
    """Give the highest log-odds of a threshold at which the wheel's `get_speech_timestamps` still finds speech.

    Raising all log-odds never ends a run of speech, so there is one such edge; it is where one frame passes the
    threshold, or falls below what ends a run. Its gradient is that frame's.

    Raises:
        VictimError: the clip is too short to hold any speech.
    """
    if samples * 1000 <= pool.min_speech_ms * RATE:
        raise VictimError(
            f"a clip of {1000 * samples / RATE:g} ms holds no speech where min_speech_ms = {pool.min_speech_ms:g}; "
            'give longer clips, or write a lower min_speech_ms or pool = "max" on the card'
        )
    drop = pool.edge - log_odds(max(pool.threshold - HYSTERESIS, LOWEST))
    return torch.stack([_last_edge(row, row + drop, pool, samples) for row in odds])


def _last_edge(begins: Tensor, ends: Tensor, pool: Pool, samples: int) -> Tensor:
    """Give the largest number of two rows (F,) at which frames that reach it in the first still make speech."""
    both = torch.cat([begins, ends])
    order = both.detach().argsort().tolist()
    held = both.tolist()
    up, down = begins.tolist(), ends.tolist()
    low, high = 0, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        edge = held[order[middle]]
        if speaks([each >= edge for each in up], [each < edge for each in down], pool, samples):
            low = middle
        else:
            high = middle
    return both[order[low]]


def speaks(passes: Sequence[bool], quiet: Sequence[bool], pool: Pool, samples: int) -> bool:
    """Say whether `get_speech_timestamps` of the wheel would find any speech.

    A run begins at a frame that passes. It ends before the first of those quiet frames that have lasted for
    min_silence_ms without one that passes, or with the clip, and counts if it is longer than min_speech_ms.

    Args:
        passes: whether each frame is at or above the threshold.
        quiet: whether each is below what ends a run.
        pool: the lengths.
        samples: of the clip.
    """
    longest, gap = pool.min_speech_ms * RATE / 1000, pool.min_silence_ms * RATE / 1000
    start = end = -1
    for frame, (over, under) in enumerate(zip(passes, quiet, strict=True)):
        if over:
            end = -1
            start = frame if start < 0 else start
        elif under and start >= 0:
            end = frame if end < 0 else end
            if FRAME * (frame - end) >= gap:
                if FRAME * (end - start) > longest:
                    return True
                start = end = -1
    return start >= 0 and samples - FRAME * start > longest


POOLS: dict[str, Callable[[Pool, Tensor, int], Tensor]] = {
    "timestamps": timestamps,
    "max": loudest,
    "mean": mean,
    "share": share,
}
"""The card's `pool`, and what it does."""
