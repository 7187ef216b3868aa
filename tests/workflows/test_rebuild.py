"""A night's rebuild: what is published, what is held back and why, and what a report says of it."""

from __future__ import annotations

import http.server
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mimdata.pipeline.dataset.versions import Versions
from mimdata.pipeline.errors import MimdataError
from mimdata.pipeline.stopping import StoppedError
from mimdata.pipeline.store.folder import Folder
from mimdata.pipeline.store.lock import locked
from tests.command import Command
from tests.workflows.little import Little, little, voice, write_wave


def versions(corpus: Little) -> Versions:
    return Versions(Folder(str(corpus.store)), "manifest")


def computed(report: Any) -> dict[str, int]:
    return {stage.stage: stage.computed for stage in report.stages}


def test_the_first_night_publishes_and_the_second_has_nothing_to_do(corpus: Little) -> None:
    report, place = corpus.rebuild()
    assert (report.state, report.reason) == ("published", "")
    assert report.latest == report.version["version"]  # type: ignore[index]
    assert {"report.json", "report.md", "report.html"} == set(place.files())
    again, _ = corpus.rebuild()
    assert again.state == "unchanged"
    assert computed(again) == {"audio": 0, "words": 0, "rows": 0, "dataset": 0}
    assert again.ledger_before == report.ledger == again.ledger


def test_one_changed_transcript_line_costs_its_words_and_row(corpus: Little, tmp_path: Path) -> None:
    corpus.rebuild()
    row = corpus.row("v1[0]")
    row["text"] = row["text"].replace("v1", "other")
    row["words"][-1]["word"] = "other"
    corpus.write()
    report, _ = corpus.rebuild()
    assert computed(report) == {"audio": 0, "words": 1, "rows": 1, "dataset": 10}
    assert report.difference is not None
    assert report.difference["changed"] == {"v1[0]": ["words"]}
    assert report.version is not None
    assert report.version["digest"] == from_scratch(corpus, tmp_path)


def test_a_new_video_costs_itself_and_a_removed_one_disappears(corpus: Little, tmp_path: Path) -> None:
    corpus.rebuild()
    corpus.add("v5", "train")
    report, _ = corpus.rebuild()
    assert computed(report) == {"audio": 2, "words": 2, "rows": 2, "dataset": 12}
    assert report.version is not None
    assert report.version["digest"] == from_scratch(corpus, tmp_path)
    corpus.remove("v5")
    report, _ = corpus.rebuild(checks={"removed_clips": 0.5})
    assert report.state == "published"
    assert computed(report) == {"audio": 0, "words": 0, "rows": 0, "dataset": 0}, (
        "the first version is that of now"
    )
    assert [v.latest for v in versions(corpus).all()].count(True) == 1


def test_a_changed_extractor_costs_its_modality_alone(corpus: Little, tmp_path: Path) -> None:
    corpus.rebuild()
    other = {"extractors": {"audio": {"name": "opensmile", "feature_set": "GeMAPSv01b"}}}
    report, _ = corpus.rebuild(**other)
    assert computed(report) == {"audio": 10, "words": 0, "rows": 10, "dataset": 10}
    assert report.state == "published"
    assert report.version is not None
    assert report.version["digest"] == from_scratch(corpus, tmp_path, **other)


def from_scratch(corpus: Little, tmp_path: Path, **changes: Any) -> str:
    """The digest of the same corpus from an empty store."""
    return Little(corpus.root, tmp_path / "empty", corpus.rows).digest(**changes)


def test_neither_order_nor_workers_nor_the_folder_shape_a_version(corpus: Little, tmp_path: Path) -> None:
    first = corpus.digest()
    corpus.write(order=[7, 3, 9, 0, 2, 8, 1, 5, 4, 6])
    assert Little(corpus.root, tmp_path / "shuffled", corpus.rows).digest() == first
    corpus.write()
    assert Little(corpus.root, tmp_path / "two", corpus.rows).digest(workers=2) == first
    moved = little(tmp_path / "elsewhere")
    assert moved.digest() == first


def test_a_bad_night_keeps_a_candidate_and_readers_keep_their_version(corpus: Little) -> None:
    good, _ = corpus.rebuild()
    for video in ("v0", "v1"):  # two of five films are replaced by silence
        write_wave(corpus.root / f"{video}.wav", 0 * voice(video, 4.0))
    bad, _ = corpus.rebuild()
    assert bad.state == "candidate"
    assert "silent clips" in bad.failed_checks
    assert bad.latest == good.latest
    name = bad.version["version"]  # type: ignore[index]
    assert [v.name for v in versions(corpus).all() if v.candidate] == [name]
    again, _ = corpus.rebuild()
    assert again.state == "candidate", "the next night sees the same and says the same"
    assert computed(again)["dataset"] == 0


def test_publishing_a_candidate_takes_force_and_a_reason(corpus: Little, tmp_path: Path) -> None:
    corpus.rebuild()
    write_wave(corpus.root / "v0.wav", 0 * voice("v0", 4.0))
    bad, _ = corpus.rebuild()
    assert bad.version is not None
    name, command = bad.version["version"], Command(tmp_path)
    place = ("--store", str(corpus.store))
    refused = command("publish", name, *place, code=2)
    assert "silent clips" in refused.err
    assert "--force" in refused.err
    command("publish", name, "--force", *place, code=2)
    done = command("publish", name, "--force", "--reason", "the camera was off", *place)
    assert name in done.out
    acts = command("versions", "--history", "--json", *place).lines()
    assert acts[-1]["why"] == "the camera was off"
    assert "silent clips" in acts[-1]["failed"]
    assert corpus.rebuild()[0].state == "unchanged"


def test_a_rollback_holds_until_somebody_publishes(corpus: Little, tmp_path: Path) -> None:
    first, _ = corpus.rebuild()
    corpus.add("v5", "train")
    second, _ = corpus.rebuild()
    assert second.version is not None
    command, place = Command(tmp_path), ("--store", str(corpus.store))
    command("rollback", "--reason", "wrong film", *place)
    assert versions(corpus).latest() == first.latest
    third, _ = corpus.rebuild()
    assert third.state == "candidate"
    assert "wrong film" in third.reason
    assert third.latest == first.latest
    command("publish", second.version["version"], "--force", "--reason", "right after all", *place)
    assert versions(corpus).latest() == second.latest
    assert corpus.rebuild()[0].state == "unchanged"


def test_whatever_goes_wrong_is_in_a_report(corpus: Little) -> None:
    corpus.rebuild()
    for row in corpus.rows:
        row["words"] = None
    corpus.write()
    report, place = corpus.rebuild()
    assert report.state == "failed"
    assert "no clip could be aligned" in report.reason
    assert json.loads(place.read("report.json"))["state"] == "failed"
    assert report.failures[0]["clips"] == 10
    assert "--retry-failed" in report.failures[0]["retry"]
    assert report.latest is not None


def test_a_second_rebuild_ends_at_once_and_says_who_is_at_it(corpus: Little) -> None:
    with (
        locked(Folder(str(corpus.store)), "rebuild-manifest"),
        pytest.raises(MimdataError, match=r"process \d+ on"),
    ):
        corpus.rebuild()
    assert corpus.rebuild()[0].state == "published"


def test_retention_spares_the_latest_pinned_used_and_recent(corpus: Little) -> None:
    names = []
    for i in range(5):
        corpus.add(f"w{i}", "train")
        report, _ = corpus.rebuild(retention={"keep": 9})
        assert report.latest is not None
        names.append(report.latest)
    mine = versions(corpus)
    mine.pin(names[0], pinned=True)
    used = {mine.find(names[1])[1].digest}
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    judged = {k.version: k.reason for k in mine.gc(1, timedelta(hours=1), used, now=now, dry_run=True)}
    assert judged[names[0]] == "pinned"
    assert judged[names[1]] == "a run was trained on it"
    assert "until" in judged[names[2]]
    assert judged[names[4]] == "the latest"
    mine.gc(1, timedelta(hours=1), used, now=now + timedelta(hours=2))
    assert [v.name for v in mine.all()] == [names[0], names[1], names[4]]
    assert not [name for name in Path(mine.published.path()).iterdir() if name.name.startswith(".tmp")]


def test_suspects_are_written_as_a_fix_file_that_can_be_applied(corpus: Little, tmp_path: Path) -> None:
    for clip_id in ("v0[0]", "v2[1]"):
        row = corpus.row(clip_id)
        row["words"] = [word | {"start": 0.1, "end": 5.0 + i} for i, word in enumerate(row["words"])]
    corpus.write()
    bad, place = corpus.rebuild()
    assert bad.state == "candidate"
    assert "suspect clips" in bad.failed_checks
    fixes = tmp_path / "fixes.jsonl"
    fixes.write_bytes(place.read("suspects.jsonl"))
    assert [json.loads(line)["clip_id"] for line in fixes.read_text().splitlines()] == ["v0[0]", "v2[1]"]
    good, _ = corpus.rebuild(fixes=fixes, checks={"kept_clips": 0.5})
    assert good.state == "published"
    assert good.version is not None
    assert good.version["rows"] == 8
    assert good.ledger["corpus"]["excluded"] == {"excluded by the fix file": 2}


def test_a_damaged_shard_is_written_again_and_the_report_says_so(corpus: Little) -> None:
    corpus.rebuild()
    folder, manifest = versions(corpus).find("latest")
    shard = Path(folder.path(manifest.shards[0]["file"]))
    sound = shard.read_bytes()
    shard.write_bytes(sound[:-100])
    report, place = corpus.rebuild()
    assert report.state == "unchanged"
    assert shard.read_bytes() == sound
    assert any("written again" in line for line in report.remarks)
    assert "written again" in place.read("report.md").decode()


@pytest.mark.parametrize("file", ["lineage.parquet", "train-00000.parquet", "manifest.json"])
def test_a_damaged_version_of_yesterday_keeps_no_new_one_back(corpus: Little, file: str) -> None:
    corpus.rebuild()
    damaged = Path(versions(corpus).find("latest")[0].path(file))
    damaged.write_bytes(damaged.read_bytes()[: -damaged.stat().st_size // 2])
    corpus.add("v5", "train")
    report, _ = corpus.rebuild()
    assert (report.state, report.reason) == ("published", "")
    (drift,) = (check for check in report.checks if check.name == "drift")
    assert "is damaged" in drift.found
    assert any("cannot be compared" in line for line in report.remarks)


def test_a_signal_in_the_training_leaves_a_report_and_the_version(
    corpus: Little, monkeypatch: pytest.MonkeyPatch
) -> None:
    def training(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr("mimdata.workflows.rebuild.train_on", training)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match="SIGTERM"):
        corpus.rebuild(train={"epochs": 1})
    assert signal.getsignal(signal.SIGTERM) == before
    (report,) = (corpus.store / "reports" / "manifest").glob("*/report.json")
    content = json.loads(report.read_text())
    assert content["state"] == "published"
    assert content["latest"] == content["version"]["version"]
    assert "goes on with it" in content["training"]["error"]


def test_the_plan_says_what_why_and_how_long(corpus: Little, tmp_path: Path) -> None:
    command, workflow = Command(tmp_path), corpus.toml(tmp_path / "little.toml")

    def plan(*more: str) -> dict[str, Any]:
        return {
            line["stage"]: line
            for line in command("rebuild", str(workflow), "--plan", "--json", *more).lines()
        }

    assert plan()["audio"]["reasons"] == {"new clip": 10}
    assert not corpus.store.exists(), "a plan does nothing"
    corpus.rebuild()
    assert {line["computed"] for line in plan().values()} == {0}
    row = corpus.row("v1[0]")
    row["words"][0]["start"] = 0.05
    corpus.write()
    changed = plan()
    assert changed["audio"]["computed"] == 0
    assert changed["words"]["reasons"] == {"other words": 1}
    assert changed["rows"]["reasons"] == {"other words": 1}
    assert changed["words"]["seconds"] >= 0
    other = plan("--set", "extractors.audio.feature_set=GeMAPSv01b")
    assert other["audio"]["reasons"] == {'step.parameters.feature_set: "eGeMAPSv02" → "GeMAPSv01b"': 10}
    assert other["audio"]["seconds"] > 0


def test_markup_and_escapes_of_a_corpus_are_shown_as_text(corpus: Little) -> None:
    for row in corpus.rows[:2]:
        row["words"] = [{"word": "<script>alert(1)</script>\x1b[31m", "start": 0.1, "end": 9.0}]
        row["text"] = "<script>alert(1)</script>\x1b[31m"
    corpus.write()
    _, place = corpus.rebuild()
    page, mail = place.read("report.html").decode(), place.read("report.md").decode()
    assert "<script" not in page
    assert "<script" not in mail
    assert "\x1b" not in page + mail
    assert "&lt;script&gt;" in page


@contextmanager
def listener(status: list[int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook that answers with these statuses in turn, and what it was told."""
    told: list[dict[str, Any]] = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status[min(len(told), len(status)) - 1])
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/secret", told
    server.shutdown()
    server.server_close()


def test_a_webhook_is_told_and_tried_again(corpus: Little, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mimdata.workflows.webhook.PAUSE", 0.01)
    with listener([500, 200]) as (url, told):
        monkeypatch.setenv("MIMDATA_WEBHOOK", url)
        corpus.rebuild()
    assert len(told) == 2
    assert told[1]["state"] == "published"
    assert "new version" in told[1]["text"]


def test_a_dead_webhook_costs_nothing_and_betrays_nothing(
    corpus: Little, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mimdata.workflows.webhook.PAUSE", 0.01)
    monkeypatch.setenv("MIMDATA_WEBHOOK", "http://127.0.0.1:1/secret")
    assert corpus.rebuild()[0].state == "published"
    assert "did not answer" in caplog.text
    assert "secret" not in caplog.text


def test_exit_codes(corpus: Little, tmp_path: Path) -> None:
    command, workflow = Command(tmp_path), str(corpus.toml(tmp_path / "little.toml"))
    assert "a new version is published" in command("rebuild", workflow).out
    write_wave(corpus.root / "v0.wav", 0 * voice("v0", 4.0))
    held = command("rebuild", workflow, code=4)
    assert "silent clips" in held.out
    corpus.row("v3[0]")["sentiment"] = 12.0
    write_wave(corpus.root / "v0.wav", voice("v0", 4.0))
    corpus.write()
    assert "excluded" in json.dumps(
        command("rebuild", workflow, "--json", "--set", "checks.removed_clips=0.2", code=3).lines()[0]
    )
    (corpus.root / "manifest.jsonl").unlink()
    assert "manifest" in command("rebuild", workflow, code=1).out
