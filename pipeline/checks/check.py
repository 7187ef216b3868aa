"""One check of a version: what was looked at, what was found, and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

PASSED: Literal["passed"] = "passed"
FAILED: Literal["failed"] = "failed"
SKIPPED: Literal["skipped"] = "skipped"
EXAMPLES = 10


@dataclass(frozen=True)
class Check:
    """`found` and `limit` are for a person; `evidence` names up to EXAMPLES of what broke the limit."""

    name: str
    state: Literal["passed", "failed", "skipped"]
    found: str
    limit: str = ""
    evidence: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One document."""
        return asdict(self) | {"evidence": list(self.evidence)}


def at_most(name: str, share: float, limit: float | str, found: str, evidence: Sequence[str] = ()) -> Check:
    """A check of a share (or shift) that must not be above a limit; "off" switches it off."""
    if isinstance(limit, str):
        return skipped(name, f"{found}; switched off")
    state = FAILED if share > limit else PASSED
    return Check(
        name, state, found, f"at most {limit:g}", tuple(evidence)[:EXAMPLES] if state == FAILED else ()
    )


def at_least(name: str, share: float, limit: float | str, found: str, evidence: Sequence[str] = ()) -> Check:
    """A check of a share that must not be below a limit; "off" switches it off."""
    if isinstance(limit, str):
        return skipped(name, f"{found}; switched off")
    state = FAILED if share < limit else PASSED
    return Check(
        name, state, found, f"at least {limit:g}", tuple(evidence)[:EXAMPLES] if state == FAILED else ()
    )


def skipped(name: str, why: str) -> Check:
    """A check that cannot say anything here."""
    return Check(name, SKIPPED, why)
