"""Clip ids, transcripts and file names that would drive a terminal: every command writes them out, on one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from mimdata.pipeline.cli import main
from mimdata.pipeline.terminal import json_line, printable
from tests.command import Command, Done
from tests.pipeline.films import beeps, write_film

CLEAR, BACK, TITLE = "\x1b[2J", "\u202e", "\x9b31m\x07"
NAME = f"a{CLEAR}\n{BACK}b"
TEXT = f"one {TITLE}two <b>three</b> {BACK}four"


def harmless(done: Done) -> Done:
    """Nothing of what was printed drives a terminal or stands on a line that it made itself."""
    for stream in (done.out, done.err):
        for line in stream.split("\n"):
            assert line.isprintable(), line
    return done


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A store with one good clip and one that fails, both with hostile names and texts."""
    folder = tmp_path_factory.mktemp("hostile")
    root = folder / "root"
    root.mkdir()
    film = write_film(folder / "film.mp4", times=np.arange(40) / 25, sound=beeps(1.6, 44_100))
    (root / f"{NAME}.mp4").write_bytes(film.read_bytes())
    (root / f"broken{CLEAR}.mp4").write_bytes(b"no film")
    rows = [
        {"source": f"{NAME}.mp4", "text": TEXT, "clip_id": f"{NAME}[0]", "start": 0, "end": 1.5, "speaker": NAME,
         "words": [{"word": word, "start": i * 0.3, "end": i * 0.3 + 0.2} for i, word in enumerate(TEXT.split())]},
        {"source": f"broken{CLEAR}.mp4", "text": TEXT, "clip_id": f"broken{NAME}[0]"},
        {"source": f"missing{NAME}.mp4", "text": TEXT, "clip_id": f"missing{NAME}[0]"},
        {"source": f"{NAME}.mp4", "text": TEXT, "start": NAME},
        {"source": f"{NAME}.mp4", "text": TEXT, "clip_id": f"range{NAME}[0]", "sentiment": 99},
    ]  # fmt: skip
    (root / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    call = Command(folder)
    run = ("--corpus", "manifest", "--root", "root", "--workers", "0", "--modality", "audio")
    harmless(call("extract", *run, code=3))
    harmless(call("align", *run, "--aligner", "given", code=3))
    return call


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("failures",),
        ("failures", "--json"),
        ("inspect", f"{NAME}[0]"),
        ("inspect", f"{NAME}[0]", "--json"),
        ("why", f"{NAME}[0]"),
        ("why", f"{NAME}[0]", "--set", "extractors.audio.version=2"),
        ("provenance", f"{NAME}[0]"),
        ("provenance", f"{NAME}[0]", "--json"),
        ("versions",),
        ("verify", "--all"),
        ("corpora", "check", "--corpus", "manifest", "--root", "root"),
        ("corpora", "check", "--corpus", "manifest", "--root", "root", "--json"),
        ("inspect", f"unknown{NAME}"),
        ("why", f"unknown{NAME}"),
        ("provenance", f"unknown{NAME}"),
        ("extract", "--corpus", f"unknown{NAME}"),
        ("extract", "--corpus", "manifest", "--root", f"unknown{NAME}"),
        ("predict", f"unknown{NAME}", f"unknown{NAME}", "--text", TEXT),
        ("explain", f"unknown{NAME}", f"unknown{NAME}"),
        ("evaluate", f"unknown{NAME}"),
        ("runs", f"unknown{NAME}"),
    ],
    ids=lambda arguments: " ".join(map(ascii, arguments)),
)
def test_no_command_lets_a_corpus_drive_the_terminal(call: Command, arguments: tuple[str, ...]) -> None:
    done = harmless(call(*arguments, code=None))
    assert "Traceback" not in done.err


def test_what_is_shown_still_says_what_it_was(call: Command) -> None:
    shown = call("inspect", f"{NAME}[0]").out
    assert "a\\x1b[2J\\n\\u202eb[0] (manifest)" in shown
    assert "one \\x9b31m\\x07two <b>three</b> \\u202efour" in shown
    (found,) = call("inspect", f"{NAME}[0]", "--json").lines()
    assert (found["clip_id"], found["text"].split()) == (f"{NAME}[0]", TEXT.split())


def test_an_explanation_writes_hostile_words_out(capsys: pytest.CaptureFixture[str]) -> None:
    from mimdata.mim.display import print_table, show_explanation

    gate = {"gate": 1, "openness": 0.5}
    branch = {
        "gates": [gate],
        "unpurified": [0.1],
        "purified": [0.1],
        "loss": None,
        "weight": None,
        "within": None,
    }
    word = {"word": TEXT, "start": 0.0, "end": 1.0}
    show_explanation(
        {"clip_id": NAME, "words": [word], "modalities": {NAME: branch}, "label": None, "prediction": [0.1]}
    )
    print_table(NAME, (NAME, NAME), [(NAME, TEXT)])
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "\\x1b" in out


def test_the_log_and_errors_are_one_line_each() -> None:
    import logging

    from mimdata.pipeline.errors import ClipError, MimdataError
    from mimdata.pipeline.terminal import OneLine

    record = logging.LogRecord("mimdata", logging.WARNING, "", 0, "%s is odd", (NAME,), None)
    assert OneLine("%(message)s").format(record) == "a\\x1b[2J\\n\\u202eb is odd"
    assert str(MimdataError(f"{NAME} is odd")) == "a\\x1b[2J\\n\\u202eb is odd"
    assert str(ClipError("cause", f"{NAME} is odd")).isprintable()
    assert len(str(MimdataError("x" * 10**6))) < 2000


def test_json_is_the_same_to_a_reader_and_harmless_to_a_terminal() -> None:
    value = {"clip": NAME, "text": f"{TEXT} \ud800 \U000e0001 ü 日本"}
    assert json_line(value).isprintable()
    assert json.loads(json_line(value)) == value
    assert "日本" in json_line(value)


def test_commands_print_through_one_door() -> None:
    """The ban on click.echo elsewhere is ruff's; here is what the door does."""
    done = CliRunner().invoke(main, ["inspect", NAME, "--store", "none"])
    assert done.exit_code == 1
    assert printable(NAME) in done.output
