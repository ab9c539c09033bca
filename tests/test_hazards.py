"""A variable that undoes a protection lets nothing start, and both are said in one sentence."""

from pathlib import Path

import pytest

from cifar_dist import consent
from cifar_dist.errors import RefusedError
from cifar_dist.hazards import HAZARDS, hazards, refuse_hazards
from tests.commands import Program, listed

TORCH, RAY = HAZARDS


@pytest.fixture(autouse=True)
def _sound(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (TORCH.variable, RAY.variable, consent.VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("value", ["1", "true", "YES", "y", "on", " 1", "anything"])
def test_whatever_switches_careless_loading_on_is_a_hazard(value: str) -> None:
    assert hazards({TORCH.variable: value}) == [TORCH]


@pytest.mark.parametrize("value", ["", " ", "0", "n", "No", "FALSE", "off"])
def test_what_leaves_it_off_is_none(value: str) -> None:
    assert hazards({TORCH.variable: value}) == []


@pytest.mark.parametrize(
    ("value", "found"), [("disabled", [RAY]), ("DISABLED ", [RAY]), ("token", []), ("", [])]
)
def test_an_open_cluster_is_a_hazard(value: str, found: list[object]) -> None:
    assert hazards({RAY.variable: value}) == found


@pytest.mark.parametrize(("variable", "value"), [(TORCH.variable, "1"), (RAY.variable, "disabled")])
def test_no_command_starts_with_a_hazard(
    variable: str, value: str, program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    for line in ("train", "tune", "artifacts ls", "data stats", "report get x"):
        ended = program(*line.split())
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (5, "", 1)
        assert f"unset {variable}" in ended.err
    assert listed(folder) == []


def test_help_is_given_all_the_same(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TORCH.variable, "1")
    for line in ("--help", "train --help", "--version", "doctor --help"):
        assert program(*line.split()).code == 0


def test_consent_covers_the_open_cluster_alone_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(RAY.variable, "disabled")
    monkeypatch.setenv(consent.VARIABLE, "1")
    refuse_hazards()
    assert "RAY_AUTH_MODE=disabled lets everyone" in caplog.text
    monkeypatch.setenv(TORCH.variable, "1")
    with pytest.raises(RefusedError, match=TORCH.variable):
        refuse_hazards()
