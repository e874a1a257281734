"""A server that is sent sounds over HTTP and answers scores, or only a label. Ask only servers that you may test.

`EXAMPLE` is a card with every key. A sound goes out as a mono WAV file at the card's rate; numbers and label are looked
for in the JSON that comes back. What a card takes from the environment, and what looks like a key, is shown nowhere: no
message, record or log holds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from subterfuge.errors import VictimError
from subterfuge.victim import Gives, Kind, Victim
from subterfuge.victims._answers import KINDS, asked_noise, checked, probabilities_of, scores_of
from subterfuge.victims._device import device_of
from subterfuge.victims._wav_file import wav_of
from subterfuge.victims.card import Card
from subterfuge.victims.http.ask import Asker, Meter
from subterfuge.victims.http.cache import Cache, Last, Said, Shape
from subterfuge.victims.http.card import EXAMPLE, GIVES, KEYS, Settings, settings_of
from subterfuge.victims.http.identity import kept_as
from subterfuge.victims.http.reading import understood
from subterfuge.victims.http.spreading import spread
from subterfuge.victims.http.store import Store
from subterfuge.victims.http.wire import Wire, is_here

__all__ = ["EXAMPLE", "KEYS", "HttpVictim", "load"]


@dataclass(frozen=True, eq=False)
class HttpVictim:
    """A server behind a URL; `load` makes one of a card."""

    name: str
    labels: tuple[str, ...]
    sample_rate: int
    fingerprint: str
    """Of the card. What the server answers with is not known."""
    settings: Settings = field(repr=False)
    asker: Asker = field(repr=False)
    cache: Cache | None = field(default=None, repr=False)
    """Answers that are known; without one every sound is asked again."""
    last: Last = field(default_factory=Last, repr=False)
    """What the last question was answered, where there is no cache."""
    twin: Victim | None = None
    no_twin: str | None = "it is reached over HTTP"
    warnings: tuple[str, ...] = ()
    card: Path | None = None
    """The card that it was loaded from, for the record."""

    @property
    def gives(self) -> Gives:
        """What it lets an attack see: scores, or labels."""
        return GIVES[self.settings.gives]

    @property
    def kind(self) -> Kind:
        """What `scores` are."""
        return KINDS[self.settings.output]

    @property
    def answers_most_probable(self) -> bool:
        """Whether `decide` is the largest of `probabilities`: not where the server says a label of its own."""
        return self.settings.label is None

    @property
    def jumps(self) -> bool:
        """Whether its decision need not follow from its scores."""
        return self.settings.label is not None

    @property
    def workers(self) -> int:
        """How many requests go out at once."""
        return self.settings.workers

    @property
    def at_once(self) -> int:
        """How many clips are worth asking at once."""
        return 4 * self.workers if self.workers > 1 else 1

    @property
    def probe_seconds(self) -> float:
        """A length of sound that it takes."""
        return self.settings.probe_seconds or 1.0

    @property
    def queries_left(self) -> int | None:
        """How many more sounds it may be asked about, or None for no bound; others may ask of the same file."""
        return self.asker.meter.left

    def spent(self) -> dict[str, Any]:
        """Give what it has cost since it was loaded, as plain JSON values.

        ``queries`` are requests that the server answered, each counted once whatever it took, ``cached`` answers that
        were known, ``retries`` further attempts; ``total`` is queries times ``price``, None where there is no price.
        """
        meter, price = self.asker.meter, self.settings.price
        return {
            "queries": meter.queries,
            "cached": meter.cached,
            "retries": meter.retries,
            "price": price,
            "total": None if price is None else round(price * meter.queries, 10),
            "currency": self.settings.currency,
        }

    def afresh(self) -> HttpVictim:
        """Give the same victim without its memory: it asks, and pays for, a sound that it knows as well."""
        return replace(self, cache=None, last=Last())

    def decide(self, wave: Tensor) -> Tensor:
        """Give the index of the label that it answers, or of its largest score, int64 (N,)."""
        if self.gives == Gives.SCORES and self.settings.label is None:
            return self._numbers(wave, "label").argmax(-1)
        return torch.tensor([said.place for said in self._said(wave, "label")], dtype=torch.int64)

    def scores(self, wave: Tensor) -> Tensor:
        """Give its numbers, float64 (N, K), or the logarithms or log-odds of those that are probabilities.

        Raises:
            VictimError: it gives labels only, could not be reached, or answered nonsense.
        """
        if self.gives == Gives.LABELS:
            raise VictimError(f"the victim {self.name} gives labels only, and scores were asked for")
        return scores_of(self._numbers(wave, "scores"), self.settings.output)

    def probabilities(self, wave: Tensor) -> Tensor | None:
        """Give probabilities (N, K), or None if it has none."""
        if self.gives == Gives.LABELS or self.settings.output == "decision values":
            return None
        return probabilities_of(self._numbers(wave, "probabilities"), self.settings.output)

    def answered(self, wave: Tensor) -> list[int]:
        """Say which of waves (N, T), of which it died, it had answered all the same; these it can be asked for free."""
        sounds = [sha256(file).hexdigest() for file in self._files(wave)]
        if self.cache is None:
            return self.last.kept.places(sounds)
        return [place for place, sound in enumerate(sounds) if self.cache.get(sound) is not None]

    def _numbers(self, wave: Tensor, view: str) -> Tensor:
        rows = [said.numbers for said in self._said(wave, view)]
        raw = torch.tensor(rows, dtype=torch.float64) if rows else torch.zeros(0, len(self.labels), dtype=torch.float64)
        return checked(raw, len(wave), self.labels, self.name)

    def _said(self, wave: Tensor, view: str) -> list[Said]:
        """Give what the server says of each row of waves (N, T); ask only about those that it was not asked about.

        Without a cache label, scores and probabilities of the same waves are one question; the same `view` is another.
        """
        files, cache = self._files(wave), self.cache
        sounds = [sha256(file).hexdigest() for file in files]
        if cache is None:
            heard = self.last.get(sounds, view)
            if heard is None:
                heard = self._heard(sounds, files)
                self.last.put(sounds, view, heard)
            else:
                self.asker.meter.remember(cached=len(heard))
            return heard
        known = {sound: said for sound in sounds if (said := cache.get(sound)) is not None}
        new = {sound: file for sound, file in zip(sounds, files, strict=True) if sound not in known}
        self.asker.meter.remember(cached=len(files) - len(new))

        def ask(sound: str) -> Said:
            said = self._ask(new[sound])
            cache.put(sound, said)
            return said

        known |= zip(new, spread(ask, list(new), self.workers), strict=True)
        return [known[sound] for sound in sounds]

    def _heard(self, sounds: list[str], files: list[bytes]) -> list[Said]:
        """Ask about each file; where it dies of one, keep the answers to the others."""
        answered: dict[str, Said] = {}

        def ask(place: int) -> Said:
            said = answered[sounds[place]] = self._ask(files[place])
            return said

        try:
            return spread(ask, range(len(files)), self.workers)
        except VictimError:
            self.last.kept.keep(answered)
            raise

    def _files(self, wave: Tensor) -> list[bytes]:
        rows = wave.detach().cpu().to(torch.float32).numpy()
        return [wav_of(row, self.sample_rate, self.settings.subtype) for row in rows]

    def _ask(self, file: bytes) -> Said:
        return self.asker.ask(
            self.settings.form.request(file), partial(understood, settings=self.settings, labels=self.labels)
        )


def load(card: Card, *, trust_pickle: bool = False, device: str = "cpu") -> HttpVictim:
    """Reach the server of a card of kind ``http``, and ask it about a second of noise, which is one query.

    Args:
        card: the card.
        trust_pickle: has no meaning here.
        device: must be there, and is not used: the server computes where it likes.

    Raises:
        CardError: a key that makes no sense, an environment variable that is not set, or a server that cannot be
            reached or does not answer the noise with what the card says.
        MissingExtra: requests is not installed.
        InputError: the device is not there.
    """
    device_of(device)
    settings = settings_of(card)
    shape = Shape(
        len(card.labels or ()), settings.gives == "scores", settings.gives == "labels" or settings.label is not None
    )
    try:
        wire = Wire(settings.url, settings.headers, settings.timeout_seconds, settings.workers)
        store = None if settings.cache_file is None else Store(settings.cache_file, card.name)
    except VictimError as reason:
        raise card.fail(str(reason)) from None
    meter = Meter(settings.most_queries, store)
    asker = Asker(
        wire,
        card.name,
        settings.shown,
        settings.url,
        settings.secrets,
        meter,
        settings.retries,
        settings.per_second,
    )
    cache = None
    if store is not None:
        cache = Cache(shape, store, kept_as(settings.request, settings.fingerprint, store.salt))
    elif settings.cache != "off":
        cache = Cache(shape)
    notes = ["it is asked over HTTP, which is for servers that you own or may test"]
    if settings.url.startswith("http:") and not is_here(settings.url):
        notes.append(f"{settings.shown} is no https address: sounds, and keys, go there unencrypted")
    known = card.name, card.labels or (), card.sample_rate, settings.fingerprint
    victim = HttpVictim(*known, settings, asker, cache, warnings=tuple(notes))
    if not settings.probe_seconds:
        return victim
    numbers = None if victim.gives == Gives.LABELS else lambda wave: victim._numbers(wave, "scores")
    doubt = asked_noise(card, settings.probe_seconds, settings.output, victim.decide, numbers, once=True)
    return victim if doubt is None else replace(victim, warnings=(*victim.warnings, doubt))
