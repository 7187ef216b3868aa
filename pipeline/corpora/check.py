"""What a corpus holds, in numbers, before hours are spent on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from mimdata.pipeline.corpora.rules import admit
from mimdata.pipeline.records import Clip, Problem
from mimdata.pipeline.steps import Corpus


@dataclass(frozen=True)
class ProblemGroup:
    """Problems of one cause: how many, how many of them cost a clip, and one of them as an example."""

    cause: str
    count: int
    excluded: int
    example: str
    hint: str


@dataclass(frozen=True)
class CorpusSummary:
    """Counts over a corpus. `hours` covers the clips whose span is known; `unknown_spans` counts the others.

    `listed` is every clip that the corpus names: `clips`, whose media are there, plus those excluded.
    """

    corpus: str
    videos: int
    listed: int
    clips: int
    with_labels: int
    with_emotions: int
    with_words: int
    splits: Mapping[str, int]
    hours: float
    unknown_spans: int
    problems: tuple[ProblemGroup, ...]

    @property
    def excluded(self) -> int:
        """Clips that will be skipped."""
        return self.listed - self.clips

    def to_json(self) -> dict[str, Any]:
        """All counts as plain values."""
        return {**asdict(self), "excluded": self.excluded}

    def to_text(self) -> str:
        """A table of counts and, below, one line a cause of problems with an example and what to do."""
        return "\n".join([*_count_lines(self), *chain.from_iterable(map(_problem_lines, self.problems))])


def summary(corpus: Corpus, root: Path) -> CorpusSummary:
    """Read the listing of `corpus` under `root` once, opening no media. Raises MimdataError as the corpus does."""
    counts: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    videos: set[str] = set()
    seconds = 0.0
    problems: list[Problem] = []
    for item in chain(admit(corpus.clips(root)), corpus.check(root)):
        if isinstance(item, Problem):
            problems.append(item)
            continue
        videos.add(item.video_id)
        splits[item.split or "none"] += 1
        counts.update(_traits(item))
        seconds += (item.end - (item.start or 0.0)) if item.end is not None else 0.0
    return CorpusSummary(
        corpus.name,
        len(videos),
        counts["clip"] + sum(problem.excludes for problem in problems),
        counts["clip"],
        counts["labels"],
        counts["emotions"],
        counts["words"],
        dict(sorted(splits.items())),
        seconds / 3600,
        counts["unknown span"],
        grouped(problems),
    )


def grouped(problems: Iterable[Problem]) -> tuple[ProblemGroup, ...]:
    """Problems by cause: those that cost clips first, then the most frequent."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.cause, []).append(problem)
    rows = [
        ProblemGroup(cause, len(group), sum(p.excludes for p in group), group[0].message, group[0].hint)
        for cause, group in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.excluded, -row.count, row.cause)))


def _traits(clip: Clip) -> list[str]:
    traits = {
        "clip": True,
        "labels": clip.sentiment is not None,
        "emotions": bool(clip.emotions),
        "words": clip.words is not None,
        "unknown span": clip.end is None,
    }
    return [name for name, holds in traits.items() if holds]


def _count_lines(found: CorpusSummary) -> list[str]:
    splits = ", ".join(f"{name} {count}" for name, count in found.splits.items())
    unknown = (
        f", and {found.unknown_spans} clips that last as long as their files" if found.unknown_spans else ""
    )
    return [
        f"{found.corpus}: {found.clips} of {found.listed} clips can be used, of {found.videos} videos",
        f"  excluded     {found.excluded}",
        f"  with labels  {found.with_labels} (emotions {found.with_emotions})",
        f"  with words   {found.with_words}",
        f"  splits       {splits or 'none'}",
        f"  hours        {found.hours:.2f}{unknown}",
    ]


def _problem_lines(group: ProblemGroup) -> list[str]:
    cost = f", excludes {group.excluded}" if group.excluded else ""
    hint = f" ({group.hint})" if group.hint else ""
    return [f"{group.cause}: {group.count}{cost}", f"  such as: {group.example}{hint}"]
