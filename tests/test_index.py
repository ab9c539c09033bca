"""The index of a store: everything in it, whatever state it is in, with links that lead there."""

import json
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pytest

from cifar_dist.api.index import index, save_page
from cifar_dist.documents import IndexDocument, IndexRow
from cifar_dist.report.index import index_page
from cifar_dist.report.summaries import index_table
from cifar_dist.runs import Run
from cifar_dist.runs.seal import sealed
from cifar_dist.store import Store, open_store
from tests.checkpoints import flip
from tests.commands import Program, document
from tests.kept_runs import PAGE, a_document, keep_run, keep_sweep
from tests.result_documents import failed_sweep
from tests.tiny import make_job

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store(str(tmp_path / "the store"))
    keep_run(opened, "a-00000000")
    keep_sweep(opened, "s-00000000")
    Run(opened, "runs/u-00000000").create({"job": make_job().model_dump(mode="json")})
    return opened


def rows(store: Store) -> dict[str, IndexRow]:
    """Give the rows by id."""
    return {row.id: row for row in index(store).rows}


def test_runs_and_sweeps_are_listed_with_what_they_came_to(store: Store) -> None:
    found = rows(store)
    run, sweep, unfinished = found["a-00000000"], found["s-00000000"], found["u-00000000"]
    assert (run.kind, run.state, run.model, run.epochs) == ("run", "finished", "lenet5", 3)
    assert (run.test_accuracy, run.seconds) == (23 / 30, 10.0)
    assert (sweep.kind, sweep.trials, sweep.best_trial, sweep.epochs) == ("sweep", 2, 0, 5)
    assert "sweep of 2, trial 0 won" in index_table(index(store))
    assert (unfinished.state, unfinished.model, unfinished.report) == ("unfinished", "lenet5", None)


def test_the_newest_stand_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = list(store.entries())
    began = {"a": 3, "s": 9, "u": 5}

    def dated(prefix: str = "") -> object:
        for entry in entries:
            if entry.key.startswith(prefix):
                day = began[entry.key.split("/")[1][0]]
                yield entry._replace(modified=datetime.fromisoformat(f"2026-01-0{day}T10:00+00:00"))

    monkeypatch.setattr(store, "entries", dated)
    found = index(store).rows
    assert [row.id[0] for row in found] == ["s", "u", "a"]
    assert found[0].began == "2026-01-09T10:00:00Z"


def test_what_is_damaged_is_shown_and_stops_nothing(store: Store, tmp_path: Path) -> None:
    keep_run(store, "b-00000000")
    flip(tmp_path / "the store" / "runs" / "b-00000000" / "result.json")
    Run(store, "runs/c-00000000").create({"something": "else"})
    (tmp_path / "the store" / "runs" / "d-00000000").mkdir()
    (tmp_path / "the store" / "runs" / "d-00000000" / "stray").write_text("x")
    (tmp_path / "the store" / "runs" / "e-00000000").mkdir()
    Run(store, "runs/e-00000000").finish({"schema": "cifar-dist/train/9"})
    found = rows(store)
    for name in "bcde":
        assert found[f"{name}-00000000"].state == "damaged"
    assert "is damaged" in (found["b-00000000"].reason or "")
    assert found["a-00000000"].state == "finished"
    assert "Damaged" in index_page(index(store), tmp_path, tmp_path / "the store")


def test_what_is_not_the_programs_is_passed_over_and_what_is_odd_is_damaged(store: Store) -> None:
    store.write("runs/notes.txt", b"mine")
    store.write("sweeps/s-00000001", b"no folder")
    job = make_job().model_dump(mode="json")
    job["recipe"]["model"]["name"] = ["no", "name"]
    Run(store, "runs/o-00000000").create({"job": job})
    found = rows(store)
    assert set(found) == {"a-00000000", "s-00000000", "u-00000000", "o-00000000"}
    assert found["o-00000000"].state == "damaged"


def test_a_run_that_failed_says_so(store: Store) -> None:
    keep_run(store, "f-00000000", state="failed")
    assert rows(store)["f-00000000"].state == "failed"


@pytest.mark.parametrize("place", [".", "the store", "else/where"])
def test_links_of_a_folder_lead_to_reports_from_where_the_page_lies(
    place: str, store: Store, tmp_path: Path
) -> None:
    page = tmp_path / place / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    save_page(index(store), page)
    links = re.findall(r'<a href="([^"#]+)"', page.read_text("utf-8"))
    assert len(links) == 2
    for link in links:
        assert (page.parent / unquote(link)).read_bytes() == PAGE


def test_links_of_a_bucket_are_relative_to_its_store() -> None:
    row = IndexRow(
        id="a-00000000", kind="run", state="finished", began="2026-01-01T00:00:00Z",
        report="runs/a-00000000/report/000002/index.html",
    )  # fmt: skip
    text = index_page(IndexDocument(store="s3://b/t", rows=[row]), Path("/x"), None)
    assert '<a href="runs/a-00000000/report/000002/index.html">' in text
    assert "belongs at its top" in text


def test_the_newest_report_is_linked(store: Store, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "index.html").write_text("again")
    report = Run(store, "runs/a-00000000").write_report(tmp_path / "new")
    assert rows(store)["a-00000000"].report == f"{report}/index.html"


def test_names_are_shown_as_text(store: Store, tmp_path: Path) -> None:
    job = make_job().model_dump(mode="json")
    job["recipe"]["model"]["name"] = job["recipe"]["data"] = HOSTILE
    keep_run(store, "h-00000000", job=job)
    text = index_page(index(store), tmp_path, tmp_path)
    assert "<script>alert" not in text and "<img src=x" not in text
    assert text.count("<script>") == 1


def test_an_empty_store_has_an_index(tmp_path: Path) -> None:
    document = index(open_store(str(tmp_path / "none")))
    assert document.rows == []
    assert "The store is empty." in index_page(document, tmp_path, tmp_path)


def test_a_sweep_without_a_winner_failed(store: Store) -> None:
    nothing = failed_sweep().model_dump(include={"best", "best_job", "winner_run", "test"})
    keep_sweep(store, "t-00000000", **nothing, validation=None)
    row = rows(store)["t-00000000"]
    assert (row.state, row.model, row.test_accuracy) == ("failed", "lenet5", None)


def test_a_thousand_runs_are_listed_from_one_listing_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path))
    data = sealed(a_document(store).model_dump(mode="json"))
    for number in range(1000):
        run = Run(store, f"runs/a-{number:08x}")
        place = tmp_path / run.prefix
        place.mkdir(parents=True)
        (place / "result.json").write_bytes(data)
    listings: list[str] = []
    entries = store.entries
    monkeypatch.setattr(
        store, "entries", lambda prefix="": listings.append(prefix) or entries(prefix)
    )
    found = index(store).rows
    assert len(found) == 1000 and listings == ["runs", "sweeps"]
    assert all(row.state == "finished" for row in found)
    assert len(index_page(IndexDocument(store="s", rows=found), tmp_path, tmp_path)) < 1_000_000


@pytest.mark.usefixtures("s3_environment")
def test_a_buckets_runs_are_listed_with_links_from_its_top(tmp_path: Path) -> None:
    store = open_store("s3://bucket/indexed")
    keep_run(store, "a-00000000")
    save_page(index(store), tmp_path / "index.html")
    link = "runs/a-00000000/report/000001/index.html"
    assert f'<a href="{link}">' in (tmp_path / "index.html").read_text()
    assert store.read(link, 1000) == PAGE


def test_the_commands_list_a_store_and_fetch_a_report_once(
    store: Store, program: Program, folder: Path
) -> None:
    ended = program("report", "index", store.uri, "--output", "index.html")
    assert ended.code == 0 and "2 runs, 1 sweep\n" in ended.out
    assert program("report", "index", store.uri, "--output", "index.html").code == 5
    shown = document("index", program("report", "index", store.uri, "--json").out)
    assert shown == json.loads(index(store).model_dump_json(by_alias=True))
    line = ["report", "get", "a-00000000", "--store", store.uri]
    assert program(*line).out == "a-00000000-report/index.html\n"
    assert (folder / "a-00000000-report" / "index.html").read_bytes() == PAGE
    (folder / "a-00000000-report" / "index.html").write_text("mine")
    assert program(*line).code == 5
    assert program("report", "get", "u-00000000", "--store", store.uri).code == 5
