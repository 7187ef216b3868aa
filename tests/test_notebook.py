"""The example notebook runs from its first cell to its last, on a version made of raw files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mimdata.pipeline.corpora.demo_builder import build_demo
from tests.command import Command

NOTEBOOK = Path(__file__).parents[1] / "docs/examples/mimdata.ipynb"
# Each cell in one namespace, as a kernel does; what the last cell is worth is printed.
RUN = """
import ast, sys
names = {"__name__": "__main__"}
for i, source in enumerate(CELLS):
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"cell {i}", "exec"), names)
    value = eval(compile(ast.Expression(last.value), f"cell {i}", "eval"), names) if last else None
names["figure"].savefig("figure.png")
print("LAST", value)
"""


def test_the_notebook_runs(tmp_path: Path) -> None:
    build_demo(tmp_path / "raw", utterances=12, videos=4)
    command = Command(tmp_path)
    command("extract", "--corpus", "demo", "--root", str(tmp_path / "raw"), "--workers", "0")
    command("align", "--workers", "0")
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "HF_HOME": str(tmp_path / "hf"),
        "MIMDATA_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", f"CELLS = {cells!r}\n{RUN}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    losses = json.loads(done.stdout.partition("LAST ")[2])
    assert losses[-1] < losses[0]
    assert "frames of voice" in done.stdout
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_the_notebook_keeps_no_output() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
