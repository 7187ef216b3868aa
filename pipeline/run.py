"""A run: its configuration, its corpus, and the store that it works in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mimdata.pipeline import registry
from mimdata.pipeline.config import RunConfig
from mimdata.pipeline.errors import UsageError
from mimdata.pipeline.execute import Workers
from mimdata.pipeline.files import is_remote
from mimdata.pipeline.listing import Listing, Selection, list_corpus
from mimdata.pipeline.steps import Resources
from mimdata.pipeline.stopping import Stop, stoppable
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.mirror import local_root
from mimdata.pipeline.store.snapshot import Snapshot, last_corpus
from mimdata.pipeline.store.sources import Sources
from mimdata.pipeline.work import HUNG


@dataclass(frozen=True)
class Options:
    """What a call asks for beyond its configuration."""

    selection: Selection = field(default_factory=Selection)
    retry_failed: bool = False
    rehash: bool = False


@dataclass(frozen=True)
class Run:
    """A run that is under way: where everything is, and what the corpus holds."""

    config: RunConfig
    options: Options
    corpus: str
    root: Path
    store: Folder
    snapshot: Snapshot
    listing: Listing
    sources: Sources
    workers: Workers
    resources: Resources = field(default_factory=Resources)
    stop: Stop = field(default_factory=Stop)

    @property
    def media_root(self) -> Path:
        """The folder that the clips' sources are relative to; `root` may be a manifest in it."""
        return self.root.parent if self.root.is_file() else self.root


def corpus_of(config: RunConfig, store: Folder) -> str:
    """The corpus that a command is about."""
    return config.corpus or last_corpus(store) or "demo"


def root_of(config: RunConfig, corpus: str, store: Folder) -> Path:
    """Where the raw corpus lies."""
    reader = config.reader or corpus
    registry.load("corpora", reader)  # a name that does not exist is the first mistake to speak of
    if config.root is not None:
        return local_root(config.root)
    if reader == "demo":
        return Path(store.path(f"raw/{corpus}"))
    raise UsageError(
        f"where is the corpus {corpus}? Give its folder with --root, or `root` in the configuration"
    )


@contextmanager
def open_run(config: RunConfig, options: Options) -> Iterator[Run]:
    """A run that will write: as `read_run`, and the store remembers its configuration."""
    run = read_run(config, options)
    root = config.root if is_remote(config.root) else run.root.absolute()
    placed = config.model_copy(update={"corpus": run.corpus, "root": root})
    run.store.sweep()
    _forget_hung(run.store)
    run.snapshot.save_run(placed.to_toml())
    with stoppable(run.store) as stop:
        with run.workers:
            yield replace(run, stop=stop)
        _forget_hung(run.store)


def _forget_hung(store: Folder) -> None:
    """Remove the notes of clips over which a worker ended: the next run tries them again."""
    for name in store.sub(HUNG).files():
        store.remove(f"{HUNG}/{name}")


def read_run(config: RunConfig, options: Options) -> Run:
    """List the corpus and open the store. Raises MimdataError if there is nothing to work on."""
    store = Folder(config.store)
    corpus = corpus_of(config, store)
    root = root_of(config, corpus, store)
    return Run(
        config=config,
        options=options,
        corpus=corpus,
        root=root,
        store=store,
        snapshot=Snapshot(store, corpus),
        listing=list_corpus(config.reader or corpus, root, options.selection, config.fixes),
        sources=Sources(store, rehash=options.rehash),
        workers=Workers(config.workers, config.scheduler, config.worker_memory),
        resources=Resources(config.device),
    )
