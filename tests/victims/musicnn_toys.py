"""A package of taggers as the wheel musicnn holds them, but with few filters and random weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.float32]]
MAGIC = 0xDB4775248B80FB57
TAGS = [f"tag {place}" for place in range(50)]
DATA = ".data-00000-of-00001"
RESTART = 4
"""Entries from one whole key of a block to the next."""


def toy_card(place: Path, model: str = "MTT_musicnn", **keys: Any) -> Path:
    """Write a toy package and a card of it."""
    write_checkpoint(place / "musicnn" / model, toy_tensors(model))
    tags = f"MTT_LABELS = {TAGS}\nMSD_LABELS = {TAGS[::-1]}\n"
    (place / "musicnn" / "configuration.py").write_text("SR = 16000\n# Output labels\n" + tags)
    values = {"sample_rate": 16000, "model": model, "folder": "musicnn"} | keys
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    (place / "card.toml").write_text('schema = 1\nkind = "musicnn"\n' + "\n".join(lines) + "\n")
    return place / "card.toml"


def toy_tensors(model: str, seed: int = 0) -> Tensors:
    """Give random tensors with the wheel's names; some normalisations turn their channel over."""
    dice = np.random.default_rng(seed)
    tensors: Tensors = {"beta1_power": np.float32(0.9).reshape(())}

    def norm(number: int, channels: int) -> None:
        name = "batch_normalization" + (f"_{number}" if number else "")
        signs = dice.choice([-1, 1], channels, p=[0.3, 0.7]) if number else 1
        tensors[f"{name}/gamma"] = (dice.uniform(0.5, 1.5, channels) * signs).astype(np.float32)
        tensors[f"{name}/beta"] = dice.normal(0, 0.3, channels).astype(np.float32)
        tensors[f"{name}/moving_mean"] = dice.normal(0.5, 0.3, channels).astype(np.float32)
        tensors[f"{name}/moving_variance"] = dice.uniform(0.5, 1.5, channels).astype(np.float32)

    def layer(name: str, *shape: int) -> None:
        spread = (2 / np.prod(shape[:-1])) ** 0.5
        tensors[f"{name}/kernel"] = dice.normal(0, spread, shape).astype(np.float32)
        tensors[f"{name}/bias"] = dice.normal(0, 0.1, shape[-1]).astype(np.float32)

    norm(0, 1)
    if model.endswith("vgg"):
        for number in range(1, 6):
            layer(f"{number}CNN", 3, 3, 4 if number > 1 else 1, 4)
            norm(number, 4)
        layer("dense", 8, 50)
        return tensors
    shapes = [(7, 38, 1, 4), (7, 67, 1, 4), (128, 1, 1, 2), (64, 1, 1, 2), (32, 1, 1, 2)]
    for number, shape in enumerate([*shapes, (7, 14, 1, 3), (7, 3, 1, 3), (7, 3, 1, 3)]):
        layer("conv2d" + (f"_{number}" if number else ""), *shape)
        norm(number + 1, shape[-1])
    norm(9, 46)
    layer("dense", 46, 8)
    norm(10, 8)
    layer("dense_1", 8, 50)
    return tensors


def write_checkpoint(folder: Path, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Write the two files of a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    entries, data = {b"": field(1, 1) + field(3, field(1, 1))}, b""
    for name in sorted(tensors):
        raw = tensors[name].astype("<f4").tobytes()
        shape = b"".join(field(2, field(1, size)) for size in tensors[name].shape)
        place = field(4, len(data)) + field(5, len(raw))
        entries[name.encode()] = field(1, 1) + field(2, shape) + place + b"\x35" + mask(plain_crc32c(raw))
        data += raw
    (folder / ".index").write_bytes(table(entries))
    (folder / DATA).write_bytes(data)


def table(entries: Mapping[bytes, bytes]) -> bytes:
    """Make a LevelDB table of one block of entries."""
    body = closed(block(entries))
    first = number(0) + number(len(body) - 5)
    nothing, top = closed(block({})), closed(block({max(entries): first}))
    middle = number(len(body)) + number(len(nothing) - 5)
    handles = middle + number(len(body) + len(nothing)) + number(len(top) - 5)
    return body + nothing + top + handles.ljust(40, b"\0") + MAGIC.to_bytes(8, "little")


def block(entries: Mapping[bytes, bytes]) -> bytes:
    raw, before, restarts = b"", b"", []
    for place, (key, value) in enumerate(entries.items()):
        shared = 0
        if place % RESTART:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        else:
            restarts.append(len(raw))
        raw += number(shared) + number(len(key) - shared) + number(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    return raw + b"".join(at.to_bytes(4, "little") for at in [*restarts, len(restarts)])


def closed(raw: bytes) -> bytes:
    """Put the form and the checksum behind a block."""
    return raw + b"\0" + mask(plain_crc32c(raw + b"\0"))


def field(name: int, value: int | bytes) -> bytes:
    """Make a protobuf field."""
    if isinstance(value, int):
        return number(name << 3) + number(value)
    return number(name << 3 | 2) + number(len(value)) + value


def number(value: int) -> bytes:
    """Make a varint."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)


def plain_crc32c(raw: bytes) -> int:
    """Compute a CRC-32C byte by byte."""
    crc = 0xFFFFFFFF
    for byte in raw:
        crc = STEP[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def mask(crc: int) -> bytes:
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def _step(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


STEP = [_step(byte) for byte in range(256)]
