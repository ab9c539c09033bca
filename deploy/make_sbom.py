"""List what an image holds as CycloneDX 1.6: `make_sbom.py OUTPUT [DPKG_STATUS]`, run inside it."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

OURS = "cifar-dist"
STATUS = Path("/var/lib/dpkg/status")
_LONGEST_LICENSE = 100
"""What is longer is the text of a license, not its name."""


def main(output: Path, status: Path = STATUS) -> None:
    """Write the list; the same image gives the same bytes."""
    text = status.read_text("utf-8") if status.exists() else ""
    bill = sbom(distributions(), text)
    output.write_text(json.dumps(bill, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{output}: {len(bill['components'])} components\n")


def sbom(installed: Iterable[Distribution], status: str) -> dict[str, Any]:
    """Describe Python distributions and Debian packages (the text of dpkg's status file)."""
    python = {part["bom-ref"]: part for part in map(_distribution, installed)}
    ours = next((part for part in python.values() if part["name"] == OURS), None)
    parts = python | {part["bom-ref"]: part for part in _packages(status)}
    bill: dict[str, Any] = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
    if ours:
        bill["metadata"] = {"component": ours | {"type": "application"}}
        del parts[ours["bom-ref"]]
    return bill | {"components": [parts[name] for name in sorted(parts)]}


def _distribution(installed: Distribution) -> dict[str, Any]:
    facts = installed.metadata
    name = re.sub(r"[-_.]+", "-", facts["Name"]).lower()
    part = _component(
        f"pkg:pypi/{name}@{quote(installed.version, safe=':')}", name, installed.version
    )
    named = facts.get("License-Expression") or facts.get("License")
    if named and len(named) <= _LONGEST_LICENSE and "\n" not in named:
        part["licenses"] = [{"license": {"name": named}}]
    return part


def _packages(status: str) -> Iterator[dict[str, Any]]:
    for paragraph in filter(None, status.split("\n\n")):
        facts = HeaderParser().parsestr(paragraph.lstrip("\n"))
        if facts["Package"] and facts["Status"] == "install ok installed":
            name, version = facts["Package"], facts["Version"]
            purl = f"pkg:deb/debian/{name}@{quote(version, safe=':')}?arch={facts['Architecture']}"
            yield _component(purl, name, version)


def _component(purl: str, name: str, version: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
