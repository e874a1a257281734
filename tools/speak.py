"""Speak a text with one of espeak-ng's voices: speech that may be given away, for tests and measurements.

    python tools/speak.py "Good morning." --voice en-us+f3 --to morning.wav

A voice is a language of espeak-ng (en-us, en, de), with a variant behind a plus sign where another speaker is wanted
(f1 to f5, m1 to m8, and names such as Andrea and Alex). The file is a WAV of 22,050 Hz, 16 bits, mono; the same words
give the same file. A tool for developers: it needs the package `espeakng-loader`, which brings the shared library of
espeak-ng (GPL-3), and nothing of ours needs this file.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import subprocess
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SYNCHRONOUS, DONT_EXIT = 2, 0x8000
"""Of speak_lib.h: the callback gets the samples and nothing is played; a fault does not end the process."""
CHARACTERS, UTF8 = 1, 1
SPEED, VOLUME, PITCH = 1, 2, 3
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def speak(
    text: str, voice: str = "en-us", *, words_per_minute: int = 160, pitch: int = 50
) -> tuple[NDArray[np.float64], int]:
    """Give a text as speech, samples (T,) in [-1, 1], and their rate in Hz.

    It is spoken by a process of its own: espeak-ng goes on where its last sentence left it, so only the first that a
    process speaks is the same each time.

    Args:
        text: what to say.
        voice: a language, or language+variant.
        words_per_minute: 80 to 450.
        pitch: 0 to 100.

    Raises:
        ValueError: there is no such voice, or espeak-ng is not installed, or fails.
    """
    import numpy as np

    options = ["--voice", voice, "--words-per-minute", str(words_per_minute), "--pitch", str(pitch), "--to", "-"]
    done = subprocess.run([sys.executable, "-I", __file__, text, *options], capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip())
    with wave.open(io.BytesIO(done.stdout)) as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())
    return np.frombuffer(samples, "<i2") / 2.0**15, rate


def wav_of(text: str, voice: str, words_per_minute: int, pitch: int) -> bytes:
    """Give the bytes of a WAV file in which a text is spoken."""
    import espeakng_loader

    data = Path(espeakng_loader.get_data_path())
    lib = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = lib.espeak_Initialize(SYNCHRONOUS, 0, str(data).encode(), DONT_EXIT)
    if rate <= 0:
        raise OSError(f"espeak-ng does not start with its data at {data}: error {rate}")
    variant = voice.partition("+")[2]
    if variant and not (data / "voices" / "!v" / variant).is_file():  # it would speak without
        raise ValueError(f"espeak-ng has no variant {variant!r}; those in {data / 'voices' / '!v'} are known")
    if lib.espeak_SetVoiceByName(voice.encode()):
        raise ValueError(f"espeak-ng has no voice {voice!r}")
    lib.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    lib.espeak_ng_SetRandSeed(1)  # of a voice's breath and jitter; it would take the time of day
    for parameter, value in ((SPEED, words_per_minute), (PITCH, pitch), (VOLUME, 80)):
        lib.espeak_SetParameter(parameter, value, 0)
    pieces: list[bytes] = []

    @CALLBACK
    def take(samples: Any, count: int, events: int | None) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    lib.espeak_SetSynthCallback(take)
    lib.espeak_Synth.argtypes = [ctypes.c_char_p, ctypes.c_size_t, *4 * [ctypes.c_uint], *2 * [ctypes.c_void_p]]
    said = text.encode() + b"\0"
    fault = lib.espeak_Synth(said, len(said), 0, CHARACTERS, 0, UTF8, None, None) or lib.espeak_Synchronize()
    if fault or not pieces:
        raise OSError(f"espeak-ng says nothing of {text!r} (error {fault})")
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(b"".join(pieces))
    return whole.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--voice", default="en-us")
    parser.add_argument("--words-per-minute", type=int, default=160)
    parser.add_argument("--pitch", type=int, default=50)
    parser.add_argument("--to", required=True, help="a WAV file, or - for standard output")
    given = parser.parse_args()
    try:
        whole = wav_of(given.text, given.voice, given.words_per_minute, given.pitch)
    except (ImportError, OSError, ValueError) as reason:
        sys.exit(str(reason))
    if given.to == "-":
        sys.stdout.buffer.write(whole)
    else:
        Path(given.to).write_bytes(whole)


if __name__ == "__main__":
    main()
