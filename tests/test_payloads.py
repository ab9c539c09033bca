"""A malicious file is refused by every door that it comes to, and nothing in it is ever run."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_dist import load_model
from cifar_dist.api.evidence import gather
from cifar_dist.checkpoint import STATE, WEIGHTS
from cifar_dist.containers import map_array
from cifar_dist.data import Dataset
from cifar_dist.dataset import prepare
from cifar_dist.errors import CifarDistError, DamagedError, RefusedError
from cifar_dist.learner import Learner
from cifar_dist.outcome import start_run
from cifar_dist.runs import Run, fetch
from cifar_dist.runs.manifest import NAME
from cifar_dist.runs.seal import sealed
from cifar_dist.scoring import kept
from cifar_dist.store import Store, open_store, safe_join
from tests import payloads
from tests.commands import TINY, Finished, Program, listed
from tests.kept_runs import keep_run, predicted
from tests.payloads import EVIDENCE, STATES, put_in_place, run_carelessly
from tests.pickles import publish_sums, small_batches, write_batches
from tests.tiny import FP32, make_job, make_learner
from tests.trees import picture

RUN = "a-00000000"


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a path that nothing may appear at, however much torch is asked to trust."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    # Which the program would not start with.
    monkeypatch.setattr("cifar_dist.cli.commands.refuse_hazards", lambda: None)
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


def check_refusal(ended: Finished, *codes: int) -> None:
    assert ended.code in codes, ended.err
    assert ended.out == ""
    said = [line for line in ended.err.splitlines() if line.startswith("cifar-dist: ")]
    assert len(said) == 1 and ended.err.endswith(f"{said[0]}\n"), ended.err
    assert "bug of ours" not in ended.err and "Traceback" not in ended.err


RUNNING = {name: make for name, make in STATES.items() if name != "empty list"}


@pytest.mark.parametrize("kind", RUNNING)
def test_each_payload_does_run_where_it_is_read_carelessly(kind: str, tmp_path: Path) -> None:
    run_carelessly(RUNNING[kind](tmp_path / "canary"))
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", STATES)
def test_a_state_that_is_none_is_refused_in_one_line(
    kind: str, canary: Path, tmp_path: Path
) -> None:
    learner = make_learner()
    learner.snapshot().write(tmp_path)
    (tmp_path / STATE).write_bytes(STATES[kind](canary))
    with pytest.raises(DamagedError, match=r"state\.pt does not fit this job") as caught:
        learner.load(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("kind", payloads.WEIGHTS)
def test_weights_that_are_none_are_refused_by_every_door(
    kind: str, canary: Path, tmp_path: Path, program: Program
) -> None:
    store = open_store(str(tmp_path / "store"))
    keep_run(store, RUN)
    fetch(store, RUN, tmp_path / "copy")
    data = payloads.WEIGHTS[kind](canary)
    put_in_place(tmp_path / "copy", WEIGHTS, data)
    (checkpoint,) = (tmp_path / "store/runs" / RUN).glob("attempts/*/*/")
    put_in_place(checkpoint, WEIGHTS, data)
    for name in (str(tmp_path / "copy"), f"{store.uri}/runs/{RUN}"):
        with pytest.raises(DamagedError, match="does not fit this model"):
            load_model(name)
    (tmp_path / "cat.png").write_bytes(picture())
    check_refusal(program("predict", "../cat.png", "--model", "../copy"), 5)
    if kind == "pickle":
        check_refusal(program("evaluate", RUN, "--store", store.uri), 5)
        check_refusal(program("artifacts", "export", "../copy", "--output", "out"), 5)
    assert listed(tmp_path / "cwd") == []


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, tiny_data: Dataset) -> Path:
    """Begin a run and commit a checkpoint of it; gives its store."""
    folder = tmp_path_factory.mktemp("begun")
    store, job = open_store(str(folder / "store")), make_job()
    run = start_run(store, job, tiny_data.facts(), again=False, resume=False)
    (folder / "saved").mkdir()
    Learner(job.recipe, tiny_data.train, FP32).snapshot().write(folder / "saved")
    run.claim_attempt().commit(folder / "saved", step=0, epoch=0, metrics={})
    return folder / "store"


@pytest.mark.parametrize("kind", ["nested in the optimizer", "torch's older file", "TorchScript"])
def test_a_run_is_not_resumed_from_a_payload(
    kind: str, canary: Path, tmp_path: Path, begun: Path, program: Program
) -> None:
    store = shutil.copytree(begun, tmp_path / "store")
    for checkpoint in store.glob("runs/*/attempts/*/*/"):
        put_in_place(checkpoint, STATE, STATES[kind](canary))
    (run,) = store.glob("runs/*")
    ended = program("resume", run.name, "--store", str(store))
    check_refusal(ended, 5)
    assert "state.pt does not fit this job" in ended.err
    assert listed(tmp_path / "cwd") == []


def test_a_payload_in_a_bucket_is_refused_like_one_in_a_folder(
    canary: Path, tmp_path: Path, s3_environment: None, program: Program
) -> None:
    local = open_store(str(tmp_path / "store"))
    keep_run(local, RUN)
    (checkpoint,) = (tmp_path / "store/runs" / RUN).glob("attempts/*/*/")
    put_in_place(checkpoint, WEIGHTS, payloads.WEIGHTS["torch"](canary))
    bucket = open_store("s3://bucket/payloads")
    for entry in local.entries():
        bucket.upload(entry.key, tmp_path / "store" / entry.key)
    check_refusal(program("evaluate", RUN, "--store", bucket.uri), 5)
    with pytest.raises(DamagedError, match="does not fit this model"):
        load_model(f"{bucket.uri}/runs/{RUN}")


@pytest.mark.parametrize("kind", EVIDENCE)
@pytest.mark.parametrize("name", ["predictions.npz", "maps.npz"])
def test_evidence_that_is_none_is_damaged_and_left_out_of_a_report(
    kind: str, name: str, canary: Path, tmp_path: Path, tiny_data: Dataset
) -> None:
    store = open_store(str(tmp_path / "kept"))
    keep_run(store, RUN, predicted([True, False]))
    run = Run(store, f"runs/{RUN}")
    put_in_place(tmp_path / f"kept/runs/{RUN}/evidence/000001", name, EVIDENCE[kind](canary))
    with pytest.raises(DamagedError, match="evaluate again"):
        kept(run)
    evidence = gather(run, make_job(), tiny_data)
    assert not evidence.predictions and evidence.maps is None


def test_a_distributed_checkpoint_is_never_opened(
    canary: Path, tmp_path: Path, program: Program
) -> None:
    folder = payloads.distributed_checkpoint(tmp_path / "dcp", canary)
    with pytest.raises(CifarDistError):
        load_model(folder)
    (tmp_path / "cat.png").write_bytes(picture())
    check_refusal(program("predict", "../cat.png", "--model", "../dcp"), 2)
    check_refusal(program("evaluate", "../dcp"), 2)
    check_refusal(program("data", "prepare", "../dcp"), 2)
    check_refusal(program("resume", "mine-00000000", "--store", "../dcp"), 2)
    assert listed(tmp_path / "cwd") == []


def test_a_pickle_of_images_is_not_run_even_if_its_sum_were_right(
    canary: Path, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR_DIST_CACHE", str(tmp_path / "cache"))
    for kind in ("os.system", "numpy objects"):
        make = {"os.system": payloads._system, "numpy objects": payloads._numpy_objects}[kind]
        data = payloads.raw_pickle(make)(canary)
        files = {**small_batches(), "data_batch_3": data}
        publish_sums(monkeypatch, files)
        folder = write_batches(tmp_path / kind, files)
        check_refusal(program("data", "prepare", "cifar10", "--from", str(folder)), 2)
    assert not (tmp_path / "cache").exists()


def test_arrays_of_objects_in_the_cache_are_damaged_and_made_again(
    canary: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    before = prepare("synthetic", cache)
    (before.folder / "train_labels.npy").write_bytes(payloads.object_array(canary))
    (before.folder / "test_labels.npy").write_bytes(EVIDENCE["object array"](canary))
    for name in ("train_labels", "test_labels"):
        with pytest.raises(ValueError, match=r"objects|object|magic string"):
            map_array(before.folder / f"{name}.npy")
    assert prepare("synthetic", cache).arrays.sha256 == before.arrays.sha256
    assert "is damaged" in caplog.text and "prepared again" in caplog.text


LEADING_OUT = {
    "parent": "../../escaped", "inner parent": "a/../../escaped", "absolute": "/escaped",
    "double slash": "a//escaped", "backslash": "..\\escaped", "NUL": "a\0b", "line": "a\nb",
    "right to left": "a\u202eb", "256 bytes": "n" * 256, "a megabyte": "a/" * 500_000,
    "dot": "./a", "hidden": ".ssh/a", "empty": "", "home": "~/a", "itself": "MANIFEST.json",
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(LEADING_OUT.keys() - {"itself"}))
def test_a_path_is_never_made_of_such_a_name(kind: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is not plain"):
        safe_join(tmp_path, LEADING_OUT[kind])


def test_a_path_leads_through_no_link_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "real/a").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert safe_join(tmp_path / "linked", "a/b.json") == tmp_path / "linked/a/b.json"
    (tmp_path / "real/a/b.json").symlink_to("/etc/passwd")
    (tmp_path / "real/out").symlink_to("/etc")
    for name in ("a/b.json", "out", "out/passwd"):
        with pytest.raises(RefusedError, match="is a link and may lead out of"):
            safe_join(tmp_path / "linked", name)
        with pytest.raises(RefusedError, match="is a link and may lead out of"):
            open_store(str(tmp_path / "linked")).read(name, 100)


def renamed(checkpoint: Path, name: str) -> None:
    """Let a manifest give another name to the file of the weights."""
    document = json.loads((checkpoint / NAME).read_bytes())
    del document["seal"]
    document["files"][name] = document["files"].pop(WEIGHTS)
    (checkpoint / NAME).write_bytes(sealed(document))


@pytest.mark.parametrize("kind", LEADING_OUT)
def test_a_name_in_a_manifest_cannot_lead_out_of_its_folder(
    kind: str, tmp_path: Path, program: Program
) -> None:
    store = open_store(str(tmp_path / "store"))
    keep_run(store, RUN)
    (checkpoint,) = (tmp_path / "store/runs" / RUN).glob("attempts/*/*/")
    renamed(checkpoint, LEADING_OUT[kind])
    before = [path for path in listed(tmp_path) if not path.startswith("cwd")]
    ended = program("artifacts", "get", RUN, "--store", store.uri, "--output", "copy/here")
    check_refusal(ended, 5)
    assert [path for path in listed(tmp_path) if not path.startswith("cwd")] == before
    assert not list((tmp_path / "cwd").rglob("*escaped*"))


@pytest.mark.parametrize("link", ["report", "model.safetensors", "report/index.html"])
def test_a_link_in_the_target_is_not_written_through(
    link: str, tmp_path: Path, program: Program
) -> None:
    store: Store = open_store(str(tmp_path / "store"))
    keep_run(store, RUN)
    outside, copy = tmp_path / "outside", tmp_path / "cwd/copy"
    outside.mkdir()
    (copy / link).parent.mkdir(parents=True)
    (copy / link).symlink_to(outside / "file" if "." in link else outside)
    for flags in ([], ["--force"]):
        line = ["artifacts", "get", RUN, "--store", store.uri, "--output", "copy", *flags]
        ended = program(*line)
        check_refusal(ended, 5)
        assert "is a link and may lead out of" in ended.err
    assert listed(outside) == []


@pytest.mark.parametrize(
    ("link", "line"),
    [
        ("sheet.png", "data show synthetic --output sheet.png"),
        ("seen/1-cat.png", "predict ../cat.png --cam seen"),
        ("index.html", "report index ../store --output index.html"),
    ],
)
def test_a_link_to_nothing_in_place_of_a_new_file_is_not_written_through(
    link: str, line: str, tmp_path: Path, program: Program
) -> None:
    keep_run(open_store(str(tmp_path / "store")), RUN)
    (tmp_path / "cat.png").write_bytes(picture())
    (tmp_path / "cwd" / link).parent.mkdir(exist_ok=True)
    (tmp_path / "cwd" / link).symlink_to(tmp_path / "outside")
    ended = program(*line.split())
    check_refusal(ended, 5)
    assert f"{link} exists" in ended.err
    assert not (tmp_path / "outside").exists()


def test_the_variable_that_trusts_every_file_starts_no_command(
    program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    for line in (f"train {TINY}", "artifacts ls", "predict cat.png", "models list"):
        ended = program(*line.split(), *(["--allow-insecure"] if "train" in line else []))
        check_refusal(ended, 5)
        assert "unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" in ended.err
    assert program("--help").code == program("train", "--help").code == 0
    assert listed(folder) == []
