"""No file that we read can bring code with it: pickles only through the restricted unpickler, no other loader of code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path
    for folder in ("pipeline", "mim", "workflows", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
UNPICKLER = "pipeline/formats/unpickle.py"
PICKLES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "_pickle", "jsonpickle"}
CODE = {"eval", "exec", "compile", "__import__"}


def faults(source: str, where: str = "") -> Iterator[str]:
    """What in a module could run code that came with data."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            writes = node.module == "pickle" and {alias.name for alias in node.names} <= {"dump", "dumps"}
            names = [] if writes else [node.module or ""]
        else:
            names = []
        if where != UNPICKLER:
            yield from (
                f"line {node.lineno} imports {name}" for name in names if name.split(".")[0] in PICKLES
            )
        if isinstance(node, ast.Call):
            yield from (f"line {node.lineno}: {fault}" for fault in call_faults(node))


def call_faults(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name.endswith("torch.load") and given.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if given.get("allow_pickle", "False") != "False":
        yield f"{name} allows pickles"
    if given.get("trust_remote_code", "False") != "False":
        yield f"{name} trusts code of others"
    if given.get("shell", "False") != "False":
        yield f"{name} runs a shell"
    if name in CODE or name.endswith(("yaml.load", "read_pickle", "os.system", "hub.load")):
        yield f"{name} runs what it reads"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_what_it_reads(path: Path) -> None:
    assert not list(faults(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "from pickle import dumps, loads",
        "import joblib.numpy_pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "subprocess.run(text, shell=True)",
        "eval(text)",
        "pd.read_pickle(path)",
        "torch.hub.load('a', 'b')",
    ],
)
def test_the_search_finds_each_way(source: str) -> None:
    assert list(faults(source))


def test_what_is_safe_is_let_through() -> None:
    safe = "torch.load(p, weights_only=True); np.load(p); np.load(p, allow_pickle=False); model.eval(); re.compile(x)"
    assert not list(faults(safe))
