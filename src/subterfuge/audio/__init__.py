"""The only reader and writer of sound files.

>>> import numpy as np
>>> clip = Clip.of(0.5 * np.sin(np.arange(4410) / 10), 44100)
>>> clip.mono(22050).shape, clip.output_suffix()
((2205,), '.wav')
"""

from subterfuge.audio.clip import Clip
from subterfuge.audio.hear import hear
from subterfuge.audio.label import IRMAS, label_of
from subterfuge.audio.reading import MAX_CHANNELS, MAX_SECONDS, MIN_SAMPLES

__all__ = ["IRMAS", "MAX_CHANNELS", "MAX_SECONDS", "MIN_SAMPLES", "Clip", "hear", "label_of"]
