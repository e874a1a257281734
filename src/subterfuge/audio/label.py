"""What a file's name says that it holds."""

from __future__ import annotations

import re

IRMAS = ("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi")
"""Codes of the 11 instruments of the IRMAS data set (Bosch, Janer, Fuhrmann, Herrera 2012)."""


def label_of(name: str) -> str | None:
    """Give the IRMAS code in the first brackets of a file's name, None without one.

    >>> label_of("065__[cel][nod][cla]0059__2.wav"), label_of("[nod][cel].wav"), label_of("cel.wav")
    ('cel', None, None)
    """
    found = re.search(r"\[([^\[\]]*)\]", name)
    return found[1] if found and found[1] in IRMAS else None
