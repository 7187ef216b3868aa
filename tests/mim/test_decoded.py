"""Decoded copies: the same batches whatever they come from, never a wrong number, never a half-written file."""

from __future__ import annotations

import itertools
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mimdata.mim import shards
from mimdata.mim.batch import Batch
from mimdata.mim.blocks import decode
from mimdata.mim.dataset import Dataset, open_dataset
from mimdata.mim.decoded import ABOUT, key_of, open_copy
from mimdata.mim.loader import Feed, Loading

MODALITIES = ("text", "audio", "vision")


@pytest.fixture
def loading(tmp_path: Path) -> Loading:
    """Larger than its buffer, so that it streams and keeps copies."""
    return Loading(
        MODALITIES,
        steps=12,
        batch_size=10,
        tokens=True,
        shuffle_rows=20,
        copies_gib=1,
        copies=tmp_path / "copies",
    )


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is decoded, a table an entry."""
    seen: list[Any] = []

    def counted(*arguments: Any) -> Any:
        seen.append(arguments[0])
        return decode(*arguments)

    monkeypatch.setattr(shards, "decode", counted)
    return seen


def same(ours: Batch, theirs: Batch) -> bool:
    assert ours.tokens is not None
    assert theirs.tokens is not None
    pairs = [
        *zip(ours.values.values(), theirs.values.values(), strict=True),
        *zip(ours.valid.values(), theirs.valid.values(), strict=True),
        (ours.lengths, theirs.lengths),
        (ours.sentiment, theirs.sentiment),
        (ours.emotions, theirs.emotions),
        (ours.tokens.ids, theirs.tokens.ids),
        (ours.tokens.steps, theirs.tokens.steps),
        (ours.tokens.real, theirs.tokens.real),
    ]
    return ours.clip_ids == theirs.clip_ids and all(
        torch.equal(a.nan_to_num(9), b.nan_to_num(9)) for a, b in pairs
    )


def epoch(dataset: Dataset, loading: Loading, number: int = 1) -> list[Batch]:
    feed = Feed(dataset, "train", loading)
    batches = list(feed.batches((3, number)))
    feed.finish_copy()
    return batches


def copies(loading: Loading) -> list[Path]:
    assert loading.copies is not None
    return sorted(loading.copies.iterdir()) if loading.copies.is_dir() else []


def test_shards_copy_and_other_workers_give_the_same_batches(
    made: Path, loading: Loading, decoded: list[Any]
) -> None:
    dataset = open_dataset(made)
    first, groups = epoch(dataset, loading), len(decoded)
    assert groups == 5
    again = epoch(dataset, loading)  # another process would do the same: a new feed finds the copy
    assert len(decoded) == groups
    alone = epoch(dataset, replace(loading, copies_gib=0, workers=1))
    many = epoch(dataset, replace(loading, copies_gib=0, workers=4))
    for found in (again, alone, many):
        assert len(found) == len(first)
        assert all(same(a, b) for a, b in zip(found, first, strict=True))


def test_one_feed_decodes_each_row_group_once(made: Path, loading: Loading, decoded: list[Any]) -> None:
    feed = Feed(open_dataset(made), "train", loading)
    orders = [[b.clip_ids for b in feed.batches((1, n))] for n in range(4)]
    assert len(decoded) == 5
    assert len({tuple(order) for order in orders}) == 4


def test_the_last_batch_does_not_wait_for_the_disk(
    made: Path, loading: Loading, decoded: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = threading.Event()

    def slow(path: Path) -> None:
        assert disk.wait(30)

    monkeypatch.setattr("mimdata.mim.decoded._sync", slow)
    feed = Feed(open_dataset(made), "train", loading)
    assert sum(map(len, feed.batches((3, 1)))) == 64
    assert [place.name[0] for place in copies(loading)] == ["."]  # not there until the disk holds it
    disk.set()
    feed.finish_copy()
    assert [place.name[0] == "." for place in copies(loading)] == [False]
    list(feed.batches((3, 2)))
    assert len(decoded) == 5


def test_without_the_buffer_of_memory_no_copy_is_made(made: Path, loading: Loading) -> None:
    epoch(open_dataset(made), replace(loading, shuffle_rows=64))
    assert copies(loading) == []


def test_an_epoch_that_stops_leaves_nothing_behind(made: Path, loading: Loading) -> None:
    batches = Feed(open_dataset(made), "train", loading).batches((3, 1))
    list(itertools.islice(batches, 3))
    batches.close()  # type: ignore[attr-defined]
    assert copies(loading) == []
    list(Feed(open_dataset(made), "train", loading).updates((3, 1), start=2))  # half an epoch is no copy
    assert copies(loading) == []


@pytest.mark.parametrize("file", ["text.values", "vision.valid", "index.arrow", "token_ids", ABOUT])
@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_a_damaged_copy_is_made_anew(made: Path, loading: Loading, file: str, harm: str) -> None:
    dataset = open_dataset(made)
    first = epoch(dataset, loading)
    (place,) = copies(loading)
    content = bytearray((place / file).read_bytes())
    if harm == "gone":
        (place / file).unlink()
    else:
        content[len(content) // 2] ^= 0x40
        (place / file).write_bytes(content[:-9] if harm == "cut" else content)
    assert all(same(a, b) for a, b in zip(epoch(dataset, loading), first, strict=True))
    assert open_copy(place.parent, place.name) is not None  # made anew, and sound


def test_a_copy_belongs_to_its_numbers(made: Path, loading: Loading) -> None:
    dataset = open_dataset(made)
    other = replace(
        dataset, manifest=replace(dataset.manifest, content={**dataset.manifest.content, "digest": "0" * 64})
    )
    changes = (
        {"standardise": False},
        {"tokens": False},
        {"pooled": ("mean", "std")},
        {"modalities": ("text", "audio")},
    )
    keys = {key_of(d, s, loading.selected) for d in (dataset, other) for s in ("train", "valid")}
    keys |= {key_of(dataset, "train", replace(loading, **change).selected) for change in changes}
    assert len(keys) == 8


def test_copies_stay_within_their_limit(made: Path, loading: Loading) -> None:
    dataset = open_dataset(made)
    epoch(dataset, replace(loading, copies_gib=1e-9))
    assert copies(loading) == []
    epoch(dataset, loading)
    (oldest,) = copies(loading)
    os.utime(oldest / ABOUT, (1, 1))
    size = sum(f.stat().st_size for f in oldest.iterdir())
    few = replace(loading, modalities=("text",), copies_gib=1.2 * size / 2**30)
    epoch(dataset, few)
    assert [p != oldest for p in copies(loading)] == [True]


def test_a_copy_that_is_deleted_under_a_reader_disturbs_nobody(made: Path, loading: Loading) -> None:
    import shutil

    dataset = open_dataset(made)
    first = epoch(dataset, loading)
    feed = Feed(dataset, "train", loading)
    batches = feed.batches((3, 1))
    begun = [next(batches)]
    assert loading.copies is not None
    shutil.rmtree(loading.copies)
    assert all(same(a, b) for a, b in zip([*begun, *batches], first, strict=True))


def test_unlabelled_utterances_are_in_the_copy_and_not_in_the_batches(
    tmp_path: Path, write_version: Any, made_rows: list[Any], loading: Loading
) -> None:
    # The whole second row group of the first shard has no label: no batch needs it, and the copy has it all the same.
    rows = [replace(row, sentiment=None) if 16 <= i < 32 else row for i, row in enumerate(made_rows)]
    dataset = open_dataset(write_version(tmp_path, rows, {"text": (6, ("mean",))}))
    loading = replace(loading, modalities=("text",))
    first = epoch(dataset, loading)
    assert sum(map(len, first)) == 48
    assert all(same(a, b) for a, b in zip(epoch(dataset, loading), first, strict=True))
    (place,) = copies(loading)
    assert len(json.loads((place / ABOUT).read_text())[0]["checksums"]) == 5


@pytest.mark.parametrize("position", [1, 3, 5])
@pytest.mark.parametrize("copied", [False, True])
def test_a_state_goes_on_at_the_exact_utterance(
    made: Path, loading: Loading, position: int, copied: bool
) -> None:
    dataset = open_dataset(made)
    if copied:
        epoch(dataset, loading)
    feed = Feed(dataset, "train", loading)
    whole = [clip for batch in feed.batches((3, 2)) for clip in batch.clip_ids]
    begun = feed.updates((3, 2))
    done = [c for u in itertools.islice(begun, position) for b in u.pieces for c in b.clip_ids]
    state = json.loads(json.dumps(feed.state_dict()))
    # Two processes and more threads go on with it, in batches of another size.
    parts: list[list[list[str]]] = []
    for process in range(2):
        other = Feed(dataset, "train", replace(loading, batch_size=4, workers=3))
        other.load_state_dict(state)
        updates = other.updates((3, 2), process=process, processes=2)
        parts.append([[c for b in u.pieces for c in b.clip_ids] for u in updates])
        assert next(iter(other.batches((3, 3)))).clip_ids  # the next epoch begins at its beginning
    rest = [c for both in itertools.zip_longest(*parts, fillvalue=[]) for part in both for c in part]
    assert done + rest == whole


def test_batches_by_length_pad_less_and_lose_nobody(made: Path, loading: Loading) -> None:
    dataset = open_dataset(made)

    def padding(found: list[Batch]) -> int:
        return sum(int(b.values["text"].shape[1] * len(b) - b.lengths.sum()) for b in found)

    plain, sorted_ = epoch(dataset, loading), epoch(dataset, replace(loading, by_length=True))
    assert padding(sorted_) < padding(plain) / 2
    assert sorted(c for b in sorted_ for c in b.clip_ids) == sorted(c for b in plain for c in b.clip_ids)
    again = epoch(dataset, replace(loading, by_length=True))
    assert [b.clip_ids for b in again] == [b.clip_ids for b in sorted_]
    assert [b.clip_ids for b in sorted_] != [
        b.clip_ids for b in epoch(dataset, replace(loading, by_length=True), 2)
    ]


def test_memory_holds_no_more_than_two_buffers(
    made: Path, loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row groups of 16, buffers of 16: of the five groups, at most three are held at a time.

    One thread decodes: of several, each may be late in letting go of what it has just handed over.
    """
    import gc
    import weakref

    held: list[Any] = []
    most = 0

    def watched(*arguments: Any) -> Any:
        nonlocal most
        block = decode(*arguments)
        held.append(weakref.ref(block.values["text"]))
        gc.collect()
        most = max(most, sum(ref() is not None for ref in held))
        return block

    monkeypatch.setattr(shards, "decode", watched)
    assert len(epoch(open_dataset(made), replace(loading, shuffle_rows=16, copies_gib=0, workers=1))) == 7
    assert len(held) == 5
    assert most <= 3


def test_the_memory_of_a_buffer_is_used_again(
    made: Path, loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    room = shards.Source.room

    def counted(source: shards.Source, words: int) -> Any:
        given.append(words)
        return room(source, words)

    monkeypatch.setattr(shards.Source, "room", counted)
    assert len(epoch(open_dataset(made), replace(loading, shuffle_rows=16, copies_gib=0))) == 7
    assert len(given) == 2  # for five buffers


def test_numbers_are_those_of_the_shards(made: Path, loading: Loading, made_rows: list[Any]) -> None:
    dataset = open_dataset(made)
    raw = replace(loading, standardise=False)
    for _ in range(2):  # from the shards, then from the copy
        for batch in Feed(dataset, "train", raw).batches():
            for i, clip_id in enumerate(batch.clip_ids):
                row = next(r for r in made_rows if r.clip_id == clip_id)
                n = len(row.valid["audio"])
                np.testing.assert_array_equal(batch.values["audio"][i, :n], row.values["audio_mean"])
