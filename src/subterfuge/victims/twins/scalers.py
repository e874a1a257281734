"""The twins of feature transforms: standardising, stretching to a range, principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from subterfuge.victims.twins.twin import constant


@dataclass(frozen=True, eq=False)
class Standardise:
    """`sklearn.preprocessing.StandardScaler`: (x − mean) / scale."""

    n_features: int
    mean: Tensor | None
    scale: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """Standardise features (N, F)."""
        centred = x if self.mean is None else x - self.mean
        return centred if self.scale is None else centred / self.scale


@dataclass(frozen=True, eq=False)
class Stretch:
    """`sklearn.preprocessing.MinMaxScaler`: x · scale + shift, clipped to `within` if given.

    What is clipped has no gradient.
    """

    n_features: int
    scale: Tensor
    shift: Tensor
    within: tuple[float, float] | None

    def __call__(self, x: Tensor) -> Tensor:
        """Stretch features (N, F) to the range."""
        y = x * self.scale + self.shift
        return y if self.within is None else y.clamp(*self.within)


@dataclass(frozen=True, eq=False)
class Project:
    """`sklearn.decomposition.PCA`: (x − mean) · components, divided by their deviations where it whitens."""

    n_features: int
    mean: Tensor
    components: Tensor
    """(F, R)"""
    deviations: Tensor | None
    """(R,)"""

    def __call__(self, x: Tensor) -> Tensor:
        """Project features (N, F) onto R components."""
        y = (x - self.mean) @ self.components
        return y if self.deviations is None else y / self.deviations


def standardise(scaler: Any) -> Standardise:
    """Build the twin of a fitted StandardScaler."""
    mean = constant(scaler.mean_) if scaler.with_mean else None
    scale = constant(scaler.scale_) if scaler.with_std else None
    return Standardise(int(scaler.n_features_in_), mean, scale)


def stretch(scaler: Any) -> Stretch:
    """Build the twin of a fitted MinMaxScaler."""
    low, high = scaler.feature_range
    within = (float(low), float(high)) if scaler.clip else None
    return Stretch(int(scaler.n_features_in_), constant(scaler.scale_), constant(scaler.min_), within)


def project(pca: Any) -> Project:
    """Build the twin of a fitted PCA; deviations below one ulp are raised to it, as there."""
    ulp = torch.finfo(torch.float64).eps
    deviations = constant(pca.explained_variance_).sqrt().clamp(min=ulp) if pca.whiten else None
    return Project(int(pca.n_features_in_), constant(pca.mean_), constant(pca.components_).mT, deviations)
