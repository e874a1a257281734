"""What noise and an attack did beside each other, in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from subterfuge.driver.controls_figures import ENOUGH, Draws


def _drift_text(kinds: Mapping[str, Draws], drift: Sequence[str], landed: str) -> str:
    """Say toward what noise drifts: all of it, or, where the kinds differ, each of them."""
    all_of = {frozenset(kind.drift) for kind in kinds.values()}
    if all_of == {frozenset()}:
        return "Noise of no kind drifts toward any class."
    if len(all_of) == 1:
        tail = ", which the victim says of the file" if landed in drift[:1] else ""
        return f"Noise drifts toward {_listed(drift)}{tail}."
    said = "; ".join(f"{name} toward {_listed(kind.drift)}" for name, kind in kinds.items())
    there = sum(landed in kind.drift for kind in kinds.values())
    too = f" The victim says {landed} of the file, and {there} of {len(kinds)} kinds of noise lean there too."
    return f"Noise drifts by its kind: {said}.{too if there else ''}"


def _listed(names: Sequence[str]) -> str:
    *most, last = names or ["no class"]
    return f"{', '.join(most)} and {last}" if most else last


def verdict_of(
    does: bool | None, rise: float, measure: str, kinds: Mapping[str, Draws], drift: Sequence[str], landed: str
) -> str:
    """Say whether an attack does something, how noise does beside it, and toward what noise drifts."""
    name, best = max(kinds.items(), key=lambda item: item[1].chance)
    as_good = f"{best.as_good} of {best.draws} draws"
    if does is None:
        said = f"too few draws to tell: {ENOUGH} or more of each kind are needed. So far "
        said += f"{name} of the same loudness does as much in {as_good}"
    elif does:
        said = f"does something: the {measure} rises by {rise:.3g}, and noise of the same loudness does as much in "
        said += f"{as_good} at the most"
        often, hits = max((kind.hits / kind.draws, kind.hits) for kind in kinds.values())
        if often >= 0.5:
            said += f", though {hits} of {best.draws} meet the goal too"
        most = max(kind.rise.mean for kind in kinds.values())
        if 0 < most < rise:
            said += f"; {100 * most / rise:.0f} % of the rise is what noise does anyway"
    else:
        said = f"no more than noise: {name} of the same loudness does as much in {as_good}"
    return f"{said}. {_drift_text(kinds, drift, landed)}"
