"""The command: helps, exit codes, and one line for a mistake."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mimdata.pipeline.cli import COMMANDS, main
from mimdata.pipeline.registry import installed
from tests.command import Command

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_every_option_a_line(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option) and name not in ("demo", "corpora"):
            assert option.help, f"{name} {option.name}"
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"^\| `mimdata {name}\b", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_links_of_the_documents_lead_somewhere() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_configuration_in_the_documents_is_valid(tmp_path: Path) -> None:
    from mimdata.pipeline.config import load_config

    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/configuration.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        path = tmp_path / "run.toml"
        path.write_text(block)
        config = load_config(path, {}, {})
        config.build_extractors()
        config.build_aligner()


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    call = Command(tmp_path)
    assert "mimdata demo" in call("status").out
    assert call("status", "--json").lines() == [{"corpora": {}, "datasets": []}]
    assert "run `mimdata extract` first" in call("inspect", "v[0]", code=1).err
    assert call("failures").out == "No clip has failed.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ("extract", "--corpus", "mosie"),
            2,
            "no corpora entry is named 'mosie': installed are",
        ),
        (("extract", "--corpus", "mosei"), 2, "Give its folder with --root"),
        (("extract", "--corpus", "mosei", "--root", "."), 1, "has no Raw/Transcript"),
        (("extract", "--set", "nonsense"), 2, "--set takes KEY=VALUE"),
        (("extract", "--nonsense"), 2, "No such option"),
        (("nonsense",), 2, "No such command"),
        (("extract", "--text-model", "nobody/nothing"), 2, "docs/weights.md"),
    ],
)
def test_a_mistake_is_one_line_and_no_traceback(
    arguments: tuple[str, ...], code: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "manifest.csv").write_text("source,text\n")
    if arguments[-1] == "nobody/nothing":
        arguments = (*arguments, "--corpus", "demo")
    done = Command(tmp_path)(*arguments, code=code)
    assert says in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert "_MIMDATA_COMPLETE" in done.output


def test_lists_are_json_for_a_script(tmp_path: Path) -> None:
    call = Command(tmp_path)
    assert {line["name"] for line in call("corpora", "--json").lines()} == set(installed("corpora"))
    found = {line["name"]: line for line in call("extractors", "--json").lines()}
    assert found["facenet"]["parameters"]["fps"] == 5.0
    assert {name for name, line in found.items() if line["kind"] == "aligners"} == set(installed("aligners"))


def test_a_transcript_cannot_drive_the_terminal() -> None:
    from mimdata.pipeline.terminal import printable

    assert printable("so \x1b[31mred\x1b[0m\x07 ü") == "so \\x1b[31mred\\x1b[0m\\x07 ü"
