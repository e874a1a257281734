from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subterfuge.errors import InputError
from subterfuge.training._datasets_irmas import CLASSES, read_name
from subterfuge.training._datasets_walk import recording_of
from subterfuge.training.datasets import LAYOUTS, check_labels_match, read_dataset
from subterfuge.training.examples import Dataset, Example

SHARED = Path(__file__).resolve().parents[3] / "shared"


def fill(folder: Path, *places: str, content: bytes | None = None) -> Path:
    """Make files that no one opens, each holding its own place if nothing else."""
    for place in places:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"RIFF {place}".encode(errors="surrogateescape") if content is None else content)
    return folder


def table(folder: Path, text: str, *places: str, encoding: str = "utf-8") -> Path:
    fill(folder, *places).mkdir(exist_ok=True)
    path = folder / "set.csv"
    path.write_bytes(text.encode(encoding))
    return path


def rows(data: Dataset) -> list[tuple[str, str, str]]:
    return [(one.path.name, one.label, one.group) for one in data.examples]


# --- names as in IRMAS


@pytest.mark.parametrize(
    ("stem", "label", "group", "about"),
    [
        ("[cel][nod][cla]0059__2", "cel", "[cel]0059", {"drums": "no", "genre": "cla", "excerpt": "2"}),
        ("065__[cel][nod][cla]0059__2", "cel", "[cel]0059", {"drums": "no", "genre": "cla", "excerpt": "2"}),
        ("001__[gel][dru][pop_roc]0829__1", "gel", "[gel]0829", {"drums": "yes", "genre": "pop_roc", "excerpt": "1"}),
        ("[tru][cla]1954__3", "tru", "[tru]1954", {"genre": "cla", "excerpt": "3"}),
        ("[voi][pop_roc]2353__3", "voi", "[voi]2353", {"genre": "pop_roc", "excerpt": "3"}),
        ("[cel][fluidr3]1000__1", "cel", "[cel][fluidr3]1000", {"source": "fluidr3", "excerpt": "1"}),
    ],
)
def test_a_name_tells_class_recording_drums_genre_and_excerpt(
    stem: str, label: str, group: str, about: dict[str, str]
) -> None:
    name = read_name(stem)
    assert name is not None
    assert (name.label, name.group, dict(name.about)) == (label, group, about)


@pytest.mark.parametrize("stem", ["[cel]0059", "cel0059__1", "[dog][cla]0001__1", "02 - And The Body Will Die-8", ""])
def test_another_name_is_no_name_of_a_training_clip(stem: str) -> None:
    assert read_name(stem) is None


@given(
    st.sampled_from(sorted(CLASSES)),
    st.sampled_from(["", "[dru]", "[nod]"]),
    st.sampled_from(["[cla]", "[pop_roc]", "[jaz_blu]"]),
    st.integers(0, 9999),
    st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["", "008__", "130__"])), min_size=2, max_size=2),
)
def test_excerpts_of_one_number_and_class_are_one_recording_whatever_else_their_names_say(
    label: str, drums: str, genre: str, number: int, excerpts: list[tuple[int, str]]
) -> None:
    names = [read_name(f"{before}[{label}]{drums}{genre}{number:04d}__{excerpt}") for excerpt, before in excerpts]
    others = [read_name(f"[{label}]{drums}{genre}{number + 1:04d}__1"), read_name("[voi][nod][cla]0001__1")]
    assert names[0] is not None
    assert names[1] is not None
    assert names[0].group == names[1].group
    assert all(other is not None and other.group != names[0].group for other in others[:1])


# --- layouts


def irmas(folder: Path) -> Path:
    return fill(
        folder,
        "cel/065__[cel][nod][cla]0059__2.wav",
        "cel/[cel][nod][cla]0059__1.wav",
        "cel/[cel][cla]0001__1.wav",
        "tru/[tru][cla]1954__3.wav",
        "voi/[voi][pop_roc]2353__3.flac",
    )


def test_training_clips_are_told_by_their_names_and_come_in_order(tmp_path: Path) -> None:
    data = read_dataset(irmas(tmp_path))
    assert "IRMAS training" in data.name
    assert rows(data) == [
        ("065__[cel][nod][cla]0059__2.wav", "cel", "[cel]0059"),
        ("[cel][cla]0001__1.wav", "cel", "[cel]0001"),
        ("[cel][nod][cla]0059__1.wav", "cel", "[cel]0059"),
        ("[tru][cla]1954__3.wav", "tru", "[tru]1954"),
        ("[voi][pop_roc]2353__3.flac", "voi", "[voi]2353"),
    ]
    assert data.groups == {"cel": 2, "tru": 1, "voi": 1}
    assert data.skipped == ()


def test_a_folder_with_all_of_irmas_gives_the_training_clips_or_if_asked_the_test_clips(tmp_path: Path) -> None:
    irmas(tmp_path / "IRMAS-TrainingData")
    fill(tmp_path, "IRMAS-TestingData-Part1/Part1/Song-7.wav", "IRMAS-TestingData-Part2/x/Song-8.wav")
    fill(tmp_path, "IRMAS-TestingData-Part1/Part1/Song-7.txt", content=b"gel\t\nvoi\t\n")
    fill(tmp_path, "IRMAS-TestingData-Part2/x/Song-8.txt", content=b"pia\n")
    assert len(read_dataset(tmp_path)) == 5
    data = read_dataset(tmp_path, layout="irmas-test")
    assert rows(data) == [("Song-7.wav", "gel", "Song"), ("Song-8.wav", "pia", "Song")]
    assert [one.labels for one in data.examples] == [("gel", "voi"), ("pia",)]


def test_a_training_clip_in_the_folder_of_another_class_is_left_out_and_told(tmp_path: Path) -> None:
    irmas(tmp_path)
    fill(tmp_path, "tru/[flu][cla]0393__1.wav")
    data = read_dataset(tmp_path, layout="irmas")
    assert len(data) == 5
    assert "its name says flu, and its folder tru" in data.skipped[0]


def test_a_test_clip_needs_a_text_with_labels_that_irmas_has(tmp_path: Path) -> None:
    fill(tmp_path, "a-1.wav", "b-1.wav", "c-1.wav", "d-1.wav")
    fill(tmp_path, "a-1.txt", content=b"\xef\xbb\xbfgel\t\r\nvoi\t\r\ngel\t\r\n")
    fill(tmp_path, "b-1.txt", content=b"dog\n")
    fill(tmp_path, "c-1.txt", content=b" \n")
    data = read_dataset(tmp_path)
    assert "IRMAS test" in data.name
    assert [one.labels for one in data.examples] == [("gel", "voi")]
    assert [re.sub(r".*/", "", told) for told in data.skipped] == [
        "b-1.wav: b-1.txt names 'dog', which is no class of IRMAS (" + " ".join(CLASSES) + ").",
        "c-1.wav: c-1.txt names no label.",
        "d-1.wav: no text of labels beside it (d-1.txt).",
    ]


def test_sounds_with_other_texts_beside_them_are_no_test_clips(tmp_path: Path) -> None:
    fill(tmp_path, "yes/a.wav", "no/b.wav")
    fill(tmp_path, "yes/a.txt", "no/b.txt", content=b"He said so.")
    assert read_dataset(tmp_path).labels == ("no", "yes")


def test_any_folder_of_folders_is_read_as_classes_and_excerpts_as_one_recording(tmp_path: Path) -> None:
    fill(tmp_path, "dog/rex__1.wav", "dog/rex__2.wav", "dog/rex-3.ogg", "cat/tom_001.mp3", "cat/tom_002.mp3")
    data = read_dataset(tmp_path)
    assert "a folder for each class" in data.name
    assert rows(data) == [
        ("tom_001.mp3", "cat", "cat/tom_001"),
        ("tom_002.mp3", "cat", "cat/tom_002"),
        ("rex-3.ogg", "dog", "dog/rex"),
        ("rex__1.wav", "dog", "dog/rex"),
        ("rex__2.wav", "dog", "dog/rex"),
    ]


def test_folders_below_a_class_are_parts_of_the_recordings_names(tmp_path: Path) -> None:
    fill(tmp_path, "dog/kennel/audio.wav", "dog/yard/audio.wav", "cat/audio.wav")
    assert [one.group for one in read_dataset(tmp_path).examples] == [
        "cat/audio",
        "dog/kennel/audio",
        "dog/yard/audio",
    ]


def test_a_lone_folder_of_folders_as_archives_unpack_is_gone_down_into(tmp_path: Path) -> None:
    fill(tmp_path, "set-1.0/audio/dog/a.wav", "set-1.0/audio/cat/b.wav")
    assert read_dataset(tmp_path).labels == ("cat", "dog")


@given(st.text("ab01_-. ", min_size=1, max_size=12))
def test_a_recording_keeps_a_name_and_never_depends_on_a_further_excerpt_number(stem: str) -> None:
    group = recording_of(f"{stem}x.wav")
    assert group
    assert recording_of(f"{stem}x__1.wav") == recording_of(f"{stem}x-2.wav") == recording_of(f"{stem}x_03.wav") == group


def test_sounds_of_one_name_in_folders_of_two_classes_are_two_recordings(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{label}/{number:03d}.wav" for label in ("cel", "gel", "pia", "vio") for number in range(10)))
    data = read_dataset(tmp_path)
    assert len({one.group for one in data.examples}) == 40
    fill(tmp_path, *(f"{label}/[vio][cla]0001__{k}.wav" for label in ("cel", "vio") for k in (1, 2)))
    named = [one.group for one in read_dataset(tmp_path, layout="folders").examples if "[" in one.path.name]
    assert named == ["[vio]0001"] * 4, "a name as in IRMAS says the recording itself"
    assert len({one.group for one in read_dataset(tmp_path, group=r"\w+\.wav$").examples}) == 12


def test_files_that_hold_the_same_bytes_are_one_recording_with_all_excerpts_of_both(tmp_path: Path) -> None:
    fill(tmp_path, "cat/tom__1.wav", "cat/tom__2.wav", "cat/kit__1.wav", "dog/rex.wav", "dog/bob.wav")
    fill(tmp_path, "cat/tom__3.wav", "cat/kit__2.wav", "dog/zoe.wav", content=bytes(9000))
    fill(tmp_path, "cat/other.wav", content=b"1" + bytes(8999))
    data = read_dataset(tmp_path)
    groups = {str(one.path.relative_to(tmp_path)): one.group for one in data.examples}
    assert {name for name, group in groups.items() if group == groups["dog/zoe.wav"]} == {
        "cat/tom__1.wav", "cat/tom__2.wav", "cat/tom__3.wav", "cat/kit__1.wav", "cat/kit__2.wav", "dog/zoe.wav",
    }  # fmt: skip
    assert len(set(groups.values())) == 4
    (note,) = data.notes
    assert "2 files hold the same bytes as another" in note
    assert "1 of them stands under several labels" in note
    path = table(tmp_path, "path,label,group\ncat/tom__3.wav,cat,a\ndog/zoe.wav,cat,b\n")
    assert [one.group for one in read_dataset(path).examples] == ["a", "a"], "whatever a table says"


def test_no_file_is_opened_but_those_of_one_size_and_none_read_whole_that_differs_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    truly = Path.open
    fill(tmp_path, "a/1.wav", content=b"1" * 9000)
    fill(tmp_path, "a/2.wav", content=b"2" * 9000)
    fill(tmp_path, "b/3.wav", content=b"3" * 9001)
    monkeypatch.setattr(Path, "open", lambda self, *how: opened.append(self.name) or truly(self, *how))
    assert read_dataset(tmp_path).notes == ()
    assert opened == ["1.wav", "2.wav"]


def test_names_that_differ_in_a_counter_only_are_noted_with_what_to_give(tmp_path: Path) -> None:
    places = [f"{label}/{song}_{number:03d}.wav" for label in ("cel", "vio") for song in "xy" for number in range(3)]
    (note,) = read_dataset(fill(tmp_path / "a", *places)).notes
    assert "each of the 12 sounds is taken for a recording of its own" in note
    assert "x_000.wav, x_001.wav" in note
    pattern = note.partition("--group '")[2].rstrip("'")
    asked = read_dataset(tmp_path / "a", group=pattern)
    assert (asked.notes, sorted({one.group for one in asked.examples})) == ((), ["cel/x", "cel/y", "vio/x", "vio/y"])
    path = table(tmp_path / "a", "path,label\n" + "".join(f"{place},{place[:3]}\n" for place in places))
    assert read_dataset(path).notes == (note,)
    rows_ = "".join(f"{place},{place[:3]},{k}\n" for k, place in enumerate(places))
    assert read_dataset(table(tmp_path / "a", f"path,label,group\n{rows_}")).notes == (), "a table has said it"
    assert read_dataset(fill(tmp_path / "b", "cel/one.wav", "cel/two.wav", "vio/001.wav", "vio/002.wav")).notes == ()
    assert read_dataset(fill(tmp_path / "c", *places, "vio/z-1.wav", "vio/z-2.wav")).notes == (), "one is of several"


def test_a_pattern_of_ones_own_says_what_a_recording_is(tmp_path: Path) -> None:
    fill(tmp_path, "dog/1-100032-A-0.wav", "dog/1-100032-B-0.wav", "cat/2-77-A-5.wav")
    data = read_dataset(tmp_path, group=r"\d-(\d+)-")
    assert [one.group for one in data.examples] == ["77", "100032", "100032"]
    assert [one.group for one in read_dataset(tmp_path, group=r"^\w+").examples] == ["cat", "dog", "dog"]
    with pytest.raises(InputError, match=r"finds nothing in 'cat/2-77-A-5\.wav'"):
        read_dataset(tmp_path, group=r"1-(\d+)-")
    with pytest.raises(InputError, match="no regular expression"):
        read_dataset(tmp_path, group="(")


def test_the_embedded_set_is_eleven_clips_of_eleven_recordings() -> None:
    data = read_dataset("embedded")
    assert data.labels == tuple(CLASSES)
    assert data.groups == dict.fromkeys(CLASSES, 1)
    assert data.examples[0].group == "[cel][fluidr3]1002"


# --- what lies about


def test_hidden_files_and_files_of_other_kinds_are_not_even_mentioned(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "dog/a.wav",
        "dog/._a.wav",
        "dog/.b.wav",
        "dog/notes.txt",
        ".git/x.wav",
        "__MACOSX/dog/._a.wav",
        "c.png",
    )
    data = read_dataset(tmp_path)
    assert rows(data) == [("a.wav", "dog", "dog/a")]
    assert data.skipped == ()


def test_what_looks_like_a_sound_and_is_left_out_is_named_with_its_reason(tmp_path: Path) -> None:
    fill(tmp_path, "dog/a.wav", "dog/b.m4a", "loose.wav")
    fill(tmp_path, "dog/c.flac", content=b"")
    (tmp_path / "dog" / "d.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "cat").mkdir()
    data = read_dataset(tmp_path)
    assert rows(data) == [("a.wav", "dog", "dog/a")]
    told = " ".join(data.skipped)
    for place, why in [
        ("dog/b.m4a", ".m4a is not read"),
        ("dog/c.flac", "an empty file"),
        ("dog/d.wav", "leads nowhere"),
        ("loose.wav", "in no folder of a class"),
        ("cat", "without a sound in it"),
    ]:
        assert re.search(f"{re.escape(place)}: [^:]*{re.escape(why)}", told), place
    assert len(data.skipped) == 5
    assert all(one.endswith(".") for one in data.skipped)


def test_an_empty_class_of_irmas_is_told(tmp_path: Path) -> None:
    (irmas(tmp_path) / "org").mkdir()
    assert ["org: a folder of a class without a sound" in told for told in read_dataset(tmp_path).skipped] == [True]


def test_a_class_with_one_recording_is_read_and_counted(tmp_path: Path) -> None:
    fill(tmp_path, "dog/a__1.wav", "dog/a__2.wav", "cat/b.wav", "cat/c.wav")
    assert read_dataset(tmp_path).groups == {"cat": 2, "dog": 1}


def test_a_link_that_leads_back_up_is_not_walked_for_ever(tmp_path: Path) -> None:
    fill(tmp_path, "dog/a.wav", "cat/b.wav")
    (tmp_path / "dog" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(read_dataset(tmp_path)) == 2


def test_a_class_may_be_a_link_to_a_folder_elsewhere(tmp_path: Path) -> None:
    fill(tmp_path, "set/dog/a.wav", "else/b.wav")
    (tmp_path / "set" / "cat").symlink_to(tmp_path / "else", target_is_directory=True)
    assert read_dataset(tmp_path / "set").labels == ("cat", "dog")


def test_ten_thousand_files_of_different_sizes_are_read_without_opening_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = fill(tmp_path, "one.bin") / "one.bin"
    for label in ("cel", "tru"):
        (tmp_path / label).mkdir()
        for number in range(5000):
            (tmp_path / label / f"[{label}][cla]{number // 3:04d}__{number % 3}.wav").hardlink_to(one)
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("a file was opened"))
    sizes = iter(range(10**6))
    monkeypatch.setattr("subterfuge.training._datasets_same._size", lambda _: next(sizes))
    data = read_dataset(tmp_path)
    assert len(data) == 10_000
    assert [one.path for one in data.examples] == sorted(one.path for one in data.examples)


# --- tables


def test_a_table_of_paths_labels_groups_and_more_is_read_in_its_order(tmp_path: Path) -> None:
    text = "path,label,group,also,font\nb.wav,tru,r2,flu|vio,x\na.wav,cel,r1,,\n"
    data = read_dataset(table(tmp_path, text, "a.wav", "b.wav"))
    assert data.examples == (
        Example(tmp_path / "b.wav", "tru", "r2", ("flu", "vio"), (("font", "x"),)),
        Example(tmp_path / "a.wav", "cel", "r1"),
    )


@pytest.mark.parametrize("between", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_come_as_spreadsheets_write_them(between: str, encoding: str, tmp_path: Path) -> None:
    text = f'Label {between} PATH\r\n"ré{between}e"{between}x/a__1.wav\r\n\r\ncel{between}x\\b.wav\r\n'
    data = read_dataset(table(tmp_path, text, "x/a__1.wav", "x/b.wav", encoding=encoding))
    assert [(one.path, one.label, one.group) for one in data.examples] == [
        (tmp_path / "x" / "a__1.wav", f"ré{between}e", "x/a"),
        (tmp_path / "x" / "b.wav", "cel", "x/b"),
    ]


def test_without_a_column_of_recordings_names_as_in_irmas_tell_them(tmp_path: Path) -> None:
    place = "cel/065__[cel][nod][cla]0059__2.wav"
    assert read_dataset(table(tmp_path, f"path,label\n{place},cel\n", place)).examples[0].group == "[cel]0059"


def test_absolute_paths_in_a_table_stay(tmp_path: Path) -> None:
    sound = fill(tmp_path / "far", "a.wav") / "a.wav"
    path = table(tmp_path / "near", f"path,label\n{sound},cel\n")
    assert read_dataset(path).examples[0].path == sound
    assert read_dataset(path, group="far").examples[0].group == "far"


def test_sounds_of_a_table_that_are_not_there_are_left_out_and_told(tmp_path: Path) -> None:
    data = read_dataset(table(tmp_path, "path,label\na.wav,cel\ngone.wav,cel\n", "a.wav"))
    assert len(data) == 1
    assert data.skipped == (f"{tmp_path / 'set.csv'}, line 3: {tmp_path / 'gone.wav'} is not there.",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names the columns none"),
        ("path\na.wav\n", "label is missing"),
        ("sound,label\na.wav,cel\n", "path is missing"),
        ("path,label,groop\na.wav,cel,1\n", "did you mean 'group' by 'groop'"),
        ("path,lable\na.wav,cel\n", "did you mean 'label' by 'lable'"),
        ("path,label,label\na.wav,cel,cel\n", "'label' more than once"),
        ("path,label\na.wav,cel,tru\n", "line 2: 3 fields.*2 columns.*quotation marks"),
        ("path,label\na.wav,\n", "line 2: no label"),
        ("path,label\n,cel\n", "line 2: no path"),
        ("path,label,group\na.wav,cel,\n", "line 2: no group"),
        ("path,label\na.wav,cel\nb.wav,cel\n./a.wav,cel\n", r"line 4: \./a\.wav stands in line 2 already;"),
        ("path,label\na.wav,cel\na.wav,tru\n", "line 3: .*as cel and as tru.*column also"),
        ("path,label\nx.wav,cel\n", "no sound was found.*1 were left out.*x.wav is not there"),
        ("path,label\n", "no sound was found"),
    ],
)
def test_a_table_with_a_mistake_is_refused_with_its_line(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=complaint):
        read_dataset(table(tmp_path, text, "a.wav", "b.wav"))


def test_a_table_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not in UTF-8"):
        read_dataset(table(tmp_path, "path,label\nré.wav,cel\n", encoding="latin-1"))


# --- what is no set


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("absent", "is not there; a folder of sounds, a table"),
        ("absent.csv", "is not there"),
        ("one.wav", "is one sound; a folder of sounds"),
        ("notes.txt", "is a file; a folder of sounds"),
        ("IRMAS-TrainingData.zip", "is an archive; unpack it first .*subterfuge data irmas --from"),
        ("empty", "no sound was found"),
        ("flat", r"no sound was found.*1 were left out.*in no folder of a class"),
        ("sides", "test, train, which are sides of a split and no classes; name one of them"),
        ("nul\0byte", "is not there"),
    ],
)
def test_what_is_no_set_is_refused_in_one_paragraph(place: str, complaint: str, tmp_path: Path) -> None:
    fill(tmp_path, "one.wav", "notes.txt", "IRMAS-TrainingData.zip", "flat/a.wav", "sides/train/dog/a.wav")
    fill(tmp_path, "sides/test/dog/b.wav")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=complaint):
        read_dataset(f"{tmp_path}/{place}")


def test_an_unknown_layout_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean folders"):
        read_dataset(tmp_path, layout="folder")
    with pytest.raises(InputError, match="layout csv asks for a table"):
        read_dataset(tmp_path, layout="csv")
    with pytest.raises(InputError, match="the word embedded"):
        read_dataset(tmp_path, layout="embedded")
    assert set(LAYOUTS) == {"irmas", "irmas-test", "folders", "csv", "embedded"}


# --- against a card


def test_labels_that_a_victim_does_not_know_are_named_on_both_sides() -> None:
    data = Dataset("set", tuple(Example(Path(f"{label}.wav"), label, label) for label in ("cel", "Flu", "tru")))
    with pytest.raises(InputError, match=r"does not know Flu \(did you mean flu.*no sound of flu, voi"):
        check_labels_match(data, ["cel", "flu", "tru", "voi"])
    check_labels_match(data, ["cel", "Flu", "tru", "voi"])
    with pytest.raises(InputError, match="set has no sound of voi"):
        check_labels_match(data, ["cel", "Flu", "tru", "voi"], all_needed=True)
    check_labels_match(data, ["tru", "Flu", "cel"], all_needed=True)


# --- real files


@pytest.fixture
def samples() -> Path:
    place = SHARED / "irmas-samples"
    if not place.is_dir():
        pytest.skip(f"no real files of IRMAS at {place}")
    return place


def test_a_real_test_clip_is_read_with_both_of_its_labels(samples: Path) -> None:
    (example,) = read_dataset(samples, layout="irmas-test").examples
    assert (example.labels, example.group) == (("gel", "voi"), "02 - And The Body Will Die")


def test_a_real_training_clip_is_read(samples: Path) -> None:
    (example,) = read_dataset(samples, layout="irmas").examples
    assert (example.label, example.group, dict(example.about)["genre"]) == ("cla", "[cla]0189", "cla")


def test_the_clips_of_the_study_are_four_recordings(seed_study: Path) -> None:
    data = read_dataset(seed_study / "clips")
    assert [one.group for one in data.examples] == ["[flu]0393", "[cel]0059", "[tru]1954", "[voi]2353"]
