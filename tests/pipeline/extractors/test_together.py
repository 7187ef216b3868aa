"""All three extractors as a worker runs them: equal to the byte in any order, whatever torch's threads were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimdata.pipeline.extractors.bert import BertExtractor
from mimdata.pipeline.extractors.facenet import FacenetExtractor
from mimdata.pipeline.extractors.opensmile import OpensmileExtractor
from mimdata.pipeline.files import stamp
from mimdata.pipeline.records import Clip
from mimdata.pipeline.steps import Resources
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.work import ClipWork, Limits, MediaTask, Want, run_media_task
from tests.pipeline.films import Codecs, beeps, write_film

STEPS = {"text": BertExtractor(), "audio": OpensmileExtractor(), "vision": FacenetExtractor()}
TEXTS = ("I loved every minute of it", "no", "it was, well, not what I'd have called good")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds: a face that moves, and goes for a second; a beep a second."""
    from skimage import data

    face = Image.fromarray(data.astronaut()).crop((140, 25, 300, 185))
    images = []
    for k in range(30):
        picture = Image.new("RGB", (320, 240), (90, 90, 90))
        if not 10 <= k < 15:
            picture.paste(face, (20 + 4 * k, 40))
        images.append(np.asarray(picture))
    path = tmp_path_factory.mktemp("together") / "v.mp4"
    sound = beeps(6, 44_100)
    return write_film(path, times=np.arange(30) / 5, images=images, sound=sound, codecs=Codecs(key_every=5))


def task(film: Path, store: Path) -> MediaTask:
    clips = [Clip(f"v[{k}]", "v", k, film.name, 2.0 * k, 2.0 * k + 2, text) for k, text in enumerate(TEXTS)]
    work = tuple(ClipWork(c, {kind: Want(f"{kind}-{c.clip_id}", "{}") for kind in STEPS}) for c in clips)
    return MediaTask(Folder(str(store)), film, stamp(film), work, STEPS, Resources(), Limits(600, "stop"))


def parts(film: Path, store: Path, order: tuple[int, ...]) -> dict[tuple[str, ...], str]:
    """Digest of what is stored of each clip and kind, the clips taken one by one in an order."""
    single = task(film, store).split()
    receipts = [receipt for i in order for receipt in run_media_task(single[i]).receipts]
    assert not any(any(receipt.failed) for receipt in receipts)
    return {receipt.keys: receipt.sha256 for receipt in receipts}


def test_no_order_and_no_number_of_threads_changes_a_byte(film: Path, tmp_path: Path) -> None:
    import torch

    threads = torch.get_num_threads()
    try:
        first = parts(film, tmp_path / "0", (0, 1, 2))
        assert len(first) == 9
        assert len(set(first.values())) == 9
        for number, order in enumerate(((2, 1, 0), (1, 2, 0), (0, 1, 2)), start=1):
            torch.set_num_threads(1 + number)  # as whoever ran before may have left it
            assert parts(film, tmp_path / str(number), order) == first
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
