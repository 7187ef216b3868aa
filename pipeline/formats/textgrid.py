"""TextGrid files of Praat and the Montreal Forced Aligner: their interval tiers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mimdata.pipeline.errors import MimdataError


@dataclass(frozen=True)
class Interval:
    """A labelled stretch of a recording, in seconds from its beginning."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class TextGrid:
    """The interval tiers of a file by name, without their empty intervals, and the file's end in seconds."""

    tiers: dict[str, tuple[Interval, ...]]
    end: float


def read_textgrid(path: Path) -> TextGrid:
    """Long and short text form, UTF-8 or UTF-16. Of two tiers of one name the second is called NAME_2.

    Raises MimdataError for a file that is no TextGrid, and OSError for one that cannot be read.
    """
    from praatio import textgrid  # type: ignore[import-untyped]
    from praatio.utilities.constants import INTERVAL_TIER  # type: ignore[import-untyped]
    from praatio.utilities.errors import PraatioException  # type: ignore[import-untyped]

    try:
        grid = textgrid.openTextgrid(
            str(path), includeEmptyIntervals=False, reportingMode="silence", duplicateNamesMode="rename"
        )
        tiers = {name: grid.getTier(name) for name in grid.tierNames}
        return TextGrid(
            {
                name: tuple(Interval(float(e.start), float(e.end), e.label) for e in tier.entries)
                for name, tier in tiers.items()
                if tier.tierType == INTERVAL_TIER
            },
            float(grid.maxTimestamp),
        )
    except (PraatioException, ValueError, IndexError, AttributeError, TypeError) as error:
        said = str(error).splitlines()
        raise MimdataError(
            f"{path.name} is no TextGrid that can be read ({said[0] if said else type(error).__name__}): "
            "save it from Praat as a text file or a short text file, in UTF-8 or UTF-16"
        ) from error
