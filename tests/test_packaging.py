"""What is installed is what lies here: every package listed, no import that points the wrong way."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "mim", "workflows")
# What training may import of the pipeline: it runs where no video decoder is installed.
LIGHT = {
    "mimdata.pipeline.errors",
    "mimdata.pipeline.files",
    "mimdata.pipeline.dataset.manifest",
    "mimdata.pipeline.dataset.plain",
    "mimdata.pipeline.dataset.schema",
    "mimdata.pipeline.terminal",
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module)
    return names | {node.module for node in froms if node.module}


def test_every_sub_package_is_listed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {
        "mimdata." + ".".join(path.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for path in modules(package)
        if path.name == "__init__.py"
    }
    assert listed == {"mimdata" if name == "mimdata.mim.api" else name for name in there}


def test_entry_points_can_be_loaded() -> None:
    from mimdata.pipeline.registry import installed

    for group in ("corpora", "extractors", "aligners"):
        for point in installed(group).values():
            assert point.load()


@pytest.mark.parametrize("path", modules("pipeline"), ids=str)
def test_the_pipeline_imports_neither_mim_nor_workflows(path: Path) -> None:
    assert not {name for name in imports(path) if name.startswith(("mimdata.mim", "mimdata.workflows"))}


@pytest.mark.parametrize("path", modules("mim"), ids=str)
def test_mim_imports_only_the_light_part_of_the_pipeline(path: Path) -> None:
    used = {name for name in imports(path) if name.startswith("mimdata.pipeline")}
    assert used <= LIGHT
    assert not {name for name in imports(path) if name.startswith("mimdata.workflows")}


@pytest.mark.parametrize("module", ["mimdata", "mimdata.pipeline.cli", "mimdata.mim.commands.train"])
def test_commands_import_nothing_heavy(module: str) -> None:
    heavy = "{'torch', 'dask', 'distributed', 'transformers', 'pyarrow', 'pandas', 'av', 'pydantic'}"
    code = (
        f"import sys, {module}; found = {heavy} & set(sys.modules); sys.exit(', '.join(sorted(found)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [path for package in PACKAGES for path in modules(package)], ids=str)
def test_every_file_says_what_it_is_about(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_the_wheel_holds_all_that_is_needed(tmp_path: Path) -> None:
    """Built and installed into an empty folder, where no editable install can help out."""
    source = tmp_path / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (
            name.split("/")[0] in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE")
            and (ROOT / name).is_file()
        ):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    uv = [sys.executable, "-m", "uv"]
    site = tmp_path / "site"
    build = [
        *uv,
        "build",
        "--quiet",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
    ]
    subprocess.run([*build, str(tmp_path), str(source)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run(
        [*uv, "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)], check=True
    )
    libraries = Path(click.__file__).parents[1]
    code = f"import sys; sys.path[:0] = [{str(site)!r}]; sys.path.append({str(libraries)!r})\n"
    code += "import mimdata.pipeline.corpora.splits as folds; assert str(folds.__file__).startswith(sys.path[0])\n"
    code += "import mimdata; assert mimdata.__file__.startswith(sys.path[0]); assert mimdata.open\n"
    code += "from mimdata.pipeline.cli import main; main(['corpora'])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "mosei" in done.stdout
    assert list(site.rglob("folds/mosei.json"))
    assert len(list(site.rglob("py.typed"))) == len(PACKAGES) + 1  # and that of mimdata itself
