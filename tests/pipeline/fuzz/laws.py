"""The law of hostile input: for any bytes a parser gives valid records, Problems, or an error of one line.

Never another exception, never a hang, never memory without bound. `hostile` makes the bytes, `outcome` judges what a
parser makes of them. Longer, with fresh examples each time: FUZZ=20 pytest tests/pipeline/fuzz
"""

from __future__ import annotations

import math
import os
import resource
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from mimdata.pipeline.corpora.rules import leaves_root
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.records import Clip, Problem

T = TypeVar("T")

TIMES = int(
    os.environ.get("FUZZ", "0")
)  # so many times more examples, by chance; else the same ones each time
SECONDS = 20.0  # one input; a machine may be busy
MEMORY = 2**30  # bytes by which one input may raise the peak

settings.register_profile(
    "fuzz",
    max_examples=60 * max(TIMES, 1),
    derandomize=not TIMES,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
fuzz = settings.get_profile("fuzz")

# What breaks parsers of text: numbers that are none or too large, ends of lines and files, quotes, depth, escapes.
TOKENS = (
    *(b"nan", b"inf", b"-inf", b"1e999", b"-1", b"0", b"1_0", b"9" * 30, b"9" * 5000, b"1e-400", b"NaN", b"Infinity"),
    *(b"\x00", b"\r", b"\n", b"\r\n", b"\x1a", b'"', b"'", b",", b"\\", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
    *(b"[" * 3000, b"{" * 3000, b'{"a":' * 3000, b"a" * 300, b"\\ud800", b"../", b"/etc/passwd", b"C:\\", b"a" * 140_000),
    *("\x1b[31m", "\u202e", "\u2028", "\x9b", "é", "٣", "²"),
)  # fmt: skip


@st.composite
def hostile(draw: st.DrawFn, *valid: bytes, tokens: Sequence[bytes] = ()) -> bytes:
    """A valid file with one to four changes, or bytes of pure chance."""
    if not draw(st.integers(0, 9)):
        return draw(st.binary(max_size=300))
    data = draw(st.sampled_from(valid))
    pieces = [t if isinstance(t, bytes) else t.encode() for t in (*TOKENS, *tokens)]
    for _ in range(draw(st.integers(1, 4))):
        data = _changed(draw, data, pieces)
    return data


def _changed(draw: st.DrawFn, data: bytes, tokens: Sequence[bytes]) -> bytes:
    at = draw(st.integers(0, len(data)))
    until = min(len(data), at + draw(st.sampled_from((0, 1, 2, 4, 8, 40))))
    kind = draw(st.sampled_from(("token", "token", "bytes", "cut", "drop", "twice", "bit")))
    if kind == "token":
        return data[:at] + draw(st.sampled_from(tokens)) + data[until:]
    if kind == "bytes":
        return data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[until:]
    if kind == "cut":
        return data[:at]
    if kind == "drop":
        return data[:at] + data[until:]
    if kind == "twice":
        return data[:until] + data[at:]
    return (
        data[:at] + bytes([(data[at] ^ 1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        if at < len(data)
        else data
    )


def outcome(parse: Callable[[], T], name: str) -> T | None:
    """What a parser gives, or None where it refuses in one line that names the file; any other end is a failure."""
    began, peak = time.perf_counter(), _peak()
    try:
        return parse()
    except MimdataError as error:
        message = str(error)
        assert message.isprintable(), message
        assert name in message, message
        return None
    finally:
        assert time.perf_counter() - began < SECONDS, "it hangs"
        assert _peak() - peak < MEMORY, "it takes memory without bound"


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def lawful(items: Iterable[Clip | Problem]) -> list[Clip | Problem]:
    """The items, each of which can be printed, stored and computed with."""
    found = list(items)
    for item in found:
        if isinstance(item, Problem):
            assert item.message.isprintable(), item
        else:
            _check_clip(item)
    return found


def _check_clip(clip: Clip) -> None:
    assert clip.text.strip()
    assert 0 <= clip.segment < 2**31
    assert not leaves_root(clip.source)
    numbers = [clip.start, clip.end, clip.sentiment, *clip.emotions.values()]
    numbers += [time for word in clip.words or () for time in (word.start, word.end)]
    assert all(math.isfinite(number) for number in numbers if number is not None), clip
    texts = [
        clip.clip_id,
        clip.video_id,
        clip.source,
        clip.text,
        clip.language,
        clip.speaker or "",
        *clip.emotions,
    ]
    for text in [*texts, *(word.word for word in clip.words or ())]:
        text.encode()  # what UTF-8 cannot hold, Parquet cannot


def put(path: Path, data: bytes) -> Path:
    """A file with these bytes, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
