"""Compose short phrases for the eleven instrument classes of IRMAS, and write them as Standard MIDI Files."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SECONDS = 8.0
"""How long a phrase plays: room for two excerpts of 3 s that do not overlap."""
TICKS = 480
"""MIDI ticks in a quarter note, which here always lasts one second: a tick is a 480th of a second."""

INSTRUMENTS: dict[str, dict[int, tuple[int, int]]] = {
    "cel": {42: (36, 76)},
    "cla": {71: (50, 89)},
    "flu": {73: (60, 94), 72: (74, 101), 74: (65, 91)},
    "gac": {24: (40, 79), 25: (40, 81)},
    "gel": {26: (40, 81), 27: (40, 84), 28: (40, 79), 29: (40, 84), 30: (40, 84)},
    "org": {16: (36, 84), 17: (36, 84), 18: (36, 84), 19: (36, 84), 20: (41, 84)},
    "pia": {0: (31, 96), 1: (31, 96), 2: (34, 91), 3: (36, 91)},
    "sax": {64: (56, 87), 65: (49, 80), 66: (44, 75), 67: (36, 68)},
    "tru": {56: (54, 84), 59: (55, 82)},
    "vio": {40: (55, 98), 110: (55, 93)},
    "voi": {52: (48, 79), 53: (48, 79), 54: (48, 77)},
}
"""For each class its General MIDI programs, counted from 0, and the lowest and highest MIDI note of each."""
CHORDAL = frozenset({"gac", "gel", "org", "pia"})
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9))
BACKINGS = (48, 49, 89, 46, 32, 33)
"""Strings, a warm pad, harp and two basses: none of the eleven classes."""
DRUM_CHANNEL = 9


@dataclass(frozen=True)
class Event:
    """Bytes of one MIDI message at a time in seconds."""

    seconds: float
    message: bytes


def variable_length(number: int) -> bytes:
    """Write a number as MIDI does: seven bits a byte, the high bit on all but the last."""
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(0x80 | (number & 0x7F))
    return bytes(reversed(out))


def midi_file(events: Sequence[Event], seconds: float) -> bytes:
    """Write a Standard MIDI File of format 0 that holds these messages and ends after `seconds`."""
    tempo = b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big")
    track, now = bytearray(tempo), 0
    for event in sorted(events, key=lambda e: (round(e.seconds * TICKS), e.message[0] & 0xF0 == 0x90)):
        tick = max(now, round(event.seconds * TICKS))
        track += variable_length(tick - now) + event.message
        now = tick
    track += variable_length(max(0, round(seconds * TICKS) - now)) + b"\xff\x2f\x00"
    return struct.pack(">4sIHHH", b"MThd", 6, 0, 1, TICKS) + struct.pack(">4sI", b"MTrk", len(track)) + bytes(track)


def note(channel: int, pitch: int, velocity: float, start: float, length: float) -> list[Event]:
    """Give the two messages of a note: on, and off."""
    loud = int(np.clip(round(velocity), 1, 127))
    on, off = bytes([0x90 | channel, pitch, loud]), bytes([0x80 | channel, pitch, 0])
    return [Event(start, on), Event(start + max(length, 0.03), off)]


def control(channel: int, number: int, value: float, at: float = 0.0) -> Event:
    """Give a control change."""
    return Event(at, bytes([0xB0 | channel, number, int(np.clip(round(value), 0, 127))]))


def scale_notes(low: int, high: int, root: int, scale: Sequence[int]) -> list[int]:
    """List the MIDI notes of a scale between two notes, both included."""
    return [pitch for pitch in range(low, high + 1) if (pitch - root) % 12 in scale]


def melody(dice: np.random.Generator, notes: Sequence[int], beat: float) -> list[Event]:
    """Walk over the notes by small steps, with long and short values and a swell."""
    events: list[Event] = []
    lengths = dice.choice([0.25, 0.5, 1.0, 2.0, 4.0], size=64, p=dice.dirichlet([1.0, 2.0, 2.0, 1.0, 0.5]))
    articulation, loud = dice.choice([0.4, 0.75, 0.95, 1.03]), dice.uniform(60, 112)
    place, now = int(dice.integers(len(notes) // 5, max(len(notes) * 4 // 5, len(notes) // 5 + 1))), 0.0
    for length in lengths:
        if now >= SECONDS:
            break
        seconds = float(length) * beat
        if dice.random() > 0.08:
            swell = 10 * np.sin(2 * np.pi * now / 5) + dice.normal(0, 5)
            events += note(0, notes[place], loud + swell, now, seconds * articulation)
        place = int(np.clip(place + dice.choice([-4, -2, -1, -1, 0, 1, 1, 2, 4]), 0, len(notes) - 1))
        now += seconds
    return events


def chords(dice: np.random.Generator, notes: Sequence[int], beat: float, channel: int, loud: float) -> list[Event]:
    """Play triads and sevenths of the scale, struck at once, strummed or broken."""
    events: list[Event] = []
    style = dice.choice(["struck", "strummed", "broken"])
    sparse = len(notes) < 12
    now = 0.0
    while now < SECONDS:
        low = int(dice.integers(0, max(1, len(notes) - (5 if sparse else 9))))
        degrees = [d for d in (0, 2, 4, int(dice.choice([6, 7]))) if low + d < len(notes)]
        length = float(dice.choice([1.0, 2.0, 4.0])) * beat
        for place, degree in enumerate(degrees):
            wait = {"struck": 0.0, "strummed": 0.018, "broken": length / len(degrees)}[str(style)] * place
            events += note(channel, notes[low + degree], loud + dice.normal(0, 6), now + wait, length * 0.95 - wait)
        now += length
    return events


def drums(dice: np.random.Generator, beat: float, loud: float) -> list[Event]:
    """Play kick, snare and hi-hat."""
    pattern = [(36, 0.0), (42, 0.5), (38, 1.0), (42, 1.5)]
    starts = np.arange(0.0, SECONDS, 2 * beat)
    return [
        event
        for bar in starts
        for drum, at in pattern
        for event in note(DRUM_CHANNEL, drum, loud + dice.normal(0, 6), float(bar) + at * beat, 0.1)
    ]


def compose(label: str, program: int, dice: np.random.Generator) -> tuple[Event, ...]:
    """Compose `SECONDS` of one instrument of a class, over a soft accompaniment as often as not."""
    low, high = INSTRUMENTS[label][program]
    root, scale = int(dice.integers(12)), SCALES[int(dice.integers(len(SCALES)))]
    notes, beat = scale_notes(low, high, root, scale), 60 / dice.uniform(60, 150)
    events = [Event(0.0, bytes([0xC0, program])), control(0, 91, dice.uniform(0, 100))]
    events += [control(0, 93, dice.uniform(0, 40)), control(0, 10, dice.uniform(32, 96))]
    if label not in CHORDAL:
        if dice.random() < 0.5:
            events.append(control(0, 1, dice.uniform(10, 60)))
        events += melody(dice, notes, beat)
    else:
        playing = dice.choice(["chords", "melody", "both"])
        if playing != "melody":
            events += chords(dice, notes[: max(12, len(notes) * 2 // 3)], beat, 0, dice.uniform(55, 100))
        if playing != "chords":
            events += melody(dice, notes[len(notes) // 4 :], beat)
    if dice.random() < 0.5:
        backing, soft = int(dice.choice(BACKINGS)), dice.uniform(25, 60)
        bass = backing in (32, 33)
        events += [Event(0.0, bytes([0xC1, backing])), control(1, 7, soft), control(1, 91, 60)]
        events += chords(dice, scale_notes(*((28, 50) if bass else (48, 76)), root, scale), beat, 1, 70)
    if dice.random() < 0.2:
        events += [control(DRUM_CHANNEL, 7, dice.uniform(20, 50)), *drums(dice, beat, 70)]
    return tuple(events)
