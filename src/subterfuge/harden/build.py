"""From a victim and a defence to the defended victim: taught anew, wrapped, or both, with a card of its own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from subterfuge.audio.place import put
from subterfuge.campaign.pool import victim_of
from subterfuge.dsp.recipes import RECIPES
from subterfuge.errors import InputError, MissingExtra, SubterfugeError
from subterfuge.harden.adversarial import adversary, hard_features
from subterfuge.harden.contents import Contents
from subterfuge.harden.defences import SURVIVES, Defence
from subterfuge.harden.memory import Memory, key_of
from subterfuge.harden.refit import fitted_like
from subterfuge.training.cnn import MelNet, train_cnn
from subterfuge.training.examples import Dataset
from subterfuge.training.families import Fitted, fit
from subterfuge.training.saving import Places, save
from subterfuge.training.tables import Table, feature_table
from subterfuge.transforms import parse_transforms
from subterfuge.victim import Victim
from subterfuge.victims import _wrap_sounds as sounds
from subterfuge.victims.sklearn import SklearnVictim
from subterfuge.victims.torch_module import TorchVictim

ROUNDS = 2
"""Of adversarial training: in each, what was taught so far is attacked, and what comes of it is taught too."""
HARD_PART, MOST_HARD = 1 / 3, 600
"""How many of the training clips are attacked in each round, as a part and at most. Twice as many of them as clean ones
cost an SVC 18 points of clean accuracy; two fifths as many cost it none. Between these nothing was measured."""
ENSEMBLE = ("svc", "dense", "boosting")
"""Families of an ensemble."""
DRAWS, TWIN_DRAWS = 16, 4
"""Noisy versions that vote on a smoothed victim, and how many of them its twin's gradients go through."""


@dataclass(frozen=True)
class Workshop:
    """Where victims are built: what they are taught with, and where they go."""

    data: Dataset
    train: tuple[int, ...]
    """Places of the examples that may be learned."""
    out: Path
    seed: int = 0
    jobs: int = 1
    cache: Path | None = None
    trust_pickle: bool = False
    epochs: int | None = None
    tell: Callable[[str, int, int], None] = lambda _, __, ___: None
    """Told what is being done, and how much of how much is."""
    notes: list[str] = field(default_factory=list)
    """What a user should know: files that were skipped, and the like."""

    def table(self, recipe: str, sample_rate: int, through: str = "", augment: str = "") -> Table:
        """Describe the training clips."""
        found = feature_table(
            self.data.only(list(self.train)),
            recipe=recipe,
            sample_rate=sample_rate,
            through=through,
            augment=augment,
            seed=self.seed,
            cache=self.cache,
            jobs=self.jobs,
            progress=partial(self.tell, "features"),
            announce=self.notes.append,
        )
        self.notes.extend(one for one in found.skipped if one not in self.notes)
        return found


def can_train(victim: Victim) -> bool:
    """Say whether a victim of this kind can be taught anew: scikit-learn's on a recipe, and our own network."""
    return isinstance(victim, SklearnVictim) or _is_cnn(victim)


def _is_cnn(victim: Victim) -> bool:
    return isinstance(victim, TorchVictim) and isinstance(victim.module, MelNet)


def undefended(victim: Victim, shop: Workshop) -> Path:
    """Teach a victim of the same kind and settings the training clips, and nothing else; give its card."""
    return _taught(victim, Defence("undefended"), shop, "undefended")


def check_possible(victim: Victim, defence: Defence) -> None:
    """Refuse a defence that a victim cannot have, before any work.

    Raises:
        InputError: it needs a training that this kind of victim cannot have, or a transform cannot be done at its rate.
        MissingExtra: a transform needs a package that is not installed.
    """
    if defence.through:
        try:
            sounds.transforms_of(defence.through, "through", victim.sample_rate)
        except MissingExtra:
            raise
        except InputError as reason:
            raise InputError(
                f"the defence {defence.name} cannot be worn by {victim.name}, which hears at {victim.sample_rate} Hz: "
                f"{reason}"
            ) from None
    if defence.trains and not can_train(victim):
        raise InputError(
            f"the defence {defence.name} teaches the victim anew, and {victim.name} (a {type(victim).__name__}) cannot "
            "be: only scikit-learn models on a features recipe and our own network can. It can wear transforms, smooth "
            "and detector"
        )


def defended(victim: Victim, base: Path, defence: Defence, shop: Workshop) -> Path:
    """Build a defence around a victim, and give its card.

    What the defence's training and front end ask for is taught anew where the victim can be; else the victim as it is
    is wrapped.

    Raises:
        InputError: the defence needs a training that this kind of victim cannot have.
    """
    check_possible(victim, defence)
    name = defence.name.replace("/", "-")
    wrapped = defence.detector or defence.smooth_sd is not None
    taught = f"{name}.base" if wrapped else name
    if defence.ensemble:
        inner = _ensemble(victim, defence, shop, taught)
    elif can_train(victim) and (defence.trains or defence.through or defence.smooth_sd is not None):
        inner = _taught(victim, defence, shop, taught)
    elif defence.through:
        inner = _wrap(
            shop, taught, "through", victim.sample_rate, {"victim": _beside(base, shop), "through": defence.through}
        )
    else:
        inner = base
    if defence.smooth_sd is not None:
        last = f"{name}.smooth" if defence.detector else name
        values = {"victim": _beside(inner, shop), "sd": defence.smooth_sd, "draws": DRAWS, "twin_draws": TWIN_DRAWS}
        inner = _wrap(shop, last, "smoothed", victim.sample_rate, values)
    if defence.detector:
        survives = _possible(SURVIVES, victim.sample_rate)
        inner = _wrap(
            shop, name, "detector", victim.sample_rate, {"victim": _beside(inner, shop), "survives": survives}
        )
    return inner


def built(victim: Victim, base: Path, defence: Defence | None, shop: Workshop, memory: Memory) -> Path:
    """Build a defence (None: the undefended victim), or give the card that an earlier call built from the same.

    The same are the victims, the settings, and where anything is taught the clips: names, labels and what they hold.
    """
    learned = [shop.data.examples[place] for place in shop.train] if can_train(victim) else []
    contents = Contents(shop.out)
    held = contents.of_all(one.path for one in learned)
    contents.keep()
    key = key_of(
        "built",
        (ROUNDS, HARD_PART, MOST_HARD, ENSEMBLE, DRAWS, TWIN_DRAWS, SURVIVES),
        victim.fingerprint,
        victim_of(base, shop.trust_pickle).fingerprint,
        defence,
        shop.seed,
        shop.epochs,
        held,
        *((one.path.name, one.label, one.group) for one in learned),
    )
    known = memory.get(key)
    if known is not None:
        card = shop.out.absolute() / str(known["card"])
        with contextlib.suppress(SubterfugeError):  # what was built is damaged: build it again
            if card.is_file() and victim_of(card, shop.trust_pickle).fingerprint == known["fingerprint"]:
                return card
    card = (undefended(victim, shop) if defence is None else defended(victim, base, defence, shop)).absolute()
    if card.parent == shop.out.absolute():
        made = victim_of(card, shop.trust_pickle).fingerprint
        memory.keep(key, {"card": card.name, "fingerprint": made})
    return card


def _taught(victim: Victim, defence: Defence, shop: Workshop, name: str) -> Path:
    augment = defence.augment
    if defence.smooth_sd is not None:
        augment = ",".join(part for part in (augment, f"gauss={defence.smooth_sd:.10g}") if part)
    if isinstance(victim, TorchVictim) and isinstance(victim.module, MelNet):
        return _network(victim.module, defence, augment, shop, name)
    assert isinstance(victim, SklearnVictim)
    recipe = next(key for key, value in RECIPES.items() if value is victim.recipe)
    through = _front(victim, defence)
    table = shop.table(recipe, victim.sample_rate, through, augment)
    learn = partial(fitted_like, victim, seed=shop.seed, notes=shop.notes)
    saved = partial(_saved, shop=shop, name=name, sample_rate=victim.sample_rate, recipe=recipe, through=through,
                    defence=defence)  # fmt: skip
    fits = 1 + (ROUNDS if defence.adversarial_db else 0)
    shop.tell(f"{defence.name}: fitting", 0, fits)
    card = saved(learn(table))
    for round_ in range(ROUNDS if defence.adversarial_db else 0):
        dice = np.random.default_rng([shop.seed, round_])
        most = max(1, min(MOST_HARD, round(HARD_PART * len(shop.train))))
        places = sorted(dice.permutation(shop.train)[:most].tolist())
        x, y, groups = hard_features(
            card,
            shop.data,
            places,
            partial(_heard, recipe, through, defence.smooth_sd, shop.seed + round_),
            strengths_db=defence.adversarial_db,
            seed=shop.seed + round_,
            jobs=shop.jobs,
            progress=partial(shop.tell, f"{defence.name}: round {round_ + 1} of {ROUNDS}"),
        )
        names = np.array([f"hard {round_} {place}" for place in range(len(x))])
        table = replace(
            table,
            X=np.concatenate([table.X, x]),
            y=np.concatenate([table.y, y]),
            groups=np.concatenate([table.groups, groups]),
            names=np.concatenate([table.names, names]),
        )
        shop.tell(f"{defence.name}: fitting", round_ + 1, fits)
        card = saved(learn(table))
    return card


def _front(victim: Victim, defence: Defence) -> str:
    """Name the transforms that every sound passes: the filter that the victim has already, and the defence's."""
    own = isinstance(victim, SklearnVictim) and victim.before is not None and "denoise" not in defence.through
    return ",".join(part for part in ("denoise" if own else "", defence.through) if part)


def _heard(recipe: str, through: str, smooth_sd: float | None, seed: int, waves: Tensor, sample_rate: int) -> Tensor:
    """Describe waves (N, T) as a table does: through the real transforms, with noise where it will be smoothed."""
    heard = waves
    if smooth_sd is not None:
        noise = [torch.randn(waves.shape[-1], generator=die) for die in sounds.dice_of(waves, f"hard/{seed}")]
        heard = heard + smooth_sd * torch.stack(noise)
    if through:
        passes = parse_transforms(through)
        heard = torch.stack(sounds.heard(sounds.plain(heard), passes, sample_rate, "in training", f"hard/{seed}"))
    return RECIPES[recipe].twin(heard, sample_rate)


def _network(net: MelNet, defence: Defence, augment: str, shop: Workshop, name: str) -> Path:
    trained = train_cnn(
        shop.data,
        shop.train,
        (),
        through=defence.through,
        augment=augment,
        seed=shop.seed,
        epochs=shop.epochs,
        progress=partial(shop.tell, f"{defence.name}: training"),
        adversarial=adversary(defence.adversarial_db) if defence.adversarial_db else None,
        sample_rate=net.sample_rate,
        mels=net.mels,
        widths=net.widths,
    )
    shop.notes.extend(one for one in (*trained.skipped, *trained.notes) if one not in shop.notes)
    return _saved(trained, shop, name, net.sample_rate, "", defence.through, defence)


def _saved(
    trained: Any, shop: Workshop, name: str, sample_rate: int, recipe: str, through: str, defence: Defence
) -> Path:
    places = Places.of(shop.out, name, network=not isinstance(trained, Fitted), through=through)
    held = sorted({one.group for one in shop.data.examples} - {shop.data.examples[place].group for place in shop.train})
    return save(
        trained,
        places,
        sample_rate=sample_rate,
        recipe=recipe,
        through=through,
        about=(f"Defence: {defence.name}. Taught {len(shop.train)} clips of {shop.data.name}.",),
        record={
            "dataset": shop.data.name,
            "data": {
                "name": shop.data.name,
                "sounds": len(shop.data),
                "names_sha256": shop.data.names_sha256,
                "skipped": list(shop.data.skipped),
            },
            "clips": len(shop.train),
            "held_out": held,
            "seed": shop.seed,
        },
        force=True,
    )


def _ensemble(victim: Victim, defence: Defence, shop: Workshop, name: str) -> Path:
    recipe, rate, through = "librosa-mean-25", victim.sample_rate, _front(victim, defence)
    table = shop.table(recipe, rate, through, defence.augment)
    members = []
    for done, family in enumerate(ENSEMBLE):
        shop.tell(f"{defence.name}: fitting", done, len(ENSEMBLE))
        fitted = fit(family, table, seed=shop.seed)
        members.append(_saved(fitted, shop, f"{name}.{family}", rate, recipe, through, defence))
    return _wrap(shop, name, "ensemble", rate, {"members": [_beside(one, shop) for one in members]})


def _wrap(shop: Workshop, name: str, kind: str, sample_rate: int, values: dict[str, Any]) -> Path:
    card = shop.out / f"{name}.toml"
    lines = ["schema = 1", f"kind = {json.dumps(kind)}", f"name = {json.dumps(name)}", f"sample_rate = {sample_rate}"]
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    put(("\n".join(lines) + "\n").encode(), card, check=lambda _: None)
    return card


def _beside(card: Path, shop: Workshop) -> str:
    """Name a card as one beside it does."""
    import os

    return os.path.relpath(card.resolve(), shop.out.resolve())


def _possible(words: str, sample_rate: int) -> str:
    """Keep those transforms of a list that can be done at a rate."""
    quiet: NDArray[np.float32] = np.zeros((1, sample_rate), np.float32)
    return ",".join(one.name for one in parse_transforms(words) if one.why_not(quiet, sample_rate) is None)
