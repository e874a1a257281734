"""Defences as a user says them: every word means one thing, and what makes no sense is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subterfuge.errors import InputError
from subterfuge.harden.adversarial import STRENGTHS_DB
from subterfuge.harden.defences import SD, SURVIVES, Defence, parse_defence, parse_defences
from subterfuge.training.augment import AUGMENTS, parse_augments
from subterfuge.transforms import TRANSFORMS, parse_transforms


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("noise-study", "augment", "noise-study"),
        ("noise", "augment", "noise"),
        ("gauss=0.02", "augment", "gauss=0.02"),
        ("noise=40", "through", "noise=40"),
        ("denoise", "through", "denoise"),
        ("mp3=128", "through", "mp3=128"),
        ("lowpass=4000+mp3=64", "through", "lowpass=4000,mp3=64"),
        ("adversarial", "adversarial_db", STRENGTHS_DB),
        ("adversarial=40/30", "adversarial_db", (40.0, 30.0)),
        (f"smooth={SD}", "smooth_sd", SD),
        ("smooth=0.01", "smooth_sd", 0.01),
        ("ensemble", "ensemble", True),
        ("detector", "detector", True),
    ],
)
def test_each_word_sets_one_thing_and_leaves_the_rest(text: str, field: str, value: object) -> None:
    found = parse_defence(text)
    assert found == Defence(**{"name": text, field: value})  # type: ignore[arg-type]
    assert found.trains == (field in ("augment", "adversarial_db", "ensemble"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mp3", "mp3=128"),
        ("lowpass=4000.0", "lowpass=4000"),
        (" lowpass = 4e3 + smooth", f"lowpass=4000+smooth={SD}"),
        ("smooth=0.0020", "smooth=0.002"),
        ("adversarial=" + "/".join(map(str, STRENGTHS_DB)), "adversarial"),
        ("adversarial=40.0/3e1", "adversarial=40/30"),
        ("noise=3", "noise=3"),
        ("gauss", "gauss=0.01"),
        ("adversarial+smooth=0.002", "adversarial+smooth=0.002"),
    ],
)
def test_what_is_said_in_other_spellings_is_one_defence_of_one_name(text: str, name: str) -> None:
    found = parse_defence(text)
    assert found.name == name
    assert parse_defence(name) == found
    if text != name:
        with pytest.raises(InputError, match="is there twice"):
            parse_defences(f"{text},{name}")


@pytest.mark.parametrize("word", [*TRANSFORMS, *AUGMENTS])
def test_every_transform_and_augmentation_is_a_defence(word: str) -> None:
    found = parse_defence(word)
    assert bool(found.augment) == (word in AUGMENTS)
    assert bool(found.through) == (word not in AUGMENTS)


parts = st.fixed_dictionaries(
    {
        "noise-study": st.just("noise-study"),
        "lowpass": st.integers(1000, 8000).map(lambda hz: f"lowpass={hz}"),
        "mp3": st.sampled_from(["mp3", "mp3=64"]),
        "requantise": st.integers(4, 12).map(lambda bits: f"requantise={bits}"),
        "adversarial": st.lists(st.integers(-19, 120), max_size=2).map(
            lambda dbs: "adversarial" + ("=" + "/".join(map(str, dbs)) if dbs else "")
        ),
        "smooth": st.sampled_from(["smooth", "smooth=0.1", "smooth=1"]),
        "detector": st.just("detector"),
    }
)


@given(parts, st.data())
def test_what_is_joined_is_each_part_and_its_name_says_it_again(words: dict[str, str], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(sorted(words)), min_size=1, max_size=5, unique=True))
    text = "+".join(words[word] for word in chosen)
    found = parse_defence(text)
    assert parse_defence(found.name) == found
    assert parse_defences(f" {text} , ensemble") == (found, parse_defence("ensemble"))
    alone = [parse_defence(words[word]) for word in chosen]
    assert found.through.split(",") == ([one.through for one in alone if one.through] or [""])
    assert found.augment == "".join(one.augment for one in alone)
    assert found.adversarial_db == sum((one.adversarial_db for one in alone), ())
    assert found.smooth_sd == next((one.smooth_sd for one in alone if one.smooth_sd is not None), None)
    assert found.detector == any(one.detector for one in alone)
    if found.through:
        assert ",".join(one.name for one in parse_transforms(found.through)) == found.through
    assert ",".join(one.name for one in parse_augments(found.augment)) == found.augment


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("denoize", "'denoize' is not known; did you mean denoise"),
        ("", "an empty word is not known"),
        ("mp3+", "an empty word is not known"),
        ("mp3+mp3", "says mp3 twice"),
        ("mp3+mp3=128", "says mp3 twice"),
        ("noise+noise", "says noise twice"),
        ("gauss=0.1+gauss=0.2", "gauss"),
        ("smooth+smooth=0.1", "says smooth twice"),
        ("smooth=0", "smooth=0: a number above 0 and up to 1"),
        ("smooth=2", "smooth=2: a number above 0 and up to 1"),
        ("smooth=", "an empty value of smooth: a number above 0 and up to 1"),
        ("smooth=loud", "smooth=loud: a number"),
        ("smooth=nan", "smooth=nan: a number"),
        ("adversarial=40/", "an empty value of adversarial: a number above -20 and up to 120"),
        ("adversarial=", "an empty value of adversarial: a number above -20 and up to 120"),
        ("adversarial=/", "'adversarial=/': an empty value of adversarial: a number above -20 and up to 120"),
        ("adversarial=inf", "adversarial=inf: a number"),
        ("ensemble=3", "ensemble takes no value"),
        ("detector=mp3", "detector takes no value"),
        ("ensemble+smooth", "an ensemble is joined by augmentations and transforms only"),
        ("ensemble+adversarial", "an ensemble is joined by"),
        ("gauss+smooth=0.01", "leave gauss out"),
        ("mp3=lots", "a number was expected"),
        ("mp3,mp3", "mp3=128 is there twice"),
        ("lowpass=4000,lowpass=4000.0", "lowpass=4000 is there twice"),
        ("mp3,", "an empty word is not known"),
        ("+".join(f"lowpass={1000 + place}" for place in range(20)), "cannot name files"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_word_and_what_was_expected(text: str, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        parse_defences(text)


def test_what_a_detector_asks_an_answer_to_survive_is_a_list_of_transforms() -> None:
    assert ",".join(one.name for one in parse_transforms(SURVIVES)) == SURVIVES
