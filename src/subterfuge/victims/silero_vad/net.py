"""The network of Silero VAD for 16 kHz, written anew in torch: waves to the log-odds of speech, frame by frame.

A frame is 512 samples after the 64 before them. A short-time Fourier transform (a convolution with fixed weights, 256
samples every 128, mirrored at the end), four convolutions with ReLU, an LSTM cell whose state is carried from frame to
frame, one more convolution. The wheel's own TorchScript file gives the sigmoids of these log-odds.

Source: the weights and the graph in the wheel silero-vad 6.2.3 (Silero Team, MIT, https://github.com/snakers4/silero-vad).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from subterfuge.dsp.level import root
from subterfuge.errors import MissingExtra

FRAME, CONTEXT, FILTER, HOP = 512, 64, 256, 128
"""Samples of a frame, those before it that are heard with it, and the transform's length and step."""
BINS = FILTER // 2 + 1
RATE = 16000
WHEEL = "silero-vad==6.2.3"
WEIGHTS = {
    "stft_conv.weight": "_model.stft.forward_basis_buffer",
    **{
        f"conv{place + 1}.{part}": f"_model.encoder.{place}.reparam_conv.{part}"
        for place in range(4)
        for part in ("weight", "bias")
    },
    **{f"lstm.{part}_l0": f"_model.decoder.rnn.{part}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    **{f"final_conv.{part}": f"_model.decoder.decoder.2.{part}" for part in ("weight", "bias")},
}
"""Where the program keeps each weight."""


class SileroNet(nn.Module):
    """Waves (N, T) to log-odds (N, F) of F = ceil(T / 512) frames; the last frame is filled up with zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * BINS, FILTER, stride=HOP, bias=False)
        self.conv1 = nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, wave: Tensor) -> Tensor:
        """Give the log-odds of speech in each frame."""
        rows, samples = wave.shape
        filled = pad(wave, (CONTEXT, -samples % FRAME))
        frames = filled.unfold(-1, CONTEXT + FRAME, FRAME).reshape(-1, 1, CONTEXT + FRAME)
        spectrum = self.stft_conv(pad(frames, (0, FILTER - HOP - CONTEXT), mode="reflect"))
        heard = root(spectrum[:, :BINS].square() + spectrum[:, BINS:].square())
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            heard = layer(heard).relu()
        carried, _ = self.lstm(heard.reshape(rows, -1, 128))
        odds: Tensor = self.final_conv(carried.relu().mT)[:, 0]
        return odds


def load_program(path: Path) -> torch.jit.ScriptModule:
    """Load the wheel's TorchScript program.

    Raises:
        MissingExtra: the file is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit.load itself
            program: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as reason:
        said = str(reason).strip().splitlines()[0]
        raise MissingExtra(
            f"{path} is damaged ({said:.150}); install it again: pip install --no-deps {WHEEL}"
        ) from None
    return program.eval()


def silero_of(program: nn.Module) -> SileroNet:
    """Give the network with the weights of the wheel's TorchScript program for 16 kHz.

    The safetensors file beside it is of another training: its answers differ by up to 0.84.

    Raises:
        MissingExtra: the program is of another network.
    """
    net = SileroNet()
    held = program.state_dict()
    try:
        net.load_state_dict({mine: held[theirs] for mine, theirs in WEIGHTS.items()})
    except (KeyError, RuntimeError) as reason:
        raise MissingExtra(
            f"the installed silero-vad holds another network than the one that is known here "
            f"({str(reason).splitlines()[0]}); install the version that was tried: pip install --no-deps {WHEEL}"
        ) from None
    return net.eval().requires_grad_(False)


def original_chances(program: torch.jit.ScriptModule, wave: Tensor) -> Tensor:
    """Give what the wheel's program answers to one wave (T,): the chance of speech in each frame, (F,).

    It is asked as its users ask it, one frame of 512 samples after the other.
    """
    frames = pad(wave, (0, -len(wave) % FRAME)).reshape(-1, 1, FRAME)
    with torch.no_grad():
        program.reset_states()
        return torch.cat([program(frame, RATE)[0] for frame in frames])
