"""Copies: verified, taken up again where they were cut short, never over anything by accident."""

import json
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import RefusedError, StoreError
from cifar_dist.runs import Manifest, Run, fetch, fetch_report
from cifar_dist.store import Content, MissingError, Store, open_store
from tests.checkpoints import commit, flip
from tests.commands import Program

RUN = "a-00000000"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Give a finished run of three epochs, the first of which is the best, with a report."""
    run = Run(open_store(str(tmp_path / "store")), f"runs/{RUN}")
    run.create({"job": {}})
    attempt = run.claim_attempt()
    first, *_ = [commit(attempt, tmp_path, step) for step in (1, 2, 3)]
    run.pin("best", first)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("page")
    run.write_report(tmp_path / "report")
    run.finish({})
    return run


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "copy"


class Counted:
    """Counts what a store's downloads bring, and lets one of them fail."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, fails_at: str = "") -> None:
        self.brought: list[str] = []
        self._download, self._fails_at = store.download, fails_at
        monkeypatch.setattr(store, "download", self._counted)

    def _counted(self, key: str, path: Path, expected: Content) -> None:
        name = key.rpartition("/")[2]
        if name == self._fails_at:
            raise StoreError("the storage is away")
        self._download(key, path, expected)
        self.brought.append(name)


def test_a_copy_that_was_cut_short_goes_on_with_what_is_missing(
    run: Run, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        cut = Counted(run.store, patch, "state.pt")
        with pytest.raises(StoreError, match="away"):
            fetch(run.store, RUN, target)
        assert cut.brought == ["history.json"]
    assert not (target / "MANIFEST.json").exists()
    with monkeypatch.context() as patch:
        second = Counted(run.store, patch)
        rows = fetch(run.store, RUN, target)
        assert second.brought == ["state.pt", "index.html"]
    with monkeypatch.context() as patch:
        third = Counted(run.store, patch)
        assert fetch(run.store, RUN, target) == rows
        assert third.brought == []


def test_other_content_is_replaced_only_if_asked_for(
    run: Run, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(run.store, RUN, target)
    flip(target / "state.pt")
    changed = (target / "state.pt").read_bytes()
    (target / "history.json").unlink()
    with pytest.raises(RefusedError, match="--force"):
        fetch(run.store, RUN, target)
    assert (target / "state.pt").read_bytes() == changed
    assert not (target / "history.json").exists()  # nothing at all is changed then
    counted = Counted(run.store, monkeypatch)
    fetch(run.store, RUN, target, force=True)
    assert counted.brought == ["history.json", "state.pt"]
    assert (target / "state.pt").read_bytes() != changed


def test_another_checkpoint_takes_the_place_of_the_first_by_force(run: Run, target: Path) -> None:
    fetch(run.store, RUN, target)
    with pytest.raises(RefusedError, match="not overwritten"):
        fetch(run.store, RUN, target, "latest")
    fetch(run.store, RUN, target, "latest", force=True)
    assert json.loads((target / "MANIFEST.json").read_bytes())["step"] == 3


def test_a_folder_in_the_way_of_a_file_is_refused_even_by_force(run: Run, target: Path) -> None:
    (target / "state.pt" / "mine").mkdir(parents=True)
    with pytest.raises(RefusedError, match="other content"):
        fetch(run.store, RUN, target, force=True)
    assert [path.name for path in target.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("name", ["report", "state.pt"])
def test_a_link_below_the_folder_is_never_written_through(
    run: Run, target: Path, tmp_path: Path, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target.mkdir()
    (target / name).symlink_to(outside if name == "report" else outside / "x")
    with pytest.raises(RefusedError, match="link"):
        fetch(run.store, RUN, target, force=True)
    assert list(outside.iterdir()) == []
    assert [path.name for path in target.iterdir()] == [name]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//x", "a\\x", "a\nx", ".x", ""])
def test_a_manifest_that_names_a_file_elsewhere_is_not_followed(
    run: Run, target: Path, tmp_path: Path, name: str
) -> None:
    folder = "runs/b-00000000/attempts/000001/step-000000000001"
    other = Run(run.store, "runs/b-00000000")
    other.create({"job": {}})
    other.claim_attempt()
    Manifest(folder, {name: Content(1, "0" * 64)}, 1, 1).write(run.store)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RefusedError):
        fetch(run.store, "b-00000000", target, "latest")
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_newest_checkpoint_leaves_nothing_of_itself(
    run: Run, target: Path, tmp_path: Path
) -> None:
    newest = run.checkpoints()[0]
    flip(tmp_path / "store" / newest.folder / "state.pt")
    fetch(run.store, RUN, target, "latest")
    assert json.loads((target / "MANIFEST.json").read_bytes())["step"] == 2
    assert (target / "state.pt").read_bytes() == b"state 2" * 100


def test_a_best_that_moves_on_while_it_is_copied_is_copied_from_its_new_place(
    run: Run, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, third = run.best(), run.checkpoints()[0]
    assert first is not None
    read = run.store.download

    def overtaken(key: str, path: Path, expected: Content) -> None:
        if key == f"{first.folder}/state.pt":  # after history.json came
            run.pin("best", third)
            run.prune(1)
            raise MissingError("gone")
        read(key, path, expected)

    monkeypatch.setattr(run.store, "download", overtaken)
    fetch(run.store, RUN, target)
    assert (target / "state.pt").read_bytes() == b"state 3" * 100


def test_a_report_is_fetched_into_the_same_folder_again(run: Run, target: Path) -> None:
    assert fetch_report(run.store, RUN, target) == fetch_report(run.store, RUN, target)
    (target / "index.html").write_text("mine")
    with pytest.raises(RefusedError, match="not overwritten"):
        fetch_report(run.store, RUN, target)


def test_the_command_replaces_by_force(run: Run, program: Program, folder: Path) -> None:
    line: list[Any] = ["artifacts", "get", RUN, "--store", run.store.uri, "--output", "copy"]
    assert program(*line).code == 0
    (folder / "copy" / "run.json").write_text("mine")
    refused = program(*line)
    assert refused.code == 5 and "--force" in refused.err
    assert program(*line, "--force").code == 0
