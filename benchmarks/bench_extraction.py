"""Asked for: all that is around the libraries costs at most 15% of a run; two workers are 1.8 times as fast as one; the
first clip is stored within 10 s of a cold start.

The demo corpus, cold stores. Against `mimdata extract` and `mimdata align` stands a bare script: one process, one thread,
each step's own function on each clip in turn, nothing kept. Every run is a process of its own, timed from outside from
its start to its end, imports and loading of models included.

    python benchmarks/bench_extraction.py [--utterances 200] [--times 1]

Writes its section of docs/performance.md. The corpus is kept in .results for the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from report import markdown, publish

HERE = Path(__file__).parent
MIMDATA = (sys.executable, "-c", "from mimdata.pipeline.cli import main; main(prog_name='mimdata')")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
PARTS = {
    "loading": "imports and models",
    "decode": "PyAV: decoding",
    "text": "MiniLM",
    "audio": "openSMILE",
    "vision": "MTCNN",
    "words": "pocketsphinx",
}


@dataclass(frozen=True)
class Took:
    """Wall and CPU seconds of one way; when its first clip was stored; what it says of its parts."""

    wall: float
    cpu: float
    first: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=200, help="ten a video")
    parser.add_argument("--times", type=int, default=1, help="rounds, of which the median counts")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(json.dumps(bare(options.bare)))
        return
    from mimdata.pipeline.corpora.demo_builder import build_demo

    corpus = HERE.parent / ".results" / f"demo-{options.utterances}"
    build_demo(corpus, options.utterances, max(3, options.utterances // 10))
    found: defaultdict[str, list[Took]] = defaultdict(list)
    pairs: list[Took] = []
    for _ in range(options.times):
        found["bare script"].append(script(corpus))
        pairs = pairs or [two_scripts(corpus)]  # once: it says something of the machine
        for workers in (1, 2):
            found[f"`mimdata`, --workers {workers}"].append(pipeline(corpus, workers))
    publish(
        f"Extraction and alignment of {options.utterances} utterances, and what is around the libraries",
        f"benchmarks/bench_extraction.py --utterances {options.utterances} --times {options.times}",
        report(found, pairs, options),
        ("mimdata", "torch", "facenet-pytorch", "opensmile", "pocketsphinx", "av", "distributed"),
    )


def bare(corpus: Path) -> dict[str, float]:
    """What a script without a pipeline does → seconds by part."""
    began = time.perf_counter()
    import torch

    from mimdata.pipeline.config import RunConfig
    from mimdata.pipeline.corpora.mosei import MoseiCorpus
    from mimdata.pipeline.media import Media
    from mimdata.pipeline.records import Clip
    from mimdata.pipeline.steps import Resources

    torch.set_num_threads(1)
    config, here = RunConfig(), Resources()
    extractors = config.build_extractors()
    steps = {name: step.open(here) for name, step in extractors.items()}
    steps["words"] = config.build_aligner().open(here)
    rates = {step.reads.fps for step in extractors.values() if step.reads.fps}
    seconds = {"loading": time.perf_counter() - began}
    for clip in MoseiCorpus().clips(corpus):
        assert isinstance(clip, Clip)
        media = Media(corpus / clip.source, clip.start, clip.end, audio=True, fps=rates)
        for name, step in {"decode": lambda media, _: media.audio(), **steps}.items():
            began = time.perf_counter()
            step(media, clip)
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
    return seconds


def script(corpus: Path) -> Took:
    """The bare script in a process of its own."""
    took, out, _ = timed((sys.executable, __file__, "--bare", str(corpus)), HERE, None)
    return Took(took.wall, took.cpu, None, json.loads(out))


def two_scripts(corpus: Path) -> Took:
    """Two bare scripts at once, each over the whole corpus: what the machine gives a second worker at best."""
    with ThreadPoolExecutor(2) as pool:
        return max(pool.map(script, (corpus, corpus)), key=lambda took: took.wall)


def pipeline(corpus: Path, workers: int) -> Took:
    """`mimdata extract` and `mimdata align` into a store that did not exist."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ("--corpus", "demo", "--root", str(corpus), "--workers", str(workers))
        extract, _, first = timed((*MIMDATA, "extract", *options), folder, folder / ".mimdata" / "tracks")
        align, _, _ = timed((*MIMDATA, "align", *options), folder, None)
    parts = {"extract": extract.wall, "align": align.wall}
    return Took(extract.wall + align.wall, extract.cpu + align.cpu, first, parts)


def timed(command: Sequence[str], folder: Path, store: Path | None) -> tuple[Took, str, float | None]:
    """Run to the end; also when the first clip was complete in `store`."""
    before = cpu()
    began = time.perf_counter()
    first = None
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        while store is not None and first is None and process.poll() is None:
            if len({part.parent.parent.name for part in store.glob("*/*/*.parquet")}) == 3:
                first = time.perf_counter() - began
            time.sleep(0.05)
        out, _ = process.communicate()
    wall = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{' '.join(command[3:])} ended with {process.returncode}")
    return Took(wall, cpu() - before), out, first


def cpu() -> float:
    """Seconds of all processes that ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def median(each: Sequence[Took]) -> Took:
    """The one in the middle by wall time."""
    return sorted(each, key=lambda took: took.wall)[len(each) // 2]


def report(found: Mapping[str, Sequence[Took]], pairs: Sequence[Took], options: argparse.Namespace) -> str:
    """Both tables, of the medians by wall time."""
    middle = {name: median(each) for name, each in found.items()}
    script, one, *_ = middle.values()
    rows = [
        (
            name,
            *(f"{took.parts[part]:.1f}" if part in took.parts else "" for part in ("extract", "align")),
            f"{took.wall:.1f}",
            f"{took.cpu:.1f}",
            f"{one.wall / took.wall:.2f}×",
            f"{took.first:.1f}" if took.first else "",
        )
        for name, took in middle.items()
    ]
    around = one.wall - script.wall
    profile = [
        *((PARTS[part], seconds) for part, seconds in script.parts.items()),
        ("start and end of Python", script.wall - sum(script.parts.values())),
        ("around it: store, keys, Dask, pooling, second decoding of the sound", around),
    ]
    return (
        f"{options.utterances} utterances of the demo corpus (320×240, 25 pictures a second, of which MTCNN sees 5), cold stores; "
        f"{'one round' if options.times == 1 else f'the middle one of {options.times} rounds'}.\n\n"
        + markdown(
            (
                "",
                "extract, s",
                "align, s",
                "together, s",
                "CPU, s",
                "to one worker",
                "first clip stored after, s",
            ),
            rows,
        )
        + "\n\nTwo bare scripts at once, which share nothing but the machine, together do "
        f"{2 * script.wall / median(pairs).wall:.2f}× of what one does (one round): the most that a second worker can bring here."
        f"\n\nWhere the time of one worker goes, by the bare script's clock; the rest is {around / one.wall:.1%} of it:\n\n"
        + markdown(("", "seconds", "share"), [(n, f"{s:.1f}", f"{s / one.wall:.1%}") for n, s in profile])
        + "\n\nWorkers keep freed memory where the script gives it back, and so MTCNN takes a worker a twelfth less time: what is "
        "around the libraries is that much more than the rest that is shown."
    )


if __name__ == "__main__":
    main()
