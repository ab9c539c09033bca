"""The chart fits where Kubernetes keeps it, and its dashboards arrive as they are."""

import base64
import gzip
import json
from pathlib import Path

import pytest

from tests.chart.renders import CHART, CI, Case, Object, helm, named, objects

LARGEST_CONFIG_MAP = 900_000
LARGEST_RELEASE = 1_048_576  # of a Secret, where helm keeps a release
DASHBOARDS = sorted(CHART.glob("dashboards/*.json"))


def test_config_maps_are_small(things: list[tuple[Case, Object]]) -> None:
    for _, thing in things:
        if thing["kind"] == "ConfigMap":
            size = sum(len(text.encode()) for text in thing.get("data", {}).values())
            assert size < LARGEST_CONFIG_MAP, named(thing)


@pytest.mark.parametrize("mode", ["platform", "cluster"])
def test_a_release_fits_into_its_secret(
    renders: dict[Case, str], mode: str, tmp_path: Path
) -> None:
    package = helm("package", CHART, "-d", tmp_path)
    assert package.code == 0, package.error
    (archive,) = tmp_path.glob("*.tgz")
    # Helm keeps every file of the chart in base64, and the whole once more, compressed.
    files = base64.b64encode(gzip.decompress(archive.read_bytes())).decode()
    for values in CI:
        release = json.dumps({"chart": files, "manifest": renders[Case(values, mode)]})
        kept = base64.b64encode(gzip.compress(release.encode(), 9))
        assert len(kept) < LARGEST_RELEASE, f"{values}: {len(kept)}"


def test_dashboards_are_rendered_as_they_are(renders: dict[Case, str]) -> None:
    found = [t for t in objects(renders[Case("default")]) if t["kind"] == "ConfigMap"]
    texts = {name: text for thing in found for name, text in thing["data"].items()}
    for path in DASHBOARDS:
        assert json.loads(texts[path.name]) == json.loads(path.read_text("utf-8"))
