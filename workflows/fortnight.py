"""Two weeks of nights on the demo corpus: changes, a crash, a bad night, a rollback, and the same bytes in the end.

    python -m mimdata.workflows.fortnight FOLDER

Each night is a `mimdata rebuild` in a process of its own, after what somebody did to the corpus that day. The log of
one such fortnight is docs/fortnight.txt. Exit code 1 when a night ends otherwise than it must.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mimdata.pipeline.corpora.demo_builder import build_demo
from mimdata.pipeline.terminal import say

MIMDATA = (sys.executable, "-c", "from mimdata.pipeline.cli import main; main(prog_name='mimdata')")
TRANSCRIPTS, FILMS = "Raw/Transcript/Segmented/Combined", "Raw/Videos/Full/Combined"
WORKFLOW = """corpus = "demo"
root = "corpus"
store = "store"

[checks]
shared_sentences = "off"    # two dozen made-up sentences
feature_drift = "off"       # so few that one film moves every mean
removed_clips = 0.3

[retention]
keep = 7
"""


@dataclass
class Fortnight:
    """The folder in which it happens, and what was seen so far."""

    folder: Path
    versions: list[str] = field(default_factory=list)
    wrong: int = 0

    def corpus(self, *parts: str) -> Path:
        """A file of the corpus."""
        return self.folder.joinpath("corpus", *parts)

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`mimdata` in the folder."""
        return subprocess.run(
            (*MIMDATA, *arguments), cwd=self.folder, capture_output=True, text=True, check=False
        )

    def rebuild(self, *more: str) -> tuple[int, dict[str, Any]]:
        """A night's rebuild: its exit code and its report."""
        done = self.call("rebuild", "fortnight.toml", "--json", *more)
        try:
            return done.returncode, json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            sys.exit(f"the rebuild said no report, but: {done.stdout}{done.stderr}")

    def night(self, number: int, day: str, expected: str, *more: str) -> dict[str, Any]:
        """One night, told in a line; `expected` is the state that it must end in."""
        began = time.perf_counter()
        code, report = self.rebuild(*more)
        computed = (
            ", ".join(f"{s['computed']} {s['stage']}" for s in report["stages"] if s["computed"]) or "nothing"
        )
        fits = report["state"] == expected
        self.wrong += not fits
        version = (report["version"] or {}).get("version", "")
        state = report["state"] if fits else f"{report['state']} (must be {expected})"
        say(
            f"night {number:2}  {day}",
            f"          {state}, exit code {code}, {time.perf_counter() - began:.1f} s; computed {computed}",
            f"          {version}; readers have {report['latest']}",
        )
        for line in (report["reason"], *report["remarks"]):
            if line:
                say(f"          {line}")
        return report

    def must(self, what: str, true: bool) -> None:
        """Something that has to hold, told in a line."""
        self.wrong += not true
        say(f"          {what}: {'yes' if true else 'NO'}")


def main(folder: Path) -> int:
    """Run the fortnight; the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fortnight.toml").write_text(WORKFLOW)
    build_demo(folder / "corpus", 24, 6)
    week = Fortnight(folder)
    late = _hide(week, "demo0003")
    began = time.perf_counter()
    first = week.night(1, "Five films are there.", "published")
    week.night(2, "Nobody does anything.", "unchanged")
    _edit(week, "demo0001", lambda line: line.replace("was", "is", 1))
    week.night(3, "A transcript line is put right.", "published")
    late()
    week.night(4, "A sixth film arrives.", "published")
    _crash(week, 5, "The pictures are to be read ten times a second. The rebuild is killed with -9 half-way.")
    faster = ("--set", "extractors.vision.fps=10.0")
    week.night(6, "The same, undisturbed.", "published", *faster)
    good = week.corpus(FILMS, "demo0000.mp4").read_bytes()
    _mute(week, "demo0000")
    week.night(7, "A converter muted a film.", "candidate", *faster)
    week.night(8, "Nobody has looked yet.", "candidate", *faster)
    week.corpus(FILMS, "demo0000.mp4").write_bytes(good)
    week.night(9, "The film is put back.", "unchanged", *faster)
    _hide(week, "demo0002")
    shorter = week.night(10, "Somebody withdraws consent: a film is removed.", "published", *faster)
    done = week.call("rollback", "--store", "store", "--corpus", "demo", "--reason", "was it the right film?")
    say(f"  day 11  {done.stdout.strip()}")
    week.night(11, "The corpus is as it was last night.", "candidate", *faster)
    name = shorter["version"]["version"]
    done = week.call("publish", name, "--store", "store", "--corpus", "demo", "--force", "--reason", "it was")
    say(f"  day 12  {done.stdout.strip()}")
    week.night(12, "Published by hand.", "unchanged", *faster)
    _flip(week, name)
    week.night(13, "The disk flips a bit of a shard.", "unchanged", *faster)
    last = week.night(14, "Nobody does anything.", "unchanged", *faster)
    _prove(week, first, last, faster)
    say(
        f"{time.perf_counter() - began:.0f} s; {'all as it must be' if not week.wrong else f'{week.wrong} things are wrong'}"
    )
    return min(week.wrong, 1)


def _hide(week: Fortnight, video: str) -> Callable[[], None]:
    """Take a film and its transcript away; returns what brings them back."""
    files = [week.corpus(FILMS, f"{video}.mp4"), week.corpus(TRANSCRIPTS, f"{video}.txt")]
    aside = week.folder / "aside"
    aside.mkdir(exist_ok=True)
    for file in files:
        shutil.move(file, aside / file.name)

    def back() -> None:
        for file in files:
            shutil.move(aside / file.name, file)

    return back


def _edit(week: Fortnight, video: str, change: Callable[[str], str]) -> None:
    path = week.corpus(TRANSCRIPTS, f"{video}.txt")
    lines = path.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if change(line) != line)
    lines[number] = change(lines[number])
    path.write_text("\n".join(lines) + "\n")


def _mute(week: Fortnight, video: str) -> None:
    """The same pictures with a silent sound track."""
    from mimdata.workflows.muting import mute

    mute(week.corpus(FILMS, f"{video}.mp4"))


def _crash(week: Fortnight, number: int, day: str) -> None:
    """Kill the rebuild as soon as some of the night's work is stored."""
    parts = week.folder / "store" / "tracks" / "vision"
    before = len(list(parts.glob("*/*.parquet")))
    command = (*MIMDATA, "rebuild", "fortnight.toml", "--set", "extractors.vision.fps=10.0")
    with subprocess.Popen(
        command, cwd=week.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and len(list(parts.glob("*/*.parquet"))) == before:
            time.sleep(0.02)
        process.kill()
    stored = len(list(parts.glob("*/*.parquet"))) - before
    say(f"night {number:2}  {day}", f"          killed with {stored} of the night's parts stored")
    week.must("it was killed, not too late", process.returncode == -signal.SIGKILL)


def _flip(week: Fortnight, version: str) -> None:
    shard = next((week.folder / "store" / "datasets" / "demo" / version).glob("train-*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(bytes(content))


def _prove(week: Fortnight, first: dict[str, Any], last: dict[str, Any], more: Sequence[str]) -> None:
    """What all of it must come to."""
    say("At the end:")
    done = week.call("verify", "--store", "store", "--corpus", "demo", "--sample", "4", "--json")
    verdict = json.loads(done.stdout)
    week.must("every file has its digest, and four clips computed anew are equal", not verdict["differences"])
    fresh = week.call("rebuild", "fortnight.toml", "--store", "fresh", "--json", *more)
    digest = json.loads(fresh.stdout.splitlines()[-1])["version"]["digest"]
    week.must(
        "a store that never saw any of this comes to the same digest", digest == last["version"]["digest"]
    )
    names = json.loads(week.call("status", "--store", "store", "--json").stdout)["datasets"]
    week.must(
        "the first version is still there for its readers",
        first["version"]["version"] in {d["version"] for d in names},
    )
    left = list((week.folder / "store").rglob(".tmp-*"))
    week.must("nothing half-written is left in the store", not left)
    say(*week.call("versions", "--store", "store", "--history").stdout.splitlines())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
