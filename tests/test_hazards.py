"""A variable that undoes a protection lets nothing start that it protects, in one sentence."""

from pathlib import Path

import pytest

from cifar_dist import consent
from cifar_dist.cluster.connection import connected
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


def test_no_command_starts_with_a_hazard(
    program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TORCH.variable, "1")
    for line in ("train", "tune", "artifacts ls", "data stats", "report get x"):
        ended = program(*line.split())
        assert (ended.code, ended.out, len(ended.err.splitlines())) == (5, "", 1)
        assert f"unset {TORCH.variable}" in ended.err
        assert consent.FLAG not in ended.err
    assert listed(folder) == []


def test_an_open_ray_is_a_hazard_only_to_what_uses_it(
    program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RAY.variable, "disabled")
    for line in ("artifacts ls", "models list", "tune quickstart --dry-run --data synthetic"):
        assert program(*line.split()).code == 0
    with pytest.raises(RefusedError, match=f"unset {RAY.variable}.*{consent.FLAG}"), connected():
        pass
    line = "train --workers 1 --data synthetic --model lenet5 --epochs 1"
    ended = program(*line.split())
    assert (ended.code, ended.out) == (5, "")
    assert f"unset {RAY.variable}" in ended.err.splitlines()[-1]


def test_help_is_given_all_the_same(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TORCH.variable, "1")
    for line in ("--help", "train --help", "--version", "doctor --help"):
        assert program(*line.split()).code == 0


def test_consent_covers_the_open_cluster_alone_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(RAY.variable, "disabled")
    monkeypatch.setenv(consent.VARIABLE, "1")
    refuse_hazards(of_ray=True)
    assert "RAY_AUTH_MODE=disabled lets everyone" in caplog.text
    monkeypatch.setenv(TORCH.variable, "1")
    with pytest.raises(RefusedError, match=TORCH.variable):
        refuse_hazards(of_ray=True)
