"""`submit tune` and `submit train`: rendered, examined, created once, found again, followed."""

import re
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from cifar_dist.config import parse_yaml
from cifar_dist.errors import CifarDistError
from cifar_dist.submission import watch
from cifar_dist.submission.kubectl import Kubectl
from cifar_dist.submission.observed import Outcome
from cifar_dist.submission.snapshot import Snapshot
from tests.commands import Program, document
from tests.fake_cluster import DATA, JOBS, PLATFORM, PLATFORMS, SPACE, STORE, FakeCluster, node
from tests.kubernetes.specs import changed, sound
from tests.submitted_jobs import running

TUNE = ("submit", "tune", "dropout")
HERE = ("--store", STORE, "--data", DATA)


def submitted(program: Program, *words: str) -> dict[str, Any]:
    """Submit, and give the document."""
    return document("submission", program(*TUNE, *words, "--json").out)


def test_a_dry_run_prints_the_job_and_asks_no_cluster(
    program: Program, cluster: FakeCluster
) -> None:
    ended = program(*TUNE, *HERE, "--dry-run")
    assert ended.code == 0, ended.err
    assert parse_yaml(ended.out, "out") == sound()
    assert "warning  image: " in ended.err
    assert cluster.calls == [] and cluster.created is None
    found = submitted(program, *HERE, "--dry-run")
    assert (found["state"], found["context"], found["manifest"]) == ("rendered", None, sound())
    assert [row["name"] for row in found["checks"]] == ["rules", "image"]


def test_a_dry_run_on_a_cluster_reads_the_platform_and_creates_nothing(
    program: Program, cluster: FakeCluster
) -> None:
    found = submitted(program, "--dry-run", "--on", "prod")
    assert (found["state"], found["context"]) == ("rendered", "prod")
    assert (found["store"], found["data"]) == (STORE, DATA)
    assert cluster.created is None
    assert cluster.calls and all(call.startswith("--context=prod ") for call in cluster.calls)


def test_a_run_is_created_from_the_platforms_values_and_the_next_commands_are_told(
    program: Program, cluster: FakeCluster
) -> None:
    cluster.install(ray={"auth": {"existingSecret": "t"}})
    ended = program(*TUNE, "--trials", "5", "--on", "prod")
    assert ended.code == 0, ended.err
    assert cluster.created == sound()
    name = cluster.values["job"]["name"]
    assert cluster.values["ray"] == {"auth": {"existingSecret": "t"}}
    assert cluster.values["job"]["annotations"]["cifar-dist.io/asked"].endswith("--on prod")
    assert f"{name} is submitted in namespace cifar-dist" in ended.out
    for command in ("status", "logs", "stop"):
        assert f"cifar-dist submit {command} {name}" in ended.out
    assert "--on prod" in ended.out


def test_values_of_files_lie_over_the_platforms(
    program: Program, cluster: FakeCluster, folder: Path
) -> None:
    cluster.install(image={"tag": "a", "pullPolicy": "Never"})
    (folder / "mine.yaml").write_text("image: {tag: b}\nstore: {uri: 's3://other'}\n")
    assert submitted(program, "--values", "mine.yaml")["store"] == "s3://other"
    assert cluster.values["image"] == {"tag": "b", "pullPolicy": "Never"}
    (folder / "wrong.yaml").write_text("imgae: {tag: b}\n")
    ended = program(*TUNE, "--values", "wrong.yaml")
    assert ended.code == 2 and "imgae: unknown field" in ended.err


def test_the_same_command_finds_the_same_run(program: Program, cluster: FakeCluster) -> None:
    first = submitted(program)
    assert first["state"] == "created"
    cluster.answer(f"{JOBS}/{first['name']}", running())
    again = submitted(program)
    assert (again["name"], again["state"], again["outcome"]) == (first["name"], "found", "running")
    assert (again["manifest_sha256"], again["manifest"]) == (first["manifest_sha256"], sound())
    assert "was submitted before" in program(*TUNE).out
    fresh = submitted(program, "--fresh")
    assert (fresh["name"], fresh["state"]) == (f"{first['name']}-2", "created")
    cluster.answer(f"{JOBS}/{fresh['name']}", sound())
    assert submitted(program, "--fresh")["name"] == f"{first['name']}-3"


def test_one_that_ended_badly_is_told_with_its_exit_code(
    program: Program, cluster: FakeCluster
) -> None:
    name = submitted(program)["name"]
    status = {"jobDeploymentStatus": "Failed", "reason": "DeadlineExceeded", "message": "m"}
    cluster.answer(f"{JOBS}/{name}", {**sound(), "status": status})
    ended = program(*TUNE)
    assert ended.code == 3 and "DeadlineExceeded" in ended.out
    assert f"resume: `cifar-dist submit stop {name}`, then the same command" in ended.out
    shown = submitted(program, "--dry-run", "--on", "prod")
    assert (shown["state"], shown["exit_code"], shown["manifest"]) == ("rendered", 0, sound())
    assert shown["checks"]


def test_one_that_is_being_deleted_is_waited_for_and_then_submitted_again(
    program: Program, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = submitted(program)["name"]
    gone = {**running(), "metadata": {"name": name, "deletionTimestamp": "2026-11-22T01:00:00Z"}}
    cluster.answer(f"{JOBS}/{name}", gone)
    monkeypatch.setattr("cifar_dist.submission.launch._POLL_SECONDS", 0.01)
    monkeypatch.setattr("cifar_dist.submission.launch._GONE_SECONDS", 0.0)
    ended = program(*TUNE)
    assert ended.code == 3 and "is still being deleted" in ended.err
    monkeypatch.setattr("cifar_dist.submission.launch._GONE_SECONDS", 120.0)
    clock = SimpleNamespace(monotonic=monotonic, sleep=lambda _: cluster.forget(f"{JOBS}/{name}"))
    monkeypatch.setattr("cifar_dist.submission.launch.time", clock)
    ended = program(*TUNE)
    assert ended.code == 0 and f"{name} is submitted in namespace" in ended.out
    assert ended.err.count("is being deleted; it is submitted again") == 1


def test_the_store_of_a_development_platform_is_not_looked_for_at_amazons(
    program: Program, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of another store")
    cluster.install(store={"uri": STORE, "dev": {"enabled": True}})
    found = submitted(program)
    assert found["state"] == "created"
    (row,) = [row for row in found["checks"] if row["name"] == "store"]
    assert row["found"].endswith("its server is inside the cluster")


def test_who_loses_the_race_attaches(program: Program, cluster: FakeCluster) -> None:
    cluster.refuse("create", 'Error from server (AlreadyExists): rayjobs "x" already exists')
    assert submitted(program)["state"] == "found"


def test_a_failed_check_creates_nothing(program: Program, cluster: FakeCluster) -> None:
    cluster.render(changed(sound(), {"spec.submissionMode": "HttpMode"}))
    cluster.nodes(node(**{"nvidia.com/gpu": "1"}))
    ended = program(*TUNE)
    assert ended.code == 2 and "is not created" in ended.out
    assert "failed   rules: submissionMode 'HttpMode'" in ended.err
    assert cluster.created is None
    assert submitted(program)["state"] == "refused"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dry-run",), "store=artifacts: .*--store"),
        (("--dry-run", "--store", STORE), "recipe.data=sample: .*data push"),
        (("--dry-run", *HERE, "--follow"), "--dry-run creates nothing"),
        (("--dry-run", *HERE, "--concurrency", "999"), "maxReplicas is 4"),
        (("--ray", "http://localhost:8265", "--fresh"), "for Kubernetes"),
        (("--values", "no.yaml", "--dry-run", *HERE), "no.yaml: does not exist"),
        (("--trials", "0"), "trials=0"),
        (("--release", "other"), "no platform of release other"),
    ],
)
@pytest.mark.usefixtures("cluster")
def test_a_wrong_line_is_one_sentence(program: Program, words: tuple[str, ...], said: str) -> None:
    ended = program(*TUNE, *words)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert re.search(said, ended.err), ended.err


def test_values_of_another_version_are_told_from_a_users_mistake(
    program: Program, cluster: FakeCluster
) -> None:
    cluster.install(novelty={"enabled": True})
    assert "installed by version" not in program(*TUNE).err
    published = cluster.there(PLATFORM)
    cluster.answer(PLATFORM, {"data": {**published["data"], "appVersion": "99.0.0"}})
    ended = program(*TUNE)
    assert ended.code == 2
    assert re.search("novelty.*installed by version 99.0.0", ended.err, re.S)


def test_another_release_is_named_where_there_is_one(
    program: Program, cluster: FakeCluster
) -> None:
    cluster.forget(PLATFORM)
    labels = {"app.kubernetes.io/instance": "cd"}
    cluster.answer(
        f"{SPACE}/configmaps?labelSelector={PLATFORMS}",
        {"items": [{"metadata": {"labels": labels}}]},
    )
    ended = program(*TUNE)
    assert ended.code == 2 and "name one of cd with --release" in ended.err


def test_a_platform_of_another_full_name_is_found_by_its_release(
    program: Program, cluster: FakeCluster
) -> None:
    cluster.install(fullnameOverride="research", store={"uri": STORE, "dev": {"enabled": True}})
    moved = cluster.there(PLATFORM)
    cluster.forget(PLATFORM)
    moved["metadata"] = {
        "name": "research-platform", "labels": {"app.kubernetes.io/instance": "cifar-dist"},
    }  # fmt: skip
    cluster.answer(f"{SPACE}/configmaps?labelSelector={PLATFORMS}", {"items": [moved]})
    assert submitted(program)["state"] == "created"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Error: execution error at (cifar-dist/templates/x.yaml:1:4): head.shm: too much\n\nUse "
         "--debug flag to render out invalid YAML", "values: head.shm: too much"),
        ("Error: values don't meet the specifications of the schema(s) in the following chart(s):\n"
         "cifar-dist:\n- head.shm: Does not match pattern", "values: head.shm: Does not match"),
        ("Error: parse error at (x): unclosed", "helm cannot render the chart: parse error"),
    ],
)  # fmt: skip
def test_what_helm_refuses_is_told_without_its_noise(
    program: Program, cluster: FakeCluster, said: str, expected: str
) -> None:
    cluster.refuse("helm", said)
    ended = program(*TUNE, *HERE, "--dry-run")
    assert ended.code == 2 and ended.err.startswith(f"cifar-dist: {expected}")
    assert "--debug" not in ended.err


@pytest.mark.parametrize("missing", ["helm", "kubectl"])
def test_a_missing_program_is_named(
    program: Program, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    words = HERE if missing == "kubectl" else (*HERE, "--dry-run")
    ended = program(*TUNE, *words)
    assert ended.code == 2 and f"{missing} is not on PATH; install" in ended.err


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ("Unable to connect to the server: dial tcp 192.0.2.1:443: i/o timeout", 3, "not answer"),
        ("The connection to the server 192.0.2.1:443 was refused", 3, "not answer"),
        ("The connection to the server localhost:8080 was refused", 2, "set KUBECONFIG"),
        ('error: context "x" does not exist', 2, "get-contexts"),
        ('Error from server (Forbidden): rayjobs.ray.io is forbidden: User "u"', 4, "submitter"),
        ("error: You must be logged in to the server (Unauthorized)", 4, "log in"),
        ("Error from server (Forbidden): exceeded quota: a, requested: pods=1", 3, "ask for less"),
        ('error: the server doesn\'t have a resource type "rayjobs"', 2, "KubeRay operator"),
        ('The RayJob "x" is invalid: \n* spec.a: Required value\n* spec.b: odd', 2, "spec.a: Req"),
        ("Error from server (BadRequest): strict decoding error: unknown field", 2, "older"),
        ("something odd", 3, "kubectl failed: something odd"),
        ("", 3, "no reason given"),
    ],
)
def test_what_kubectl_says_is_translated_once(
    cluster: FakeCluster, said: str, code: int, words: str
) -> None:
    cluster.refuse("create", said)
    with pytest.raises(CifarDistError, match=words) as raised:
        Kubectl("cifar-dist").create(sound())
    assert raised.value.exit_code == code
    assert "\n" not in str(raised.value)


def test_a_followed_run_ends_with_its_own_exit_code(
    program: Program, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follow(door: Kubectl, name: str, tell: Any, show: Any) -> Outcome:
        tell(f"{name}: running")
        show(Snapshot(running()))
        return Outcome("failed", 4, "the bucket is gone")

    monkeypatch.setattr(watch, "follow", follow)
    monkeypatch.setattr("cifar_dist.submission.logs.HeadLog.new", lambda *_: iter(["epoch 1"]))
    ended = program(*TUNE, "--follow", "--json")
    found = document("submission", ended.out)
    assert (ended.code, found["state"], found["outcome"]) == (4, "ended", "failed")
    assert found["reason"] == "the bucket is gone"
    assert ": running" in ended.err and "epoch 1" in ended.err
    assert cluster.created


def test_ctrl_c_leaves_the_run_going_and_says_how_to_stop_it(
    program: Program, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follow(*_: Any) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "follow", follow)
    ended = program(*TUNE, "--follow")
    assert (ended.code, ended.out) == (130, "")
    assert "goes on without being watched" in ended.err
    assert f"cifar-dist submit stop {cluster.values['job']['name']}" in ended.err
