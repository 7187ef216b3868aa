"""ELAN annotations (.eaf): the tiers whose annotations have times of their own.

TIME_ORDER/TIME_SLOT gives each slot's id its milliseconds; TIER/ANNOTATION/ALIGNABLE_ANNOTATION names two slots and holds an
ANNOTATION_VALUE. Annotations that refer to others, and slots without a time, have no place and are left out. Source: the
EAF schema, version 3.0.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.formats.tiers import Interval, Tiers, free_name, read_bytes


def read_elan(path: Path) -> Tiers:
    """Tiers by their TIER_ID; the end is that of the last annotation. Raises MimdataError for what is no EAF."""
    data = read_bytes(path, "ELAN file")
    try:
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise ValueError("it defines entities, which an annotation has no use for")
        root = ElementTree.fromstring(data)
        if root.tag != "ANNOTATION_DOCUMENT":
            raise ValueError(f"expected ANNOTATION_DOCUMENT, found {root.tag[:40]}")
        times = {
            slot.get("TIME_SLOT_ID", ""): _seconds(slot) for slot in root.iterfind("TIME_ORDER/TIME_SLOT")
        }
        tiers: dict[str, tuple[Interval, ...]] = {}
        for tier in root.iterfind("TIER"):
            tiers[free_name(tier.get("TIER_ID", ""), tiers)] = tuple(_intervals(tier, times))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise MimdataError(
            f"{path.name} is no ELAN file that can be read ({error}): save it again from ELAN"
        ) from error
    ends = [item.end for tier_items in tiers.values() for item in tier_items]
    return Tiers(tiers, max(ends, default=0.0))


def _seconds(slot: ElementTree.Element) -> float | None:
    value = slot.get("TIME_VALUE")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise ValueError(f"TIME_VALUE {value[:20]!r} is no number of milliseconds")
    return int(value) / 1000


def _intervals(tier: ElementTree.Element, times: dict[str, float | None]) -> list[Interval]:
    found = []
    for item in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
        start, end = (times.get(item.get(f"TIME_SLOT_REF{i}", "")) for i in (1, 2))
        label = (item.findtext("ANNOTATION_VALUE") or "").strip()
        if start is not None and end is not None and label:
            found.append(Interval(start, end, label))
    return sorted(found, key=lambda interval: interval.start)
