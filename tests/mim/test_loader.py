"""The loader: every utterance once, in an order of its seed, standardised, masked, cut and padded."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mimdata.mim.batch import Batch
from mimdata.mim.dataset import newest_corpus, open_dataset
from mimdata.mim.loader import Feed, Loading
from mimdata.mim.order import read_rows
from mimdata.pipeline.errors import MimdataError

MODALITIES = ("text", "audio", "vision")
LOADING = Loading(MODALITIES, steps=12, batch_size=10)


def ids(found: list[Batch]) -> list[str]:
    return [clip_id for batch in found for clip_id in batch.clip_ids]


def test_every_utterance_comes_once_in_the_datasets_order(made: Path, made_rows: list[Any]) -> None:
    found = list(Feed(open_dataset(made), "train", LOADING).batches())
    assert ids(found) == [row.clip_id for row in made_rows if row.split == "train"]
    assert [len(batch) for batch in found] == [10] * 6 + [4]


@pytest.mark.parametrize("shuffle_rows", [1, 20, 4096])
def test_shuffling_is_a_function_of_seed_and_epoch(made: Path, shuffle_rows: int) -> None:
    dataset, loading = open_dataset(made), replace(LOADING, shuffle_rows=shuffle_rows)

    def order(seed: int, epoch: int) -> list[str]:
        return ids(list(Feed(dataset, "train", loading).batches((seed, epoch))))

    first = order(7, 1)
    assert first == order(7, 1)
    assert len({tuple(order(s, e)) for s, e in ((7, 1), (7, 2), (8, 1))}) == 3
    assert sorted(first) == sorted(ids(list(Feed(dataset, "train", loading).batches())))
    assert first != ids(list(Feed(dataset, "train", loading).batches()))


def test_the_buffer_bounds_how_many_row_groups_are_mixed(made: Path, made_rows: list[Any]) -> None:
    # Shards hold 40 utterances in row groups of 16; a buffer of one group deals each out before the next.
    train = [row.clip_id for row in made_rows if row.split == "train"]
    group = {clip_id: (i // 40, i % 40 // 16) for i, clip_id in enumerate(train)}
    loading = replace(LOADING, shuffle_rows=1)
    order = [group[c] for c in ids(list(Feed(open_dataset(made), "train", loading).batches((0, 1))))]
    assert len(set(order)) == 5
    assert sum(a != b for a, b in itertools.pairwise(order)) == 4
    whole = [group[c] for c in ids(list(Feed(open_dataset(made), "train", LOADING).batches((0, 1))))]
    assert sum(a != b for a, b in itertools.pairwise(whole)) > 20


def test_values_and_masks_are_the_rows_own(made: Path, made_rows: list[Any]) -> None:
    batch = next(Feed(open_dataset(made), "train", replace(LOADING, standardise=False)).batches())
    for i, row in enumerate(made_rows[:10]):
        n = len(row.valid["text"])
        assert batch.lengths[i] == n
        assert batch.sentiment[i].item() == pytest.approx(row.sentiment)
        for m in MODALITIES:
            np.testing.assert_array_equal(batch.values[m][i, :n], row.values[f"{m}_mean"])
            np.testing.assert_array_equal(batch.valid[m][i, :n], row.valid[m])
            assert batch.values[m][i, n:].abs().sum() == 0
            assert not batch.valid[m][i, n:].any()
    assert batch.emotions.shape == (10, 2)


def test_standardised_train_words_have_mean_0_and_deviation_1(made: Path) -> None:
    found = list(Feed(open_dataset(made), "train", LOADING).batches())
    for m in MODALITIES:
        values = torch.cat([b.values[m][b.valid[m]] for b in found]).double()
        np.testing.assert_allclose(values.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(values.std(0, correction=0), 1, atol=1e-5)
        assert all(b.values[m][~b.valid[m]].abs().sum() == 0 for b in found)


def test_other_splits_are_standardised_by_the_train_split(made: Path) -> None:
    dataset = open_dataset(made)
    about = dataset.statistics("text_mean")
    raw = next(Feed(dataset, "test", replace(LOADING, standardise=False)).batches())
    done = next(Feed(dataset, "test", LOADING).batches())
    expected = (raw.values["text"].double() - torch.tensor(about["mean"])) / torch.tensor(about["std"])
    mask = raw.valid["text"]
    torch.testing.assert_close(done.values["text"][mask].double(), expected[mask], atol=1e-5, rtol=1e-5)


def test_a_constant_feature_is_centred_and_stays_finite(
    tmp_path: Path, write_version: Callable[..., Path], made_rows: list[Any]
) -> None:
    rows = [
        replace(row, values={**row.values, "vision_mean": np.full_like(row.values["vision_mean"], 4)})
        for row in made_rows
    ]
    from_file = open_dataset(write_version(tmp_path, rows, {"vision": (3, ("mean",))}))
    batch = next(Feed(from_file, "train", replace(LOADING, modalities=("vision",))).batches())
    assert batch.values["vision"].abs().max() < 1e-5


def test_long_rows_are_cut_to_their_first_steps_and_counted(made: Path, made_rows: list[Any]) -> None:
    dataset, loading = open_dataset(made), replace(LOADING, steps=5, standardise=False)
    batch = next(Feed(dataset, "train", loading).batches())
    longer = [i for i, row in enumerate(made_rows[:10]) if len(row.valid["text"]) > 5]
    assert longer
    for i in longer:
        np.testing.assert_array_equal(batch.values["text"][i], made_rows[i].values["text_mean"][:5])
    expected = sum(len(row.valid["text"]) > 5 for row in made_rows if row.split == "train")
    assert read_rows(dataset, "train", "sentiment").census(5).truncated == expected


def test_fixed_padding_is_t_steps_and_else_the_longest_row(made: Path) -> None:
    fixed = next(Feed(open_dataset(made), "train", replace(LOADING, fixed=True)).batches())
    trimmed = next(Feed(open_dataset(made), "train", LOADING).batches())
    assert fixed.values["text"].shape[1] == 12
    assert trimmed.values["text"].shape[1] == int(trimmed.lengths.max())


def test_pooled_statistics_stand_beside_each_other(made: Path) -> None:
    dataset, pooled = open_dataset(made), ("mean", "std")
    assert dataset.dims(MODALITIES, pooled) == {"text": 6, "audio": 8, "vision": 3}
    batch = next(Feed(dataset, "train", replace(LOADING, pooled=pooled)).batches())
    assert batch.values["audio"].shape[2] == 8


def test_unlabelled_utterances_are_left_out_and_counted(
    tmp_path: Path, write_version: Callable[..., Path], made_rows: list[Any]
) -> None:
    rows = [replace(row, sentiment=None) if i % 8 == 0 else row for i, row in enumerate(made_rows)]
    dataset = open_dataset(write_version(tmp_path, rows, {"text": (6, ("mean",))}))
    loading = replace(LOADING, modalities=("text",))
    census = read_rows(dataset, "train", "sentiment").census(12)
    assert (census.rows, census.labelled) == (64, 56)
    assert sum(len(b) for b in Feed(dataset, "train", loading).batches((0, 1))) == 56
    everything = list(Feed(dataset, "train", replace(loading, labelled=False)).batches())
    assert sum(int(b.sentiment.isnan().sum()) for b in everything) == 8


def test_word_pieces_point_at_time_steps_across_pauses(
    tmp_path: Path, write_version: Callable[..., Path], made_rows: list[Any]
) -> None:
    row = next(row for row in made_rows if len(row.valid["text"]) == 5)
    kinds = ["word", "pause", "word", "word", "pause"]
    text = np.array([kind == "word" for kind in kinds])
    row = replace(
        row,
        split="train",
        word_type=kinds,
        valid={**row.valid, "text": text},
        token_ids=[101, 7, 8, 9, 5, 102],
        token_words=[-1, 0, 0, 1, 2, -1],
    )
    dataset = open_dataset(write_version(tmp_path, [row], {"text": (6, ("mean",))}))
    assert dataset.has_tokens
    loading = Loading(("text",), steps=12, tokens=True)
    batch = next(Feed(dataset, "train", loading).batches())
    assert batch.tokens is not None
    assert batch.tokens.ids.tolist() == [[101, 7, 8, 9, 5, 102]]
    assert batch.tokens.steps.tolist() == [[-1, 0, 0, 2, 3, -1]]
    assert batch.valid["text"].tolist() == [text.tolist()]
    assert batch.values["text"][0, 1].abs().sum() == 0
    cut = next(Feed(dataset, "train", replace(loading, steps=3)).batches())
    assert cut.tokens is not None
    assert cut.tokens.ids.tolist() == [[101, 7, 8, 9, 102]]
    assert cut.tokens.steps.tolist() == [[-1, 0, 0, 2, -1]]


def test_word_pieces_stay_with_their_own_row(made: Path, made_rows: list[Any]) -> None:
    batch = next(Feed(open_dataset(made), "train", replace(LOADING, tokens=True)).batches())
    assert batch.tokens is not None
    for i, row in enumerate(made_rows[:10]):
        n = len(row.token_ids)
        assert batch.tokens.ids[i, :n].tolist() == list(row.token_ids)
        assert batch.tokens.steps[i, :n].tolist() == list(row.token_words)  # without pauses, words are steps
        assert batch.tokens.real[i].tolist() == [k < n for k in range(batch.tokens.real.shape[1])]
        assert (batch.tokens.steps[i, n:] == -1).all()


def test_a_dataset_is_found_by_folder_store_or_corpus(made: Path, tmp_path: Path) -> None:
    store = made.parents[2]
    assert (
        open_dataset(made).folder == open_dataset(store).folder == open_dataset(store, "made").folder == made
    )
    assert newest_corpus(store) == "made"
    for asked in ((store, "other"), (tmp_path, None), (tmp_path, "demo")):
        with pytest.raises(MimdataError, match="`mimdata align`"):
            open_dataset(*asked)


def test_a_modality_that_is_not_there_is_named(made: Path) -> None:
    with pytest.raises(MimdataError, match="no modality 'gaze': it has text, audio, vision"):
        open_dataset(made).dims(("gaze",), ("mean",))


def test_a_damaged_shard_is_named(
    tmp_path: Path, write_version: Callable[..., Path], made_rows: list[Any]
) -> None:
    folder = write_version(tmp_path, made_rows, {"text": (6, ("mean",))})
    (folder / "train-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(MimdataError, match=r"train-00001\.parquet cannot be read"):
        list(Feed(open_dataset(folder), "train", replace(LOADING, modalities=("text",))).batches())
