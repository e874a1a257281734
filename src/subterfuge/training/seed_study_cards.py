"""The victim cards of the original study's three models."""

from __future__ import annotations

CARD = """\
# {title}
# From the public repository R2bEEaton/sonic-subterfuge. {accuracy} right on its own test split, which
# flatters: excerpts of one recording stand on both sides of it.

# The version of this file's format.
schema = 1
# A scikit-learn model that hears through averaged features.
kind = "sklearn"
# What outcomes and reports call this victim.
name = "{name}"
# The answers, in the order of the model's classes 0..10.
labels = ["cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi"]
# The rate, in Hz, at which the victim hears; clips are mixed to mono and resampled to it.
sample_rate = 44100
# Means over librosa's frames of rms, spectral centroid, bandwidth, roll-off (0.85), zero-crossing rate and of
# 20 MFCC.
features = "librosa-mean-25"
# The fitted SVC (rbf, C = 10.78, gamma = 0.1), relative to this file. It is a pickle of scikit-learn 1.3.2,
# and a pickle runs code when it is loaded: load it only because you trust where it came from.
# `subterfuge data seed-study` checked its SHA-256 on arrival.
model = "models/{model}"
# The StandardScaler between features and model; a joblib pickle, of which the same is true.
scaler = "models/{scaler}"
"""
DENOISE = """\
# What is done to each sound before its features, at training and at scoring: noisereduce.reduce_noise with
# its default settings. Needs the extra `denoise`.
preprocess = "noisereduce"
"""


def cards() -> dict[str, tuple[str, tuple[str, str]]]:
    """Give for each card's file name its text and the two files that it points to, below its folder."""
    rows = [
        ("tuned", "", "The study's victim: trained on clean IRMAS clips.", "68.5 %"),
        ("noisy", "_noisy", "Its first defence: 30 % of the training clips with white noise.", "53.8 %"),
        ("denoise", "_denoise", "Its second defence: every clip denoised, in training and in use.", "61.1 %"),
    ]
    out = {}
    for name, suffix, title, accuracy in rows:
        model, scaler = f"their_tuned_model{suffix}.pkl", f"std_scaler{suffix}.bin"
        text = CARD.format(title=title, accuracy=accuracy, name=name, model=model, scaler=scaler)
        out[f"{name}.toml"] = (
            text + (DENOISE if name == "denoise" else ""),
            (f"models/{model}", f"models/{scaler}"),
        )
    return out
