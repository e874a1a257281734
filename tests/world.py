"""A small world to attack: short sounds, victims that hear three bands, the command line caught."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from subterfuge.cli import cli, guarded

LABELS = ("low", "middle", "high")
RATE = 8000
QUICK = (
    "--attack",
    "quietest",
    "-o",
    "starts=inf",
    "-o",
    "even=0",
    "-o",
    "climb=100",
    "-o",
    "resort=1",
    "-o",
    "race=20,20",
    "-o",
    "keep=1",
    "--control",
    "0",
)
"""Knobs with which an attack on `BANDS` takes a tenth of a second."""

CODE = '''
"""Victims that say in which of three bands a sound is loudest."""

import time

import numpy as np
import torch

EDGES_HZ = (100, 1000, 2000, 3400)


class Bands(torch.nn.Module):
    """The logarithm of the power of each band, at 8 kHz; after `dies_after` calls it goes wrong."""

    def __init__(self, dies_after=10**9, dies="", sleeps=0.0):
        super().__init__()
        self.calls, self.dies_after, self.dies, self.sleeps = 0, dies_after, dies, sleeps

    def forward(self, wave):
        self.calls += 1
        if self.sleeps and self.calls > 3:
            time.sleep(self.sleeps)
        power = torch.fft.rfft(wave).abs().square() / wave.shape[-1]
        hz = torch.fft.rfftfreq(wave.shape[-1], 1 / 8000)
        bands = [power[:, (hz >= a) & (hz < b)].sum(-1) for a, b in zip(EDGES_HZ, EDGES_HZ[1:])]
        scores = 4 * (torch.stack(bands, -1) + 1e-9).log()
        if self.calls > self.dies_after:
            if self.dies == "raises":
                raise RuntimeError("the bands broke")
            return scores * float("nan")
        return scores


def bands(**knobs):
    return Bands(**knobs)


def scores(wave):
    with torch.no_grad():
        return Bands()(torch.from_numpy(wave)[None])[0].numpy()


def label(wave):
    return ("low", "middle", "high")[int(np.argmax(scores(wave)))]
'''

CARDS = {
    "bands": 'kind = "torch"\nmodule = "bands.py:bands"\n',
    "uncertain": 'kind = "torch"\nmodule = "bands.py:bands"\noutput = "decision values"\n',
    "raises": 'kind = "torch"\nmodule = "bands.py:bands"\narguments = { dies_after = 15, dies = "raises" }\n',
    "nan": 'kind = "torch"\nmodule = "bands.py:bands"\narguments = { dies_after = 15, dies = "nan" }\n',
    "slow": 'kind = "torch"\nmodule = "bands.py:bands"\narguments = { sleeps = 0.05 }\n',
    "scores": 'kind = "python"\nfunction = "bands.py:scores"\n',
    "label": 'kind = "python"\nfunction = "bands.py:label"\ngives = "labels"\n',
}
"""Cards by name, without what they share."""
COMMON = 'schema = 1\nsample_rate = 8000\nlabels = ["low", "middle", "high"]\n'


def card(folder: Path, name: str = "bands", *, more: str = "") -> Path:
    """Write a card of `CARDS`, and the code that it names, into a folder; give its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bands.py").write_text(CODE, encoding="utf-8")
    path = folder / f"{name}.toml"
    path.write_text(COMMON + CARDS[name] + more, encoding="utf-8")
    return path


def sound(rate: int = RATE, channels: int = 1, seconds: float = 0.4, *, seed: int = 0) -> NDArray[np.float64]:
    """Give a sound (T, C) that is loudest in the low band, by a decibel or two; each channel has its own phases."""
    die = np.random.default_rng(seed)
    t = np.arange(round(rate * seconds))[:, None] / rate
    tones = sum(
        level * np.sin(2 * np.pi * hz * t + die.uniform(0, 0.7, channels))
        for level, hz in ((0.20, 500), (0.175, 1500), (0.165, 2600))
    )
    wave: NDArray[np.float64] = tones + 0.002 * die.normal(size=(len(t), channels))
    return wave


def clip(path: Path, rate: int = RATE, channels: int = 1, subtype: str | None = None, **about: Any) -> Path:
    """Write such a sound, in the container that the path's ending names."""
    soundfile.write(path, sound(rate, channels, **about), rate, subtype=subtype)
    return path


@dataclass(frozen=True)
class Said:
    """What a command did: its exit code and what it wrote."""

    code: int
    out: str
    err: str


class Stream(io.StringIO):
    """What a command writes to."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def run(*words: object, terminal: bool = False) -> Said:
    """Run the command line in this process, as `main` does, with its streams caught, one of errors as a terminal."""
    out, err = Stream(False), Stream(terminal)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code: Any = guarded(lambda: cli.main([str(word) for word in words], standalone_mode=False))
        except SystemExit as end:
            code = end.code or 0
    return Said(code, out.getvalue(), err.getvalue())


def tree(folder: Path) -> dict[str, bytes | None]:
    """Give every path below a folder, hidden ones too, with the content of each file."""
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def program(*words: object) -> list[str]:
    """Give the command line as a program of its own, for `subprocess`."""
    return [sys.executable, "-c", "from subterfuge.cli import main; main()", *(str(word) for word in words)]
