"""Every command does what it says: documents on stdout, words on stderr, exit codes."""

import json
import re
from pathlib import Path

import pytest

from cifar_dist.api.run import run_job
from cifar_dist.checkpoint import WEIGHTS
from cifar_dist.cli.terminal import Terminal
from cifar_dist.documents import DOCUMENTS, TrainDocument
from cifar_dist.errors import RunError
from tests.commands import TINY, Program, document
from tests.tiny import make_job
from tests.trees import TREE, picture, write_tree


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainDocument:
    """Train the tiny job once."""
    store = str(tmp_path_factory.mktemp("trained") / "store")
    return run_job(make_job(store=store), Terminal())


def objects(folder: Path) -> set[Path]:
    """List the files below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("data prepare synthetic", "data"),
        ("data stats synthetic", "data"),
        ("data push synthetic store", "data"),
        ("data show synthetic", "artifacts"),
        ("data figures synthetic", "artifacts"),
        ("models list", "models"),
        ("models show lenet5", "models"),
        ("artifacts ls", "artifacts"),
    ],
)
def test_json_is_one_document_and_the_text_is_for_people(
    line: str, kind: str, program: Program, folder: Path
) -> None:
    ended = program(*line.split(), "--json")
    assert (ended.code, ended.err) == (0, "")
    assert document(kind, ended.out)["schema"] == f"cifar-dist/{kind}/1"
    for path in objects(folder):
        path.unlink()
    ended = program(*line.split())
    assert (ended.code, ended.err) == (0, "")
    assert not ended.out.startswith("{")


@pytest.mark.parametrize("name", ["job", "components", "values", *DOCUMENTS])
def test_a_schema_is_one_json_object(name: str, program: Program) -> None:
    ended = program("schema", name)
    assert ended.code == 0
    assert isinstance(json.loads(ended.out), dict)


def test_a_finished_run_asked_again_prints_its_result_and_trains_nothing(
    program: Program, folder: Path
) -> None:
    line = f"train {TINY} --epochs 1 --json".split()
    first = program(*line)
    result = document("train", first.out)
    assert (first.code, result["state"]) == (0, "finished")
    assert "epoch 1/1" in first.err
    stored = objects(folder)
    again = program(*line)
    assert (again.code, json.loads(again.out)) == (0, result)
    assert "is finished; this is its result" in again.err
    assert objects(folder) == stored
    assert document("train", program(*line, "--fresh").out)["run"] == f"{result['run']}-2"


def test_an_unfinished_run_is_refused_with_its_two_remedies(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RunError("all workers died; look at their logs")

    line = f"train {TINY} --epochs 1 --name mine".split()
    with monkeypatch.context() as patch:
        patch.setattr("cifar_dist.session.train_session", fails)
        assert program(*line).code == 3
    refused = program(*line)
    assert refused.code == 5
    remedy = re.search(r"`cifar-dist (resume mine-[0-9a-f]{8})`, or .* --fresh", refused.err)
    assert remedy, refused.err
    assert program(*remedy[1].split()).code == 0
    assert program(*line, "--resume").code == 0


def test_a_run_is_not_resumed_on_other_images(
    program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    write_tree(folder / "tree", TREE)
    flags = f"{TINY} --epochs 1 --set recipe.validation_fraction=0 --set recipe.batch_size=5"
    flags = flags.replace("--data synthetic", "--data tree").replace("--batch-size 100", "")
    with monkeypatch.context() as patch:
        patch.setattr("cifar_dist.session.train_session", dies)
        assert program("train", *flags.split()).code == 130
    (name,) = (path.name for path in (folder / "artifacts" / "runs").iterdir())
    (folder / "tree/train/cat/0.jpg").write_bytes(picture(99, kind="JPEG"))
    refused = program("resume", name)
    assert refused.code == 2
    assert "the images of tree changed since" in refused.err


def test_artifacts_are_listed_named_fetched_and_verified(
    trained: TrainDocument, program: Program, folder: Path
) -> None:
    where = [trained.run, "--store", trained.store, "--json"]
    (row,) = document("artifacts", program("artifacts", "ls", *where[1:]).out)["artifacts"]
    rows = document("artifacts", program("artifacts", "ls", *where).out)["artifacts"]
    assert row["key"] == f"runs/{trained.run}"
    assert row["verdict"] == "finished"
    assert row["bytes"] == sum(entry["bytes"] for entry in rows)
    best = document("artifacts", program("artifacts", "best", *where).out)["artifacts"]
    fetched = document("artifacts", program("artifacts", "get", *where).out)["artifacts"]
    assert {entry["sha256"] for entry in best} <= {entry["sha256"] for entry in fetched}
    assert {str(path.relative_to(folder / trained.run)) for path in objects(folder)} == {
        entry["key"] for entry in fetched
    }
    verified = document("artifacts", program("artifacts", "verify", *where).out)["artifacts"]
    assert {entry["verdict"] for entry in verified} == {"intact"}


def test_a_finished_run_is_resumed_by_printing_its_result(
    trained: TrainDocument, program: Program
) -> None:
    ended = program("resume", trained.run, "--store", trained.store, "--json")
    assert (ended.code, TrainDocument.model_validate_json(ended.out)) == (0, trained)


def test_only_a_sweep_has_trials_at_once(trained: TrainDocument, program: Program) -> None:
    ended = program("resume", trained.run, "--store", trained.store, "--concurrency", "2")
    assert ended.code == 2
    assert f"--concurrency=2: {trained.run} is a run" in ended.err


def test_damage_is_shown_row_by_row_and_is_exit_5(program: Program, folder: Path) -> None:
    name = document("train", program(*f"train {TINY} --epochs 1 --json".split()).out)["run"]
    weights = next(path for path in objects(folder) if path.name == WEIGHTS)
    weights.write_bytes(b"x" + weights.read_bytes()[1:])
    ended = program("artifacts", "verify", name, "--json")
    assert ended.code == 5
    rows = document("artifacts", ended.out)["artifacts"]
    assert [row["verdict"] for row in rows].count("damaged") == 1
    assert f"of {name} are damaged or missing, first runs/{name}/" in ended.err


def test_nothing_that_exists_is_overwritten(
    trained: TrainDocument, program: Program, folder: Path
) -> None:
    (folder / "sheet.png").write_text("mine")
    assert program("data", "show", "synthetic").code == 5
    (folder / "here").mkdir()
    (folder / "here" / "run.json").write_text("mine")
    where = ["--store", trained.store, "--output", "here"]
    assert program("artifacts", "get", trained.run, *where).code == 5
    assert {path.read_text() for path in objects(folder)} == {"mine"}
