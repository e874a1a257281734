"""The checksum CRC-32C, many bytes at once in numpy.

A CRC is linear: that of a message is the CRC of its first part, pushed through as many zero bytes as the second part
has, plus (xor) that of the second part begun at 0. So a long message is cut into equal lanes that are computed side by
side, and then joined. Castagnoli's polynomial (RFC 3720, appendix B.4), and the mask that LevelDB puts over it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78
"""Bits reversed."""
LANES = 4096
MASK = 0xA282EAD8


def masked_crc32c(raw: bytes) -> int:
    """Give the CRC-32C, turned by 15 bits and moved, as checkpoints and LevelDB store it."""
    crc = crc32c(raw)
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def crc32c(raw: bytes) -> int:
    """Give the CRC-32C of bytes.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    state = 0xFFFFFFFF
    steps = len(raw) // (2 * LANES)  # of two bytes in each lane
    whole = steps * 2 * LANES
    if steps:
        words = np.frombuffer(raw, dtype="<u2", count=steps * LANES).reshape(LANES, steps).T.copy()
        table, lanes = _table(), np.zeros(LANES, dtype=np.uint32)
        for word in words:
            lanes = table[(lanes ^ word) & 0xFFFF] ^ (lanes >> np.uint32(16))
        past = _zeros(2 * steps)
        for lane in lanes.tolist():
            state = _through(past, state) ^ lane
    single = _bytes_table()
    for byte in raw[whole:]:
        state = single[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


@lru_cache(maxsize=1)
def _bytes_table() -> list[int]:
    """What a byte becomes after eight shifts."""
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ POLYNOMIAL * (value & 1) for value in table]
    return table


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint32]:
    """What two bytes become after sixteen shifts."""
    table = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(16):
        table = (table >> np.uint32(1)) ^ (np.uint32(POLYNOMIAL) * (table & np.uint32(1)))
    return table


@lru_cache(maxsize=16)
def _zeros(count: int) -> tuple[int, ...]:
    """What each single bit of a state becomes as `count` zero bytes pass: the columns of a matrix over GF(2)."""
    table = _bytes_table()
    power = tuple(table[(1 << bit) & 0xFF] ^ (1 << bit) >> 8 for bit in range(32))
    result = tuple(1 << bit for bit in range(32))
    while count:
        if count & 1:
            result = tuple(_through(power, column) for column in result)
        power = tuple(_through(power, column) for column in power)
        count >>= 1
    return result


def _through(columns: tuple[int, ...], state: int) -> int:
    """Multiply a state by a matrix over GF(2)."""
    product = 0
    for column in columns:
        if state & 1:
            product ^= column
        state >>= 1
    return product
