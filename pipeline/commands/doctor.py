"""`mimdata doctor`: is everything here that mimdata needs, and does it run?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

import click

from mimdata.pipeline.commands.options import JSON, STORE, configuration, print_json
from mimdata.pipeline.terminal import say

State = Literal["ok", "warning", "failed"]
PACKAGES = (
    "torch",
    "torchvision",
    "transformers",
    "facenet-pytorch",
    "opensmile",
    "pocketsphinx",
    "av",
    "dask",
    "pyarrow",
)
FREE_GIB = 5.0


class Check(NamedTuple):
    """One line of the doctor's report."""

    name: str
    state: State
    detail: str


@click.command("doctor")
@STORE
@JSON
def doctor_command(store: str | None, as_json: bool) -> None:
    """Is everything here that mimdata needs, and does it run? Exit code 1 if not."""
    worst = 0
    for check in _checks(configuration(None, (), (), store=store).store):
        worst |= check.state == "failed"
        if as_json:
            print_json(check._asdict())
        else:
            mark = {"ok": "✓", "warning": "!", "failed": "✗"}[check.state]
            say(f"{mark} {check.name}: {check.detail}")
    sys.exit(worst)


def _checks(store: str) -> Iterator[Check]:
    yield Check(
        "Python",
        "ok",
        f"{platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
    )
    for name in PACKAGES:
        yield _package(name)
    for name, trial in TRIALS.items():
        yield _try(name, trial)
    yield _disk(store)


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        return Check(name, "failed", "not installed: run `make setup`, or pip install -r requirements.lock")


def _try(name: str, trial: Callable[[], tuple[State, str]]) -> Check:
    try:
        return Check(name, *trial())
    except Exception as error:  # noqa: BLE001  # whatever it is, the report is where it belongs
        return Check(
            name, "failed", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )


def _gpu() -> tuple[State, str]:
    import torch

    if not torch.cuda.is_available():
        return "ok", "none: everything runs on the CPU"
    return "ok", ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _faces() -> tuple[State, str]:
    import numpy as np
    import torchvision  # noqa: F401  # a torchvision of another build fails here
    from facenet_pytorch import MTCNN

    MTCNN(keep_all=True).detect(np.zeros((1, 120, 160, 3), np.uint8))
    weights = os.environ.get("MIMDATA_FACE_WEIGHTS")
    if weights and Path(weights).is_file():
        return "ok", f"MTCNN runs; VGGFace2 weights at {weights}"
    return "warning", "MTCNN runs; no VGGFace2 weights, so geometry without embeddings (docs/weights.md)"


def _speech() -> tuple[State, str]:
    from mimdata.pipeline.espeak import phonemes

    return "ok", f"espeak-ng spells “mimdata” /{phonemes('mimdata')}/"


def _voice() -> tuple[State, str]:
    import numpy as np
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)
    return "ok", f"{smile.process_signal(np.zeros(16000, np.float32), 16000).shape[1]} low-level descriptors"


def _codecs() -> tuple[State, str]:
    import av

    wanted = ("h264", "aac", "mpeg1video", "mp2", "vp9", "opus")
    absent = [name for name in wanted if name not in av.codecs_available]
    return (
        ("warning", f"PyAV lacks {', '.join(absent)}")
        if absent
        else ("ok", f"PyAV reads {', '.join(wanted)}")
    )


def _disk(store: str) -> Check:
    if "://" in store:
        return Check("store", "ok", f"{store} (not on this machine)")
    place = Path(store).absolute()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free / 2**30
    if not os.access(there, os.W_OK):
        return Check("store", "failed", f"{there} cannot be written to: choose another with --store")
    return Check("store", "ok" if free > FREE_GIB else "warning", f"{place}: {free:.0f} GiB free")


TRIALS: dict[str, Callable[[], tuple[State, str]]] = {
    "GPU": _gpu,
    "face detection": _faces,
    "letter-to-sound": _speech,
    "openSMILE": _voice,
    "codecs": _codecs,
}
