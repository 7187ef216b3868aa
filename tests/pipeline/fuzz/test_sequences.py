"""Computational sequences (HDF5): any bytes, any links, any claims; and the labels and word times read from them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimdata.pipeline.corpora import mosei, mosi
from mimdata.pipeline.corpora.csd import CsdCorpus
from mimdata.pipeline.corpora.mosei_labels import CSD_NAME
from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.corpora.timed_words import find_word_source
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.csd import TimedFeatures, read_csd, write_csd
from mimdata.pipeline.records import Clip
from tests.pipeline.corpora.conftest import labels_csd, words_csd
from tests.pipeline.fuzz.laws import fuzz, hostile, lawful, outcome, put

VIDEO = "03bSnISJMiM"
WORDS = [("it", 1.5, 1.8), ("was", 1.8, 2.0), ("good", 2.1, 3.0)]


def content(path: Path) -> None:
    sequence = read_csd(path)
    for name, entry in sequence:
        assert name in sequence.ids()
        assert entry.features.ndim == 2


def test_any_bytes_in_a_sequence(tmp_path: Path) -> None:
    path = tmp_path / "things.csd"
    numbers = TimedFeatures(np.arange(8.0).reshape(4, 2), np.ones((4, 3), np.float32))
    write_csd(path, "things", [("a", numbers), ("b/c", numbers)])
    valid = path.read_bytes()
    content(path)

    @fuzz
    @given(hostile(valid, tokens=(b"\xff" * 8, b"\0" * 8, b"TREE", b"SNOD", b"HEAP")))
    def check(data: bytes) -> None:
        outcome(lambda: content(put(path, data)), path.name)

    check()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """MOSI and MOSEI in one root, with labels and words as sequences."""
    put(tmp_path / mosi.LAYOUT.transcripts / f"{VIDEO}.annotprocessed", b"1_DELIM_IT WAS GOOD\n")
    put(tmp_path / mosi.LAYOUT.full_video / f"{VIDEO}.mp4", b"film")
    put(
        tmp_path / mosei.LAYOUT.transcripts / f"{VIDEO}.txt",
        f"{VIDEO}___0___1.5___3___It was good\n".encode(),
    )
    put(tmp_path / mosei.LAYOUT.full_video / f"{VIDEO}.mp4", b"film")
    labels_csd(tmp_path / mosi.CSD_NAME, {VIDEO: [(1.5, 3.0, 2.4)]})
    labels_csd(tmp_path / CSD_NAME, {VIDEO: [(1.5, 3.0, 2.0, *[0.0] * 6)]})
    words_csd(tmp_path / "CMU_TimestampedWords.csd", {VIDEO: WORDS})
    return tmp_path


@pytest.mark.parametrize("name", [mosi.CSD_NAME, CSD_NAME, "CMU_TimestampedWords.csd"])
def test_any_bytes_in_labels_and_words(root: Path, name: str) -> None:
    for corpus in (mosi.MosiCorpus(), mosei.MoseiCorpus()):
        (clip,) = (item for item in admit(corpus.clips(root)) if isinstance(item, Clip))
        assert clip.sentiment is not None
        assert clip.words is not None
    valid = (root / name).read_bytes()

    @fuzz
    @given(hostile(valid, tokens=(np.array([np.nan, np.inf]).tobytes(), b"\xff" * 8)))
    def check(data: bytes) -> None:
        put(root / name, data)
        for corpus in (mosi.MosiCorpus(), mosei.MoseiCorpus()):
            outcome(lambda corpus=corpus: lawful(admit(corpus.clips(root))), name)  # type: ignore[misc]
            outcome(lambda corpus=corpus: lawful(corpus.check(root)), name)  # type: ignore[misc]

    check()


@pytest.mark.parametrize("name", ["All_Labels.csd", "TimestampedWords.csd"])
def test_any_bytes_in_a_folder_of_sequences(tmp_path: Path, name: str) -> None:
    labels_csd(tmp_path / "All_Labels.csd", {VIDEO: [(1.5, 3.0, 2.4)]})
    words_csd(tmp_path / "TimestampedWords.csd", {VIDEO: WORDS})
    assert len(lawful(admit(CsdCorpus().clips(tmp_path)))) == 1
    valid = (tmp_path / name).read_bytes()

    @fuzz
    @given(hostile(valid, tokens=(np.array([np.nan, np.inf]).tobytes(), b"\xff" * 8)))
    def check(data: bytes) -> None:
        put(tmp_path / name, data)
        outcome(lambda: lawful(admit(CsdCorpus().clips(tmp_path))), tmp_path.name)
        outcome(lambda: lawful(CsdCorpus().check(tmp_path)), tmp_path.name)

    check()


@fuzz
@given(
    st.lists(st.tuples(st.floats(), st.floats()), min_size=3, max_size=3),
    st.sampled_from(
        [np.zeros((3, 0)), np.zeros((3, 1)), np.array([[b"it"], [b"was"], [b"\xff"]]), np.zeros((3, 7))]
    ),
)
def test_any_numbers_in_a_sequence(
    tmp_path_factory: pytest.TempPathFactory, times: list[tuple[float, float]], features: np.ndarray
) -> None:
    root = tmp_path_factory.mktemp("root")
    put(root / mosi.LAYOUT.transcripts / f"{VIDEO}.annotprocessed", b"1_DELIM_IT WAS GOOD\n")
    put(root / mosi.LAYOUT.segmented_video / f"{VIDEO}_1.mp4", b"film")
    for name in (mosi.CSD_NAME, "CMU_TimestampedWords.csd"):
        with h5py.File(root / name, "w") as file:
            entry = file.create_group(f"x/data/{VIDEO}")
            entry["intervals"] = np.array(times)
            entry["features"] = features
    outcome(lambda: lawful(admit(mosi.MosiCorpus().clips(root))), ".csd")
    outcome(lambda: lawful(admit(CsdCorpus().clips(root))), root.name)


def hostile_sequence(path: Path, kind: str) -> Path:
    """A sequence that leads out of its file, round in a circle, or to more than it holds."""
    (path.parent / "secret.bin").write_bytes(b"secret" * 100)
    with h5py.File(path.parent / "secret.h5", "w") as other:
        other["features"], other["intervals"] = np.ones((1, 1)), np.ones((1, 2))
    with h5py.File(path, "w") as file:
        data = file.create_group("x/data")
        entry = data.create_group("a")
        entry["intervals"] = np.zeros((4, 2))
        if kind == "external link":
            data["b"] = h5py.ExternalLink(str(path.parent / "secret.h5"), "/")
        elif kind == "external storage":
            external = [(str(path.parent / "secret.bin"), 0, 32)]
            entry.create_dataset("features", (4, 1), "f8", external=external)
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4, 1), "f8")
            layout[0] = h5py.VirtualSource(str(path.parent / "secret.h5"), "features", (1, 1))[0]
            entry.create_virtual_dataset("features", layout)
        elif kind == "circle":
            data["a/round"] = data
            del entry["intervals"]
        elif kind == "soft circle":
            data["b"] = h5py.SoftLink("/x/data/b")
        else:
            entry.create_dataset("features", (2**40, 1), "f8", chunks=(2**20, 1), compression="gzip")
    return path


@pytest.mark.parametrize(
    "kind", ["external link", "external storage", "virtual", "circle", "soft circle", "a terabyte of nothing"]
)
def test_a_sequence_reads_itself_alone_and_no_more_than_it_holds(tmp_path: Path, kind: str) -> None:
    path = hostile_sequence(tmp_path / "evil.csd", kind)
    with pytest.raises(MimdataError, match=r"evil\.csd"):
        content(path)


def test_words_without_numbers_for_times_are_left_out(tmp_path: Path) -> None:
    words_csd(
        tmp_path / "A_TimestampedWords.csd",
        {VIDEO: [("it", 0.0, np.inf), ("was", np.nan, 2.0), ("good", 2, 3)]},
    )
    source = find_word_source(tmp_path)
    assert source is not None
    spoken = source.of(VIDEO)
    assert spoken is not None
    assert spoken.spellings == ("good",)
