"""Films in many containers, written once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.films import CONTAINERS, LONG, SOUNDS, beeps, write_film


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A film of 40 s, 25 pictures a second, in each container."""
    folder = tmp_path_factory.mktemp("films")
    return {
        kind: write_film(
            folder / f"film.{kind}",
            times=np.arange(LONG * 25) / 25,
            sound=beeps(LONG, codecs.rate),
            codecs=codecs,
        )
        for kind, codecs in (CONTAINERS | SOUNDS).items()
    }
