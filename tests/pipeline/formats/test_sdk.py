"""Our functions against the SDK itself, on MOSI's words and labels with features of three rates."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats import sdk
from mimdata.pipeline.formats.csd import TimedFeatures, read_csd, write_csd

VIDEOS = 6


def featured(words: sdk.Entries, rate: float, width: int, seed: int) -> Iterator[tuple[str, TimedFeatures]]:
    """Frames over each video, some of them missing, the last ones out of order."""
    random = np.random.default_rng(seed)
    for name, entry in words.items():
        start = np.arange(0, entry.intervals[:, 1].max(), 1 / rate)
        start = start[random.random(len(start)) < 0.9]
        start[-3:] = start[-3:][::-1]
        values = random.normal(size=(len(start), width)).astype(np.float32)
        yield name, TimedFeatures(np.stack([start, start + 1 / rate], 1), values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of words, voice, face and labels; MOSI's where they are at hand, else made up of the same form."""
    made = tmp_path_factory.mktemp("sdk")
    mosi = Path(__file__).parents[4] / "shared" / "data" / "mosi"
    if mosi.is_dir():
        words = dict(list(read_csd(mosi / "CMU_MOSI_ModifiedTimestampedWords.csd"))[:VIDEOS])
        labels = {k: v for k, v in read_csd(mosi / "CMU_MOSI_Opinion_Labels.csd") if k in words}
    else:
        words, labels = made_up()
    write_csd(made / "words.csd", "words", words.items())
    write_csd(made / "labels.csd", "labels", labels.items())
    write_csd(made / "audio.csd", "audio", featured(words, 20, 3, 1))
    write_csd(made / "vision.csd", "vision", list(featured(words, 7, 2, 2))[:-1])  # one video has no face
    return made


def made_up() -> tuple[dict[str, TimedFeatures], dict[str, TimedFeatures]]:
    random = np.random.default_rng(0)
    words, labels = {}, {}
    for i in range(VIDEOS):
        edges = np.cumsum(random.random(80) * 0.6)
        times = np.stack([edges[:-1], edges[1:]], 1)
        words[f"video{i}"] = TimedFeatures(times, np.array([[f"w{k}".encode()] for k in range(79)], object))
        cuts = np.stack([edges[:-10:10], edges[10::10][: len(edges[:-10:10])]], 1)
        labels[f"video{i}"] = TimedFeatures(cuts, random.normal(size=(len(cuts), 1)).astype(np.float32))
    return words, labels


def ours(folder: Path, *names: str) -> dict[str, dict[str, TimedFeatures]]:
    return {name: dict(read_csd(folder / f"{name}.csd")) for name in names}


@contextlib.contextmanager
def theirs(folder: Path, *names: str) -> Iterator[Any]:
    with contextlib.redirect_stdout(io.StringIO()):
        from mmsdk import mmdatasdk

        yield mmdatasdk.mmdataset({name: str(folder / f"{name}.csd") for name in names})


def equal(mine: sdk.Dataset, dataset: Any) -> None:
    for name in dataset.keys():  # noqa: SIM118  # it is no dictionary
        found = dataset[name].data
        assert set(mine[name]) == set(found), name
        for entry, frames in mine[name].items():
            assert np.allclose(frames.intervals, found[entry]["intervals"], rtol=0, atol=1e-6), (name, entry)
            values = np.asarray(found[entry]["features"])
            if frames.features.dtype.kind in "SUO":
                assert frames.features.tolist() == values.tolist()
            else:
                assert np.allclose(frames.features, values, rtol=0, atol=1e-6), (name, entry)


def test_align_with_a_mean_is_the_sdks(folder: Path) -> None:
    with theirs(folder, "words", "audio", "vision") as dataset:
        dataset.align("words", collapse_functions=[sdk.mean])
        equal(sdk.align(sdk.unify(ours(folder, "words", "audio", "vision")), "words", [sdk.mean]), dataset)


def test_align_without_a_function_and_to_labels_is_the_sdks(folder: Path) -> None:
    with theirs(folder, "words", "audio") as dataset:
        dataset.align("words", collapse_functions=[sdk.mean])
        dataset.add_computational_sequences({"labels": str(folder / "labels.csd")}, destination=None)
        dataset.align("labels")
        words = sdk.align(ours(folder, "words", "audio"), "words", [sdk.mean])
        equal(sdk.align({**words, **ours(folder, "labels")}, "labels"), dataset)


def test_revert_puts_together_what_the_sdk_has_aligned(folder: Path) -> None:
    with theirs(folder, "words", "audio") as dataset:
        aligned = sdk.align(ours(folder, "words", "audio"), "words", [sdk.mean])
        dataset.align("words", collapse_functions=[sdk.mean])
        shared = sdk.hard_unify(aligned)
        for name in ("words", "audio"):
            for key in set(dataset[name].data) - set(shared[name]):
                del dataset[name].data[key]
        reverted = sdk.revert(aligned)
        for video in reverted["audio"]:
            keys = sorted(
                (k for k in shared["audio"] if sdk.video_of(k) == video),
                key=lambda k: int(k[len(video) + 1 : -1]),
            )
            whole = np.concatenate([dataset["audio"].data[key]["features"] for key in keys])
            assert np.allclose(reverted["audio"][video].features, whole, rtol=0, atol=1e-6)


def one(width: int = 1) -> TimedFeatures:
    return TimedFeatures(np.array([[0.0, 1.0]]), np.ones((1, width), np.float32))


def test_unify_asks_for_the_whole_id_and_the_losing_one_for_its_beginning(tmp_path: Path) -> None:
    files = {"a": {"25522": one(), "255226": one(), "x": one()}, "b": {"255226": one(), "x": one()}}
    for name, entries in files.items():
        write_csd(tmp_path / f"{name}.csd", name, entries.items())
    assert set(sdk.unify(files)["a"]) == {"255226", "x"}
    with theirs(tmp_path, "a", "b") as dataset:
        dataset.unify()
        equal(sdk.unify_losing_ids_that_begin_alike(files), dataset)


def test_tensors_are_padded_and_folded() -> None:
    def frames(n: int) -> TimedFeatures:
        times = np.stack([np.arange(n), np.arange(n) + 1.0], 1)
        return TimedFeatures(times, np.arange(1, n + 1, dtype=np.float32)[:, None])

    dataset = {
        "audio": {"a[0]": frames(2), "a[1]": frames(5), "b[0]": frames(3), "c[0]": frames(1)},
        "labels": {"a[0]": one(), "a[1]": one(), "b[0]": one()},
    }
    train, test = sdk.get_tensors_losing_frames(dataset, 3, [["a"], ["b"]], ["labels"])
    assert train["audio"][..., 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert train["labels"].shape == (2, 1, 1)
    assert test["audio"][..., 0].tolist() == [[1, 2, 3]]
    after = sdk.get_tensors_losing_frames(dataset, 3, [["a"]], ["labels"], pad_end=True)[0]
    assert after["audio"][..., 0].tolist() == [[1, 2, 0], [1, 2, 3]]
    with pytest.raises(MimdataError, match=r"1 entries of audio .* such as a\[1\] of 5 frames: take 5"):
        sdk.get_tensors(dataset, 3, [["a"], ["b"]], ["labels"])
    whole = sdk.get_tensors(dataset, 5, [["a"], ["b"]], ["labels"])
    assert whole[0]["audio"][..., 0].tolist() == [[0, 0, 0, 1, 2], [1, 2, 3, 4, 5]]


def test_align_keeps_what_another_sequence_lacks_unless_unified(folder: Path) -> None:
    dataset = ours(folder, "words", "audio", "vision")
    lacking = set(dataset["words"]) - set(dataset["vision"])
    assert len(lacking) == 1
    kept, unified = sdk.align(dataset, "words"), sdk.align(sdk.unify(dataset), "words")
    assert {sdk.video_of(name) for name in kept["words"]} == set(dataset["words"])
    assert {sdk.video_of(name) for name in unified["words"]} == set(dataset["words"]) - lacking
    assert set(kept["vision"]) == set(unified["vision"])


def test_impute_fills_what_a_sequence_lacks() -> None:
    dataset = {"words": {"a[0]": one(), "a[1]": one()}, "face": {"a[0]": one(4)}}
    made = sdk.impute(dataset, "words")
    assert made["face"]["a[1]"].features.tolist() == [[0, 0, 0, 0]]
    assert made["words"] == dataset["words"]
