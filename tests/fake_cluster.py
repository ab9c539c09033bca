"""A kubectl and a helm that answer from files and write down what they were asked."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from cifar_dist import __version__
from cifar_dist.config import dump_yaml
from tests.kubernetes.specs import changed, sound

SPACE = "/api/v1/namespaces/cifar-dist"
PLATFORM = f"{SPACE}/configmaps/cifar-dist-platform"
PLATFORMS = "cifar-dist.io/component%3Dplatform"
JOBS = "/apis/ray.io/v1/namespaces/cifar-dist/rayjobs"
STORE, DATA = "s3://research/team", "s3://research/team/datasets/00"

# What is asked of the API server is a file by its path, with commas for slashes.
_KUBECTL = """#!/bin/sh
cd {folder} || exit 9
printf '%s\\n' "$*" >> calls
key=none before=none
for word; do
    case "$word" in
        --raw=*) key=$(printf %s "${{word#--raw=}}" | tr / ,) ;;
        create) key=create; cat > created.json ;;
    esac
    [ "$before" = secret ] && key=",secrets,$word"
    before=$word
done
[ -f "$key.error" ] && {{ cat "$key.error" >&2; exit 1; }}
[ "$key" = create ] && {{ cat created.json; exit 0; }}
[ -f "$key" ] && {{ cat "$key"; exit 0; }}
echo 'Error from server (NotFound): it "x" not found' >&2
exit 1
"""
_HELM = """#!/bin/sh
cd {folder} || exit 9
printf '%s\\n' "$*" >> helm_calls
cat > values.json
[ -f helm.error ] && {{ cat helm.error >&2; exit 1; }}
cat manifest.yaml
"""


class FakeCluster:
    """Both programs, on the PATH of this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "cluster"
        programs = folder / "programs"
        for path in (self._folder, programs):
            path.mkdir()
        for name, script in (("kubectl", _KUBECTL), ("helm", _HELM)):
            program = programs / name
            program.write_text(script.format(folder=shlex.quote(str(self._folder))))
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        self.render(sound())

    def render(self, manifest: dict[str, Any]) -> None:
        """Let helm render this."""
        (self._folder / "manifest.yaml").write_text(dump_yaml(manifest))

    def answer(self, path: str, data: dict[str, Any] | str) -> None:
        """Let the API server have this under a path."""
        text = data if isinstance(data, str) else json.dumps(data)
        (self._folder / path.replace("/", ",")).write_text(text)

    def refuse(self, what: str, said: str) -> None:
        """Let it refuse a path, `create` or helm's rendering with what is said on stderr."""
        (self._folder / f"{what.replace('/', ',')}.error").write_text(f"{said}\n")

    def there(self, path: str) -> dict[str, Any]:
        """Give what it has under a path."""
        found: dict[str, Any] = json.loads((self._folder / path.replace("/", ",")).read_text())
        return found

    def forget(self, path: str) -> None:
        """Let it have nothing there any more."""
        (self._folder / path.replace("/", ",")).unlink()

    def install(self, **values: Any) -> None:
        """Let there be a platform, a namespace, an operator, accounts and one node."""
        stored = {"store": {"uri": STORE}, "data": {"uri": DATA}, **values}
        self.answer(
            PLATFORM, {"data": {"values.yaml": dump_yaml(stored), "appVersion": __version__}}
        )
        self.answer(f"{SPACE}/configmaps?labelSelector={PLATFORMS}", {"items": []})
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.answer(SPACE, {"metadata": {"labels": labels}})
        self.answer("/apis/ray.io/v1", {"resources": [{"name": "rayjobs"}]})
        self.answer("/apis", {"groups": []})
        self.answer(f"{SPACE}/serviceaccounts/default", {})
        for kind in ("resourcequotas", "limitranges"):
            self.answer(f"{SPACE}/{kind}", {"items": []})
        self.nodes(node())

    def nodes(self, *nodes: dict[str, Any]) -> None:
        """Let there be these nodes."""
        self.answer("/api/v1/nodes?limit=500", {"items": list(nodes)})

    @property
    def calls(self) -> list[str]:
        """What kubectl was asked, oldest first."""
        path = self._folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def values(self) -> dict[str, Any]:
        """What helm was given."""
        found: dict[str, Any] = json.loads((self._folder / "values.json").read_text())
        return found

    @property
    def created(self) -> dict[str, Any] | None:
        """What was created."""
        path = self._folder / "created.json"
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text())
        return found


def node(cpu: str = "16", memory: str = "64Gi", **more: str) -> dict[str, Any]:
    """Give a node with so much to give."""
    allocatable = {
        "cpu": cpu,
        "memory": memory,
        "pods": "110",
        "ephemeral-storage": "200Gi",
        **more,
    }
    return {"metadata": {"name": "n", "labels": {}}, "status": {"allocatable": allocatable}}


def asking(**resources: str) -> dict[str, Any]:
    """Give a RayJob, each of whose pods asks for so much."""
    spec = {"requests": resources, "limits": resources}
    inside = "template.spec.containers.0.resources"
    return changed(
        sound(),
        {
            f"spec.rayClusterSpec.headGroupSpec.{inside}": spec,
            f"spec.rayClusterSpec.workerGroupSpecs.0.{inside}": spec,
        },
    )


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """Install a platform on a fake cluster, whose store nobody here has keys for."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    found = FakeCluster(tmp_path, monkeypatch)
    found.install()
    return found
