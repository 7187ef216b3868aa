"""What a person sees of a run: a bar or plain lines while it trains, a table when it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mimdata.pipeline.terminal import printable, say


def epoch_line(line: Mapping[str, Any]) -> str:
    """One epoch in one line."""
    parts = [f"epoch {line['epoch']}", f"train {line['train']['fused']:.4f}"]
    if line["valid"]:
        parts.append(f"valid {line['valid']['loss']:.4f}")
    parts.append("open " + " ".join(f"{name} {share:.0%}" for name, share in line["open"].items()))
    return ", ".join(parts) + f" ({line['seconds']:.1f} s)"


@contextmanager
def watching(epochs: int) -> Iterator[tuple[Callable[[str], None], Callable[[Mapping[str, Any]], None]]]:
    """(say, on_epoch) for the trainer: a bar on a terminal, plain lines elsewhere, both on standard error."""
    if not sys.stderr.isatty():

        def echo(text: str) -> None:
            say(text, err=True)

        yield echo, lambda line: echo(epoch_line(line))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epochs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.description}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console) as bars:
        row = bars.add_task("", total=epochs)
        yield (
            lambda text: console.print(printable(text), highlight=False, markup=False),
            lambda line: bars.update(row, advance=1, description=epoch_line(line)),
        )


def show_report(report: Mapping[str, Any]) -> None:
    """The measures of the best epoch on the validation and the test split, as a table."""
    title = f"{report['run']}: best epoch {report['best_epoch']} of {report['epochs']}"
    show_measures(title, {split: report[split] for split in ("valid", "test") if report[split]})


NO_MEASURES = ("n", "intervals", "reasons")


def show_measures(title: str, splits: Mapping[str, Mapping[str, Any]]) -> None:
    """{split: what Evaluation.to_json gives} as a table, a column a split, with 95% intervals where there are any."""
    names = dict.fromkeys(
        name for measures in splits.values() for name in measures if name not in NO_MEASURES
    )
    rows = [(name, *(_measure(measures, name) for measures in splits.values())) for name in names]
    intervals = any("intervals" in measures for measures in splits.values())
    print_table(
        title + (", with 95% intervals" if intervals else ""),
        ("measure", *(f"{split} (n = {measures['n']})" for split, measures in splits.items())),
        rows,
    )
    for split, measures in splits.items():
        for name, reason in measures.get("reasons", {}).items():
            say(f"{split} {name}: none, {reason}")


# What tells runs apart in one line each.
SERIES_MEASURES = ("mae", "corr", "acc7", "acc2_has0", "acc2_non0", "f1_non0", "acc", "wacc", "f1")


def show_series(report: Mapping[str, Any]) -> None:
    """One line a variant: test measures as mean ± standard deviation over the seeds."""
    summary, seeds = report["summary"], report["series"]["seeds"]
    first = next(iter(summary.values()))["test"]
    names = [name for name in SERIES_MEASURES if name in first]
    rows = [
        (variant, *(_spread(found["test"][name]) for name in names)) for variant, found in summary.items()
    ]
    title = f"{report['run']}: test, " + (f"mean ± deviation of {seeds} seeds" if seeds > 1 else "one seed")
    print_table(title, ("variant", *names), rows)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table under a line; all columns but the first stand flush right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    say(title)
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(printable(column), justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(printable, row))
    # A terminal that is too narrow breaks lines; a cell that is cut says less than one that is broken off.
    width = max(Console().width, Console(width=10_000).measure(table).maximum)
    Console(width=width, markup=False, emoji=False, highlight=False).print(table)


def _spread(value: Mapping[str, Any]) -> str:
    if value["mean"] is None:
        return "–"
    return f"{value['mean']:.3f}" + ("" if value["std"] is None else f" ± {value['std']:.3f}")


def _measure(measures: Mapping[str, Any], name: str) -> str:
    value, interval = measures.get(name), measures.get("intervals", {}).get(name)
    if value is None:
        return "–"
    return f"{value:.4f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


NO_VALUE = "no value"


def show_explanation(content: Mapping[str, Any]) -> None:
    """What `explain` found of a clip (docs/explain.md): gates by word, then predictions by modality."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)
    branches = content["modalities"]
    gates = Table(box=box.SIMPLE, title=printable(f"{content['clip_id']}: gate and openness"))
    for column in ("start", "end", "word", *branches):
        gates.add_column(printable(column), justify="left" if column == "word" else "right", overflow="fold")
    for i, word in enumerate(content["words"]):
        cells = (_gate(b["gates"][i]) for b in branches.values())
        gates.add_row(f"{word['start']:.2f}", f"{word['end']:.2f}", printable(word["word"]), *cells)
    console.print(gates)
    made = Table(box=box.SIMPLE)
    labelled = content["label"] is not None
    for column in (
        "modality",
        "unpurified",
        "purified",
        *(("L^p", "weight", "taught within") if labelled else ()),
    ):
        made.add_column(column, overflow="fold")
    for name, b in branches.items():
        taught = (*(_loss(b, k) for k in ("loss", "weight")), b["within"] or "-") if labelled else ()
        made.add_row(printable(name), _list(b["unpurified"]), _list(b["purified"]), *taught)
    console.print(made)
    say(f"Fused prediction: {_list(content['prediction'])}; label: {_list(content['label'], 'none')}")
    if labelled:
        say(f"Teacher between modalities: {content['teacher']}")


def _gate(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return NO_VALUE
    soft = gate["openness"]
    return str(gate["gate"]) if soft is None else f"{gate['gate']} {soft:.2f}"


def _loss(branch: Mapping[str, Any], name: str) -> str:
    return NO_VALUE if branch[name] is None else f"{branch[name]:.3f}"


def _list(values: Any, none: str = NO_VALUE) -> str:
    return none if values is None else " ".join("?" if v is None else f"{v:+.3f}" for v in values)
