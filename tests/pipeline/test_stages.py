"""The promises of the store, one test each: nothing twice, nothing lost, nothing unaccounted for."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mimdata.pipeline.books import keep_books
from mimdata.pipeline.plan import tasks
from mimdata.pipeline.records import Clip
from mimdata.pipeline.run import Options, Run
from mimdata.pipeline.stages import media_stage, rows_stage, stored
from mimdata.pipeline.steps import Step
from mimdata.pipeline.work import ClipWork, Limits, Want
from tests.pipeline.fakes import CALLS, FakeAligner, FakeTokens, FakeTrack, make_clips, make_run

STEPS: dict[str, Step] = {"tracks/text": FakeTokens(), "tracks/audio": FakeTrack(), "words": FakeAligner()}


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    return tmp_path / "corpus"


@pytest.fixture
def clips(root: Path) -> list[Clip]:
    return make_clips(root)


def run(
    root: Path, clips: list[Clip], options: Options | None = None, steps: dict[str, Step] | None = None
) -> Run:
    made = make_run(root, root.parent / "store", clips, options)
    keep_books(made, media_stage(made, steps or STEPS, "test"))
    return made


def called() -> list[tuple[str, str]]:
    found = sorted(CALLS)
    CALLS.clear()
    return found


def test_the_second_run_computes_nothing(root: Path, clips: list[Clip]) -> None:
    run(root, clips)
    assert len(called()) == 18
    again = make_run(root, root.parent / "store", clips)
    reports = [account.report for account in media_stage(again, STEPS, "test")]
    assert called() == []
    assert [(r.planned, r.computed, r.cached, r.failed) for r in reports] == [(6, 0, 6, 0)] * 3


def test_a_task_holds_clips_of_one_file_and_the_first_task_one_clip(root: Path) -> None:
    clips = make_clips(root, 41, videos=2)
    made = make_run(root, root.parent / "store", clips)
    work = [ClipWork(clip, {"words": Want(clip.clip_id, "")}) for clip in clips]
    found = tasks(
        work, root, made.store, {"words": FakeAligner()}, made.sources, made.resources, Limits(60, "stop")
    )
    assert [len(task) for task in found] == [1, 16, 4, 10, 5, 3, 1, 1]
    assert all(len({work.clip.source for work in task.clips}) == 1 for task in found)
    assert sorted(work.clip.clip_id for task in found for work in task.clips) == sorted(
        clip.clip_id for clip in clips
    )


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_workers_end_at_about_the_same_time(root: Path, workers: int) -> None:
    clips = make_clips(root, 300, videos=20)
    made = make_run(root, root.parent / "store", clips)
    work = [ClipWork(clip, {"words": Want(clip.clip_id, "")}) for clip in clips]
    found = tasks(
        work, root, made.store, {}, made.sources, made.resources, Limits(60, "stop"), workers=workers
    )
    busy = [0.0] * workers
    for task in found:  # each goes to whoever is free first
        busy[busy.index(min(busy))] += len(task)
    assert sum(busy) == 300
    assert max(busy) - min(busy) <= 1  # clips
    assert len(found) < 20 + 7 * 2 * workers  # and few of them are small


def test_changed_bytes_cost_the_steps_that_read_them(root: Path, clips: list[Clip]) -> None:
    run(root, clips)
    called()
    (root / "v1.bin").write_bytes(b"other")
    run(root, clips)
    changed = [f"v1[{i}]" for i in range(3)]
    assert called() == sorted([(kind, clip) for kind in ("audio", "words") for clip in changed])


def test_a_changed_text_costs_its_words_and_text_alone(root: Path, clips: list[Clip]) -> None:
    run(root, clips)
    called()
    run(root, [replace(clips[0], text="something else"), *clips[1:]])
    assert called() == [("text", "v0[0]"), ("words", "v0[0]")]


def test_a_changed_span_costs_one_clip(root: Path, clips: list[Clip]) -> None:
    run(root, clips)
    called()
    run(root, [replace(clips[0], end=1.5), *clips[1:]])
    assert called() == [("audio", "v0[0]"), ("words", "v0[0]")]


def test_a_changed_label_costs_nothing(root: Path, clips: list[Clip]) -> None:
    run(root, clips)
    called()
    run(root, [replace(clip, sentiment=-3.0, split="test") for clip in clips])
    assert called() == []


def test_a_changed_parameter_costs_its_own_modality(root: Path, clips: list[Clip]) -> None:
    run(root, clips)
    called()
    run(root, clips, steps={**STEPS, "tracks/audio": FakeTrack(rate=20.0)})
    assert {kind for kind, _ in called()} == {"audio"}


def test_equal_texts_are_computed_once(root: Path, clips: list[Clip]) -> None:
    same = [replace(clip, text="all the same") for clip in clips]
    made = make_run(root, root.parent / "store", same)
    (account,) = media_stage(made, {"tracks/text": FakeTokens()}, "test")
    assert len(called()) == 1
    assert (account.report.computed, account.report.cached) == (1, 5)


def test_a_moved_corpus_costs_nothing(root: Path, clips: list[Clip]) -> None:
    run(root, clips)
    called()
    moved = root.rename(root.with_name("elsewhere"))
    run(moved, clips)
    assert called() == []


def test_a_quiet_night_reads_no_source_and_rehash_distrusts_the_clock(
    root: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in root.iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))
    run(root, clips)
    read: list[Path] = []
    digest = "mimdata.pipeline.store.sources.file_digest"
    monkeypatch.setattr(digest, lambda path: read.append(path) or "0" * 64)
    run(root, clips)
    assert read == []
    store = root.parent / "store"
    from mimdata.pipeline.store.folder import Folder
    from mimdata.pipeline.store.sources import Sources

    Sources(Folder(str(store)), rehash=True).digests([root / "v0.bin"])
    assert read == [root / "v0.bin"]


def test_a_failing_clip_costs_itself_and_is_remembered(root: Path, clips: list[Clip]) -> None:
    steps: dict[str, Step] = {"tracks/audio": FakeTrack(breaks=("v0[1]",))}
    made = run(root, clips, steps=steps)
    (row,) = made.snapshot.failures()
    assert (row.stage, row.clip_id, row.cause, row.hint) == ("audio", "v0[1]", "broken", "mend it")
    assert "--only 'v0[1]' --retry-failed" in row.retry
    assert made.snapshot.ledger()["audio"] == {"in": 6, "out": 5, "excluded": {"broken": 1}}
    called()
    run(root, clips, steps=steps)
    assert called() == []
    run(root, clips, Options(retry_failed=True), {"tracks/audio": FakeTrack()})
    assert called() == [("audio", "v0[1]")]
    assert made.snapshot.failures() == []


def test_a_failure_that_may_pass_is_tried_by_the_next_run(root: Path, clips: list[Clip]) -> None:
    run(root, clips, steps={"tracks/audio": FakeTrack(breaks=("v0[1]",), permanent=False)})
    called()
    made = run(root, clips, steps={"tracks/audio": FakeTrack()})
    assert called() == [("audio", "v0[1]")]
    assert made.snapshot.failures() == []


def test_a_bug_in_a_step_costs_one_clip_and_says_so(root: Path, clips: list[Clip]) -> None:
    made = run(root, [replace(clips[0], text="crash"), *clips[1:]], steps={"tracks/audio": FakeTrack()})
    (row,) = made.snapshot.failures()
    assert row.cause == "unexpected error"
    assert "ZeroDivisionError: a bug in an extractor" in row.message
    assert not row.permanent


def test_a_missing_file_fails_its_clips_and_no_others(root: Path, clips: list[Clip]) -> None:
    (root / "v1.bin").unlink()
    made = run(root, clips)
    failed = {(row.stage, row.clip_id, row.cause) for row in made.snapshot.failures()}
    assert failed == {(stage, f"v1[{i}]", "missing file") for stage in ("audio", "words") for i in range(3)}
    assert made.snapshot.ledger()["text"]["out"] == 6


def test_a_file_that_changes_while_it_is_read_is_not_stored_under_its_old_digest(
    root: Path, clips: list[Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_run(root, root.parent / "store", clips)
    made.sources.digests([root / "v0.bin", root / "v1.bin"])
    monkeypatch.setattr(made.sources, "digests", lambda paths, *_: {path: path.name for path in paths})
    (root / "v0.bin").write_bytes(b"replaced while being read")
    (account,) = media_stage(made, {"tracks/audio": FakeTrack()}, "test")
    assert {f.cause for f in account.failures.values()} == {"source changed"}
    assert set(account.failures) == {"v0[0]", "v0[1]", "v0[2]"}


def test_keys_that_moved_leave_the_old_ones_for_why(root: Path, clips: list[Clip]) -> None:
    before = run(root, clips).snapshot.entries()["v0[0]"].keys["words"]
    after = run(root, [replace(clips[0], text="new words"), *clips[1:]]).snapshot.entries()["v0[0]"]
    assert after.previous == {"words": before, "tracks/text": after.previous["tracks/text"]}
    assert after.keys["words"] != before


def test_rows_need_everything_and_say_what_is_absent(root: Path, clips: list[Clip]) -> None:
    made = run(root, clips, steps={**STEPS, "tracks/audio": FakeTrack(breaks=("v1[2]",))})
    tracks = {kind: step for kind, step in STEPS.items() if kind != "words"}
    words = media_stage(made, {"words": FakeAligner()}, "words")
    account, locations = rows_stage(made, [*words, *stored(made, tracks)])
    assert (account.report.computed, account.report.failed) == (5, 1)
    assert account.failures["v1[2]"].cause == "no audio: broken"
    assert len(locations) == 5
    again, _ = rows_stage(made, [*words, *stored(made, tracks)])
    assert (again.report.computed, again.report.cached) == (0, 5)


def test_clips_that_were_never_extracted_are_accounted_for(root: Path, clips: list[Clip]) -> None:
    made = make_run(root, root.parent / "store", clips)
    (account,) = stored(made, {"tracks/audio": FakeTrack()})
    assert {failure.cause for failure in account.failures.values()} == {"not extracted (audio)"}
