"""The image's bill of materials: names everything installed, and always in the same bytes."""

import json
import runpy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "deploy" / "make_sbom.py"))
STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Description: GNU Bourne Again SHell
 Bash is an sh-compatible command language interpreter.

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1:2.0
"""


@pytest.fixture
def bill(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "status").write_text(STATUS)
    SCRIPT["main"](tmp_path / "sbom.json", tmp_path / "status")
    written: dict[str, Any] = json.loads((tmp_path / "sbom.json").read_text())
    return written


def test_a_bill_names_every_distribution_by_its_purl(bill: dict[str, Any]) -> None:
    purls = {part["purl"] for part in bill["components"]}
    assert f"pkg:pypi/ray@{version('ray')}" in purls
    assert f"pkg:pypi/prometheus-client@{version('prometheus-client')}" in purls
    assert bill["metadata"]["component"]["name"] == "cifar-dist"
    assert not any(part["name"] == "cifar-dist" for part in bill["components"])


def test_a_bill_names_debian_packages_that_are_installed_and_no_others(
    bill: dict[str, Any],
) -> None:
    debian = [part["purl"] for part in bill["components"] if part["purl"].startswith("pkg:deb/")]
    assert debian == ["pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64"]


def test_a_bill_is_cyclonedx_with_unique_references_and_repeats_byte_by_byte(
    bill: dict[str, Any], tmp_path: Path
) -> None:
    references = [part["bom-ref"] for part in bill["components"]]
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert references == sorted(set(references))
    SCRIPT["main"](tmp_path / "again.json", tmp_path / "status")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "sbom.json").read_bytes()


def test_a_license_that_is_a_whole_text_is_not_taken_for_a_name(bill: dict[str, Any]) -> None:
    named = [
        part["licenses"][0]["license"]["name"] for part in bill["components"] if "licenses" in part
    ]
    assert named and all(len(name) <= 100 and "\n" not in name for name in named)


def test_an_image_without_debian_packages_has_a_bill_too(tmp_path: Path) -> None:
    SCRIPT["main"](tmp_path / "sbom.json", tmp_path / "none")
    assert json.loads((tmp_path / "sbom.json").read_text())["components"]
