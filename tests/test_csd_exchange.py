"""Computational sequences in and out: real MOSI joined, what is wrong in the wild repaired, the real SDK as a reader."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mimdata.pipeline.corpora.csd import CsdCorpus, counted_in_words, entries_of, sort_files
from mimdata.pipeline.csd_export import export_csd, sequences_of
from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.errors import ClipError, MimdataError
from mimdata.pipeline.extractors.csd import CsdExtractor, modality_of
from mimdata.pipeline.formats import sdk
from mimdata.pipeline.formats.csd import TimedFeatures, read_csd, write_csd
from mimdata.pipeline.media import Media
from mimdata.pipeline.records import Clip, Problem, Reason, Track
from mimdata.pipeline.steps import Resources
from mimdata.pipeline.store.folder import Folder
from tests.command import Command
from tests.workflows.little import little


def clips(root: Path) -> tuple[dict[str, Clip], list[Problem]]:
    items = list(CsdCorpus().clips(root))
    return {c.clip_id: c for c in items if isinstance(c, Clip)}, [p for p in items if isinstance(p, Problem)]


def test_mosi_words_and_labels_are_joined(shared_data: Path) -> None:
    """Against the published join, which had the transcripts."""
    root = shared_data / "mosi"
    files = sort_files(root)
    assert counted_in_words(files, entries_of(files))
    found, problems = clips(root)
    assert (len(found), len(problems)) == (2197, 2)
    by_start = {(c.video_id, k): c for c in found.values() for k in [c.segment]}
    equal = right = total = 0
    for line in (root / "segments_words.jsonl").read_text().splitlines():
        segment = json.loads(line)
        k = segment["seg"] - 1  # published numbers count from 1
        expected = [word["w"] for word in segment["words"]]
        clip = by_start.get((segment["video"], k))
        words = clip.text.split() if clip else []
        equal += words == expected
        right += (Counter(words) & Counter(expected)).total()
        total += len(expected)
        if clip is not None:
            assert clip.sentiment == pytest.approx(segment["label"], abs=1e-5)
            assert clip.split == segment["split"]
    assert (equal, right, total) == (1938, 27_433, 27_549)
    assert sum(len(c.text.split()) for c in found.values()) == 27_642


def words_csd(root: Path, **videos: list[tuple[str, float, float]]) -> None:
    write_csd(root / "Words.csd", "words", ((v, entry(w)) for v, w in videos.items()))


def entry(words: list[tuple[str, float, float]]) -> TimedFeatures:
    times = np.array([[a, b] for _, a, b in words], np.float64).reshape(-1, 2)
    return TimedFeatures(times, np.array([[w.encode()] for w, _, _ in words], object).reshape(-1, 1))


def labels_csd(root: Path, **videos: list[tuple[float, float, float]]) -> None:
    made = (
        (
            v,
            TimedFeatures(
                np.array([[a, b] for a, b, _ in rows]), np.array([[s] for *_, s in rows], np.float32)
            ),
        )
        for v, rows in videos.items()
    )
    write_csd(root / "Labels.csd", "Labels", made)


SPOKEN = [
    ("sp", 0.0, 0.4),
    ("it", 0.4, 0.6),
    ("was", 0.6, 0.9),
    ("sp", 0.9, 1.2),
    ("good", 1.2, 1.6),
    ("", 1.6, 1.9),
]


def test_words_fall_into_segments_by_their_middle(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN, b=SPOKEN)
    labels_csd(tmp_path, a=[(0.05, 1.0, 1.5), (1.05, 1.95, -2.0)], c=[(0.0, 1.0, 0.0)])
    found, problems = clips(tmp_path)
    assert {name: clip.text for name, clip in found.items()} == {"a[0]": "it was", "a[1]": "good"}
    clip = found["a[0]"]
    assert clip.words is not None
    assert (clip.start, clip.sentiment, clip.words[1].start) == (0.4, 1.5, pytest.approx(0.2))
    assert [problem.cause for problem in problems] == ["video without words"]
    assert [p.cause for p in CsdCorpus().check(tmp_path)] == ["video without labels"]


def test_words_out_of_order_and_without_length_are_put_right(tmp_path: Path) -> None:
    words_csd(tmp_path, a=[("good", 1.2, 1.6), ("never", 1.1, 0.8), ("it", 0.4, 0.6), ("nan", np.nan, 1.0)])
    labels_csd(tmp_path, a=[(0.33, 1.7, 1.0)])
    assert clips(tmp_path)[0]["a[0]"].text == "it good"


COUNTED = [(f"w{i}", float(i), i + 1.0) for i in range(12)]  # labels on word boundaries, one word too early


@pytest.mark.parametrize("harm", ["none", "nan", "negative", "out of order"])
def test_words_are_counted_in_order_of_time_whatever_stands_between_them(tmp_path: Path, harm: str) -> None:
    words = list(COUNTED)
    if harm == "nan":
        words.insert(4, ("nan", np.nan, 4.5))
    elif harm == "negative":
        words.insert(4, ("back", 4.9, 4.1))
    elif harm == "out of order":
        words = words[6:] + words[:6]
    words_csd(tmp_path, a=words)
    labels_csd(tmp_path, a=[(0.0, 3.0, 1.0), (4.0, 8.0, -1.0), (np.nan, 9.0, 0.5)])
    found, problems = clips(tmp_path)
    assert {name: clip.text for name, clip in found.items()} == {"a[0]": "w1 w2 w3", "a[1]": "w5 w6 w7 w8"}
    assert [(p.cause, p.clip_id) for p in problems] == [("no words", "a[2]")]


def test_words_of_no_length_are_left_out(tmp_path: Path) -> None:
    words_csd(tmp_path, a=[("it", 0.4, 0.6), ("um", 0.7, 0.7), ("good", 1.2, 1.6)])
    labels_csd(tmp_path, a=[(0.33, 1.7, 1.0)])
    assert clips(tmp_path)[0]["a[0]"].text == "it good"


def test_emotions_go_by_the_names_of_their_columns(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN)
    values = np.array([[0.5, 3.0, np.nan, 1.0]], np.float32)
    names = {"dimension names": ["sentiment", "anger", "disgust", "happy"]}
    write_csd(
        tmp_path / "Labels.csd", "Labels", [("a", TimedFeatures(np.array([[0.05, 1.0]]), values))], names
    )
    clip = clips(tmp_path)[0]["a[0]"]
    assert (clip.sentiment, clip.emotions) == (0.5, {"anger": 3.0, "happy": 1.0})


def test_sentiments_of_single_modalities_go_by_their_columns(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN)
    values = np.array([[1.5, -2.0, np.nan, 2.0]], np.float32)
    names = {"dimension names": ["sentiment", "sentiment_text", "sentiment_audio", "happy"]}
    write_csd(
        tmp_path / "Labels.csd", "Labels", [("a", TimedFeatures(np.array([[0.0, 1.9]]), values))], names
    )
    (clip,) = clips(tmp_path)[0].values()
    assert (clip.sentiment, clip.sentiments, clip.emotions) == (1.5, {"text": -2.0}, {"happy": 2.0})


@pytest.mark.parametrize(
    ("names", "sentiment"),
    [
        (["sentiment text", "sentiment", "anger"], 1.0),
        (["sentiment score", "sentiment text", "anger"], 0.0),
        (["sentiment text", "valence", "anger"], None),
        (["valence", "arousal", "anger"], None),
    ],
)
def test_one_column_is_the_sentiment_and_the_others_keep_their_names(
    tmp_path: Path, names: list[str], sentiment: float | None
) -> None:
    words_csd(tmp_path, a=SPOKEN)
    one = TimedFeatures(np.array([[0.05, 1.0]]), np.arange(3, dtype=np.float32)[None])
    write_csd(tmp_path / "Labels.csd", "Labels", [("a", one)], {"dimension names": names})
    clip = clips(tmp_path)[0]["a[0]"]
    assert clip.sentiment == sentiment
    assert clip.emotions["anger"] == 2.0
    assert len(clip.emotions) + len(clip.sentiments) == (3 if sentiment is None else 2)


@pytest.mark.parametrize(("columns", "expected"), [(1, {}), (3, {}), (7, {"happy": 1, "sad": 2, "fear": 6})])
def test_columns_without_names_are_mosei_s_seven_or_a_sentiment(
    tmp_path: Path, columns: int, expected: dict[str, float]
) -> None:
    words_csd(tmp_path, a=SPOKEN)
    values = np.arange(columns, dtype=np.float32)[None]
    write_csd(tmp_path / "Labels.csd", "Labels", [("a", TimedFeatures(np.array([[0.05, 1.0]]), values))])
    clip = clips(tmp_path)[0]["a[0]"]
    assert clip.sentiment == 0
    assert {name: clip.emotions[name] for name in expected} == expected
    assert len(clip.emotions) == (6 if expected else 0)


@pytest.mark.parametrize("own", [True, False])
def test_entries_of_segments_are_segments_of_their_video(tmp_path: Path, own: bool) -> None:
    """As the SDK's align leaves them: an entry a segment, times of the video."""
    if own:
        words_csd(tmp_path, **{"a[0]": SPOKEN[:4], "a[1]": SPOKEN[4:], "b[7]": SPOKEN})
    else:
        words_csd(tmp_path, a=SPOKEN, b=SPOKEN)
    labels_csd(
        tmp_path, **{"a[0]": [(0.05, 1.0, 1.5)], "a[1]": [(1.05, 1.95, -2.0)], "b[7]": [(0.0, 2.0, 0.0)]}
    )
    (tmp_path / "folds.json").write_text(json.dumps({"train": ["a"], "test": ["b"]}))
    found, problems = clips(tmp_path)
    assert not problems
    assert {name: (c.video_id, c.segment, c.split, c.text) for name, c in found.items()} == {
        "a[0]": ("a", 0, "train", "it was"),
        "a[1]": ("a", 1, "train", "good"),
        "b[7]": ("b", 7, "test", "it was good"),
    }


def test_a_damaged_first_entry_costs_its_video_alone(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN, b=SPOKEN)
    labels_csd(tmp_path, a=[(0.05, 1.0, 1.5)], b=[(0.05, 1.0, 1.5)])
    frames = TimedFeatures(np.array([[0.4, 0.6]]), np.ones((1, 2), np.float32))
    write_csd(tmp_path / "COVAREP.csd", "covarep", [("a", frames), ("b", frames)])
    for name, root in (("Words", "words"), ("COVAREP", "covarep")):
        with h5py.File(tmp_path / f"{name}.csd", "r+") as file:
            del file[f"{root}/data/a/intervals"]
            file[f"{root}/data/a/intervals"] = np.zeros((9, 2))
    found, problems = clips(tmp_path)
    assert list(found) == ["b[0]"]
    assert [p.cause for p in problems] == ["damaged entry"]
    step = CsdExtractor(modality="audio", file=str(tmp_path / "COVAREP.csd"))
    assert step.feature_names == ("audio_0", "audio_1")


def test_a_folder_without_words_or_labels_says_what_it_needs(tmp_path: Path) -> None:
    words_csd(tmp_path, a=SPOKEN)
    with pytest.raises(MimdataError, match=r"one of labels, found 1 and 0 among Words\.csd"):
        list(CsdCorpus().clips(tmp_path))


def extract(file: Path, clip: Clip) -> Track:
    step = CsdExtractor(modality="audio", file=str(file))
    found = step.open(Resources())(Media(file, clip.start, clip.end, audio=False, fps=set()), clip)
    assert isinstance(found, Track)
    return found


def a_clip(start: float = 1.0, end: float = 2.0) -> Clip:
    return Clip("a[0]", "a", 0, "x.csd", start, end, "it was")


def test_frames_that_touch_a_clip_are_its_track(tmp_path: Path) -> None:
    times = np.array([[0.0, 0.5], [0.9, 1.1], [1.5, 1.5], [1.6, 1.8], [1.2, 1.4], [np.nan, 2.0], [2.0, 2.5]])
    values = np.arange(14, dtype=np.float32).reshape(7, 2)
    values[3, 1] = -np.inf
    write_csd(tmp_path / "COVAREP.csd", "covarep", [("a", TimedFeatures(times, values))])
    track = extract(tmp_path / "COVAREP.csd", a_clip())
    assert np.allclose(track.times, [[-0.1, 0.1], [0.2, 0.4], [0.6, 0.8]])
    assert track.values.tolist() == [[2, 3], [8, 9], [0, 0]]
    assert track.reason.tolist() == [Reason.VALID, Reason.VALID, Reason.NOT_FINITE]


def test_an_entry_of_the_clips_own_counts_from_its_start(tmp_path: Path) -> None:
    own = TimedFeatures(np.array([[0.0, 0.5]]), np.ones((1, 2), np.float32))
    write_csd(
        tmp_path / "f.csd", "f", [("a[0]", own), ("a", TimedFeatures(np.zeros((0, 2)), np.zeros((0, 2))))]
    )
    assert extract(tmp_path / "f.csd", a_clip()).times.tolist() == [[0.0, 0.5]]


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_an_entry_of_the_clips_own_with_the_videos_times_lies_where_they_say(
    tmp_path: Path, shift: float
) -> None:
    times = np.array([[0.1, 0.4], [0.4, 0.9]]) + shift
    write_csd(tmp_path / "f.csd", "f", [("a[0]", TimedFeatures(times, np.ones((2, 2), np.float32)))])
    assert extract(tmp_path / "f.csd", a_clip()).times == pytest.approx(np.array([[0.1, 0.4], [0.4, 0.9]]))


def test_the_clips_of_a_video_read_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = TimedFeatures(np.array([[1.0, 1.5], [3.0, 3.5]]), np.ones((2, 2), np.float32))
    write_csd(tmp_path / "f.csd", "f", [("a", frames)])
    extract(tmp_path / "f.csd", a_clip())

    def read(*_: Any) -> None:
        raise AssertionError("read twice")

    monkeypatch.setattr("mimdata.pipeline.formats.csd.ComputationalSequence.entry", read)
    assert len(extract(tmp_path / "f.csd", Clip("a[1]", "a", 1, "x.csd", 2.5, 4.0, "good")).values) == 1


def test_a_video_that_a_sequence_lacks_is_absent_and_other_widths_fail(tmp_path: Path) -> None:
    wide = TimedFeatures(np.array([[1.0, 1.5]]), np.ones((1, 3), np.float32))
    first = TimedFeatures(np.array([[0.0, 0.5]]), np.ones((1, 2), np.float32))
    write_csd(tmp_path / "f.csd", "f", [("0", first), ("b", wide)])
    assert "nothing of a" in extract(tmp_path / "f.csd", a_clip()).absent
    with pytest.raises(ClipError, match="3 columns"):
        extract(tmp_path / "f.csd", Clip("b[0]", "b", 0, "x.csd", 1.0, 2.0, "it"))


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("CMU_MOSI_COVAREP", "audio"),
        ("FACET 4.2", "vision"),
        ("glove_vectors", "text"),
        ("My Gaze-3", "my_gaze_3"),
    ],
)
def test_names_tell_of_modalities(name: str, modality: str) -> None:
    assert modality_of(name) == modality


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Versions]:
    """A version of the little corpus as sequences, and its versions."""
    folder = tmp_path_factory.mktemp("exported")
    corpus = little(folder)
    corpus.rebuild(pooling={"weights": "mean", "statistics": ["mean"]})
    versions = Versions(Folder(str(corpus.store)), "manifest")
    version, manifest = versions.find("latest")
    export_csd(version, manifest, folder / "csd")
    return folder / "csd", versions


def rows(versions: Versions) -> dict[str, dict[str, Any]]:
    import pyarrow.parquet as pq

    folder, manifest = versions.find("latest")
    return {
        r["clip_id"]: r for s in manifest.shards for r in pq.read_table(folder.path(s["file"])).to_pylist()
    }


def mean(_: Any, features: Any) -> Any:
    """As the SDK's documentation writes it; it is asked to collapse the words as well."""
    return features[0] if features.dtype.kind == "S" else np.average(features, axis=0)


def test_the_sdk_reads_and_aligns_what_is_exported(exported: tuple[Path, Versions]) -> None:
    folder, versions = exported
    with contextlib.redirect_stdout(io.StringIO()):
        from mmsdk import mmdatasdk

        dataset = mmdatasdk.mmdataset({name: str(folder / f"{name}.csd") for name in ("words", "audio")})
        dataset.align("words", collapse_functions=[mean])
        dataset.add_computational_sequences({"labels": str(folder / "labels.csd")}, destination=None)
        dataset.align("labels")
    found = dataset["audio"].data
    assert set(found) == {f"v{i}[{k}]" for i in range(5) for k in range(2)}
    for clip_id, row in rows(versions).items():
        assert np.allclose(found[clip_id]["features"], np.array(row["audio_mean"]), rtol=0, atol=1e-6)
        assert float(dataset["labels"].data[clip_id]["features"][0, 0]) == pytest.approx(row["sentiment"])


def test_a_version_is_a_dataset_of_the_sdks_functions(exported: tuple[Path, Versions]) -> None:
    folder, versions = exported
    found = sequences_of(*versions.find("latest"))
    assert set(found) == {"words", "labels", "audio"}
    for name, entries in found.items():
        written = dict(read_csd(folder / f"{name}.csd"))
        assert set(entries) == set(written)
        for key, entry in entries.items():
            assert np.array_equal(entry.intervals, written[key].intervals)
            assert entry.features.tolist() == written[key].features.tolist()
    words = sdk.align(sdk.unify({name: found[name] for name in ("words", "audio")}), "words", [sdk.mean])
    aligned = sdk.align({**words, "labels": found["labels"]}, "labels")
    for clip_id, row in rows(versions).items():
        assert np.allclose(aligned["audio"][clip_id].features, np.array(row["audio_mean"]), rtol=0, atol=1e-6)


def test_what_is_exported_comes_back_the_same(exported: tuple[Path, Versions], tmp_path: Path) -> None:
    folder, versions = exported
    before = rows(versions)
    splits: dict[str, list[str]] = {}
    for row in before.values():
        splits.setdefault(row["split"], []).append(row["video_id"])
    (folder / "folds.json").write_text(json.dumps({s: sorted(set(v)) for s, v in splits.items()}))
    call = Command(tmp_path)
    call("import", "csd", str(folder), "--corpus", "back", "--store", "store", "--workers", "0")
    after = rows(Versions(Folder(str(tmp_path / "store")), "back"))
    assert set(after) == set(before)
    for clip_id, row in after.items():
        old = before[clip_id]
        assert (row["words"], row["split"]) == (old["words"], old["split"])
        assert row["sentiment"] == pytest.approx(old["sentiment"])
        assert np.allclose(row["audio_mean"], old["audio_mean"], rtol=0, atol=1e-6)
        assert np.allclose(np.diff(row["word_start"]), np.diff(old["word_start"]), atol=1e-5)


def test_files_of_several_folders_are_a_corpus(exported: tuple[Path, Versions], tmp_path: Path) -> None:
    """Words of one folder, labels and voice of another, which holds a second sequence of words that is not wanted."""
    folder, versions = exported
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name, place in (("words", "a"), ("labels", "b"), ("audio", "b")):
        shutil.copy(folder / f"{name}.csd", tmp_path / place)
    shutil.copy(folder / "words.csd", tmp_path / "b" / "other_words.csd")
    call = Command(tmp_path, (("MIMDATA_CACHE", str(tmp_path / "cache")),))
    more = ("--corpus", "files", "--store", "store", "--workers", "0", "--json")
    shutil.copy(folder / "words.csd", tmp_path / "b")
    assert "found 2 and 1" in call("import", "csd", "b", *more, code=1).err
    first = call("import", "csd", "a/words.csd", "b/labels.csd", "b/audio.csd", *more).lines()[0]
    again = call("import", "csd", "b/audio.csd", "b/labels.csd", "a/words.csd", *more).lines()[0]
    assert (first["rows"], first["digest"]) == (10, again["digest"])
    after = rows(Versions(Folder(str(tmp_path / "store")), "files"))
    for clip_id, row in rows(versions).items():
        assert after[clip_id]["words"] == row["words"]
        assert np.allclose(after[clip_id]["audio_mean"], row["audio_mean"], rtol=0, atol=1e-6)
    for places, said in (
        (("a/words.csd", "b"), "b is a folder"),
        (("a/none.csd",), "a/none.csd does not exist"),
        (("a/words.csd", "folder/words.csd"), "does not exist"),
    ):
        assert said in call("import", "csd", *places, *more, code=2).err


def peak(folder: Path, corpus: str, store: Path) -> int:
    """MiB that an import in one process held at most."""
    call = [
        "import",
        "csd",
        str(folder),
        "--corpus",
        corpus,
        "--store",
        str(store),
        "--no-bert",
        "--workers",
        "0",
    ]
    command = f"from mimdata.pipeline.cli import main; main({call!r}, prog_name='mimdata')"
    process = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss // 1024


def test_memory_does_not_grow_with_the_sequences(tmp_path: Path) -> None:
    """A minute of voice a video, as COVAREP has it: 2 MiB each, a hundred of them beside four."""
    times = np.arange(6000)[:, None] / 100 + np.array([[0.0, 0.01]])
    spoken = [(f"w{i}", i / 2, i / 2 + 0.5) for i in range(120)]
    found = {}
    for count in (4, 100):
        folder = tmp_path / str(count)
        folder.mkdir()
        names = [f"v{i}" for i in range(count)]
        random = np.random.default_rng(0)
        words_csd(folder, **dict.fromkeys(names, spoken))
        labels_csd(folder, **{name: [(0.0, 59.9, 1.0)] for name in names})
        values = (random.normal(size=(6000, 74)).astype(np.float32) for _ in names)
        features = ((v, TimedFeatures(times, x)) for v, x in zip(names, values, strict=True))
        write_csd(folder / "covarep.csd", "COVAREP", features)
        found[count] = peak(folder, f"n{count}", tmp_path / "store")
    size = (tmp_path / "100" / "covarep.csd").stat().st_size // 2**20
    assert size > 170
    assert found[100] - found[4] < size / 3, found


def test_emotions_come_back_under_their_names(tmp_path: Path) -> None:
    corpus = little(tmp_path)
    for i, row in enumerate(corpus.rows):
        row |= {"emotion_happy": i % 3, "emotion_anger": (i + 1) % 3}
    corpus.write()
    corpus.rebuild(pooling={"weights": "mean", "statistics": ["mean"]})
    versions = Versions(Folder(str(corpus.store)), "manifest")
    export_csd(*versions.find("latest"), tmp_path / "csd")
    Command(tmp_path)(
        "import", "csd", str(tmp_path / "csd"), "--corpus", "back", "--store", "store", "--workers", "0"
    )
    after = rows(Versions(Folder(str(tmp_path / "store")), "back"))
    for clip_id, row in rows(versions).items():
        for name in ("happy", "anger"):
            assert after[clip_id][f"emotion_{name}"] == row[f"emotion_{name}"]
    assert {row["emotion_happy"] for row in after.values()} == {0, 1, 2}


def test_a_version_without_times_is_no_sequence(tmp_path: Path, shared_data: Path) -> None:
    call = Command(tmp_path)
    call(
        "import",
        "pickle",
        str(shared_data / "mosi" / "dev229_misa_form.pkl"),
        "--split",
        "valid",
        "--store",
        "store",
    )
    done = call("export", "csd", "latest", "--store", "store", "-o", "out", code=1)
    assert "has a time" in done.err
    assert not (tmp_path / "out").exists()


def test_export_is_a_command(exported: tuple[Path, Versions], tmp_path: Path) -> None:
    _, versions = exported
    done = Command(tmp_path)(
        "export", "csd", "latest", "--corpus", "manifest", "--store", versions.store.url, "-o", "out"
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"words.csd", "labels.csd", "audio.csd"}
    assert "audio.csd" in done.out
