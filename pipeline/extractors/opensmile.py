"""Voice: openSMILE's low-level descriptors (every 10 ms) or functionals (once a clip)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from mimdata.pipeline.media import SAMPLE_RATE, Media
from mimdata.pipeline.records import Bool, Clip, Float32, Reason, Track
from mimdata.pipeline.steps import Extract, Reads, Resources

FeatureSet = Literal["eGeMAPSv02", "eGeMAPSv01b", "GeMAPSv01b", "ComParE_2016"]
Level = Literal["lld", "functionals"]

HOP = 0.01  # seconds, of all these sets
# Seconds. Row k stands on the samples from k × HOP on: 20 ms of them for loudness, energy and spectrum, 60 ms for pitch
# and voice quality, which are thus centred 20 ms later than the times that we give (measured on bursts and tones).
WINDOW = 0.02
LOUDEST = 32767 / 32768  # openSMILE makes 16-bit samples and wraps +1.0 round to −1.0


@dataclass(frozen=True)
class OpensmileExtractor:
    """openSMILE descriptors of the voice (eGeMAPSv02: 25 every 10 ms; ComParE_2016: 65), or functionals."""

    name: ClassVar[str] = "opensmile"
    version: ClassVar[int] = 1
    modality: ClassVar[str] = "audio"
    libraries: ClassVar[tuple[str, ...]] = ("opensmile", "av", "numpy")
    feature_set: FeatureSet = "eGeMAPSv02"
    level: Level = "lld"

    @property
    def reads(self) -> Reads:
        """The sound alone."""
        return Reads(audio=True)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """openSMILE's own names: 25 (eGeMAPSv02) or 65 (ComParE_2016) descriptors, 88 or 6373 functionals."""
        return tuple(_smile(self.feature_set, self.level).feature_names)

    def weights(self) -> Mapping[str, str]:
        """None."""
        return {}

    def open(self, resources: Resources) -> Extract:
        """openSMILE keeps nothing from clip to clip; it runs on the CPU whatever the device."""
        _smile(self.feature_set, self.level)
        return self._extract

    def _extract(self, media: Media, clip: Clip) -> Track:
        """Descriptors of the whole clip; each stands for the hop around the centre of its WINDOW."""
        signal = media.audio()
        if signal is None:
            return Track.empty(len(self.feature_names), "no audio track")
        if not len(signal):
            return Track.empty(len(self.feature_names), "the clip holds no samples")
        signal = np.clip(signal, -1.0, LOUDEST)
        values = _descriptors(_smile(self.feature_set, self.level), signal)
        if self.level == "functionals":
            times = np.array([[0, media.duration]], np.float32)
            return _track(times, values, np.array([not _audible(signal).any()]))
        starts = np.arange(len(values), dtype=np.float64) * HOP
        middle = starts + WINDOW / 2
        times = np.stack([middle - HOP / 2, middle + HOP / 2], axis=1).astype(np.float32)
        return _track(times, values, _silent(signal, starts))


@cache
def _smile(feature_set: FeatureSet, level: Level) -> Any:
    import opensmile

    class Smile(opensmile.Smile):  # type: ignore[misc]
        """Without the description of itself for YAML, for which it looks through all installed packages: 0.3 s."""

        def to_dict(self, **_: Any) -> dict[str, Any]:
            return {}

    levels = {
        "lld": opensmile.FeatureLevel.LowLevelDescriptors,
        "functionals": opensmile.FeatureLevel.Functionals,
    }
    return Smile(opensmile.FeatureSet[feature_set], levels[level])


def _descriptors(smile: Any, signal: Float32) -> Float32:
    """(n, d) float32 with NaN where openSMILE had too few samples."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # "Segment too short, filling with NaN": we mark it ourselves
        values = smile(signal, SAMPLE_RATE)[0].T
    return np.ascontiguousarray(values, dtype=np.float32)


def _track(times: Float32, values: Float32, silent: Bool) -> Track:
    finite = np.isfinite(values)
    short = np.isnan(values).all(axis=1)
    reason = np.select(
        [short, ~finite.all(axis=1), silent],
        [Reason.TOO_SHORT, Reason.NOT_FINITE, Reason.SILENT],
        Reason.VALID,
    ).astype(np.uint8)
    return Track(times, np.where((reason == Reason.VALID)[:, None], values, 0).astype(np.float32), reason)


def _audible(signal: Float32) -> Bool:
    """(n,) bool: samples that are not zero in the 16 bits that openSMILE sees."""
    heard: Bool = (signal * 32768).astype(np.int16) != 0
    return heard


def _silent(signal: Float32, starts: npt.NDArray[np.float64]) -> Bool:
    """(n,) bool: windows in which every sample is zero."""
    heard = np.concatenate([[0], np.cumsum(_audible(signal))])
    first = np.minimum(np.round(starts * SAMPLE_RATE).astype(np.int64), len(signal) - 1)
    last = np.minimum(first + round(WINDOW * SAMPLE_RATE), len(signal))
    silent: Bool = heard[last] == heard[first]
    return silent
