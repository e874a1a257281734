"""The voice encoder of Resemblyzer in torch: waves to embeddings of who speaks.

Volume, mel power (not its logarithm) of 25 ms every 10 ms in 40 bands, pieces of 1.6 s, three LSTM layers of 256, a
linear layer with ReLU, unit length; the mean over the pieces, unit length.

Source: Resemblyzer 0.1.4 (Resemble AI, Apache-2.0, https://github.com/resemble-ai/Resemblyzer), `embed_utterance` and
`normalize_volume`, and its weights. Wan et al. 2018, https://arxiv.org/abs/1710.10467.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from subterfuge.dsp.mel import melspectrogram
from subterfuge.errors import MissingExtra

RATE, WINDOW, HOP, MELS = 16000, 400, 160, 40
PIECE = 160
"""Frames of a piece."""
STEP = round(RATE / 1.3 / HOP)
"""Frames from piece to piece, `rate` = 1.3 a second."""
COVERED = 0.75
"""The part of its last piece that a sound must fill, `min_coverage`."""
LEVEL = 10 ** (-30 / 20)
"""Root mean square that quiet sounds are lifted to: -30 dB of full scale."""
TOGETHER = 64
"""Pieces whose way back is remembered at once, some 3 MB each; of more than that, each lot is computed twice."""
WHEEL = "resemblyzer==0.1.4"


class VoiceEncoder(nn.Module):
    """Mel power of pieces (P, 160, 40) to embeddings (P, 256) of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mels: Tensor) -> Tensor:
        """Give the embedding of each piece."""
        _, (hidden, _) = self.lstm(mels)
        return unit(self.linear(hidden[-1]).relu())


def unit(vectors: Tensor) -> Tensor:
    """Give vectors (..., D) unit length."""
    length: Tensor = vectors.norm(dim=-1, keepdim=True)
    return vectors / length


def embed(encoder: nn.Module, wave: Tensor, *, normalise: bool) -> Tensor:
    """Give the embedding of each of some waves (N, T), (N, 256), of unit length, with gradients.

    Silences are not cut out, as `preprocess_wav` of the original does with webrtcvad.

    Args:
        encoder: a `VoiceEncoder`.
        wave: at 16 kHz, of any length; it is filled up with zeros to a whole piece.
        normalise: lift sounds below -30 dB of full scale to that.
    """
    if normalise:
        wave = lifted(wave)
    starts = pieces(wave.shape[-1])
    short = HOP * (starts[-1] + PIECE) - wave.shape[-1]
    padded = pad(wave, (0, max(0, short)))
    mel = melspectrogram(padded, sample_rate=RATE, n_fft=WINDOW, hop_length=HOP, n_mels=MELS).mT
    cut = torch.stack([mel[:, start : start + PIECE] for start in starts], 1).flatten(0, 1)
    lots = torch.split(cut, TOGETHER)
    if len(lots) > 1 and cut.requires_grad:
        found = [checkpoint(encoder, lot, use_reentrant=False) for lot in lots]
    else:
        found = [encoder(lot) for lot in lots]
    return unit(torch.cat(found).reshape(len(wave), -1, found[0].shape[-1]).mean(1))


def lifted(wave: Tensor) -> Tensor:
    """Amplify waves (N, T) whose root mean square is below `LEVEL` to that; leave digital silence."""
    power = wave.square().mean(-1, keepdim=True)
    quiet = (power > 0) & (power < LEVEL**2)
    return wave * torch.where(quiet, LEVEL / torch.where(quiet, power, 1.0).sqrt(), 1.0)


def pieces(samples: int) -> list[int]:
    """Give the frame at which each piece begins, at least one (`VoiceEncoder.compute_partial_slices`)."""
    frames = math.ceil((samples + 1) / HOP)
    starts = list(range(0, max(1, frames - PIECE + STEP + 1), STEP))
    covered = (samples - HOP * starts[-1]) / (HOP * PIECE)
    return starts[:-1] if covered < COVERED and len(starts) > 1 else starts


def load_encoder(path: Path) -> tuple[VoiceEncoder, float]:
    """Give the encoder with the wheel's weights, and the factor on cosines that it was trained with.

    The file is a pickle; it is read by torch with `weights_only`, which runs no code.

    Raises:
        MissingExtra: the file is damaged, or of another network.
    """
    encoder = VoiceEncoder()
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        factor = float(held["similarity_weight"])
        encoder.load_state_dict({key: held[key] for key in encoder.state_dict()})
    except (RuntimeError, KeyError, TypeError, EOFError, OSError, pickle.UnpicklingError) as reason:
        said = (str(reason).strip().splitlines() or [type(reason).__name__])[0]
        raise MissingExtra(
            f"{path} does not hold the encoder that is known here ({said:.150}); install the version that was tried: "
            f"pip install --no-deps {WHEEL}"
        ) from None
    return encoder.eval().requires_grad_(False), factor
