"""The verdict on arithmetic: timed, explained, and never one that breaks training."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from cifar_dist import probe as module
from cifar_dist.config import Recipe
from cifar_dist.data import Images
from cifar_dist.errors import ConfigError
from cifar_dist.precision import Arithmetic
from cifar_dist.probe import probe
from tests.tiny import CPU, make_recipe, pictures

KEYS = {"name", "reason", "device", "milliseconds", "images"}


def timings(seconds: Mapping[str, float]) -> Callable[..., float]:
    def of(recipe: Recipe, train: Images, arithmetic: Arithmetic, batch: int) -> float:
        return seconds.get(arithmetic.name, math.inf)

    return of


def verdict(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> dict[str, Any]:
    """Probe a model with depthwise convolutions whose candidates take the given seconds."""
    monkeypatch.setattr(module, "_step_seconds", timings(seconds))
    return probe(make_recipe(precision="auto", model={"name": "dsc_net"}), pictures(9), CPU)


def test_a_verdict_says_what_was_timed_and_why() -> None:
    found = probe(make_recipe(precision="auto"), pictures(100), CPU)
    assert set(found) == KEYS
    assert set(found["milliseconds"]) == {"fp32", "fp32_channels_last", "bf16"}
    assert found["name"] in found["milliseconds"]
    assert found["reason"].endswith("in steps of 100 images on this cpu")


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_a_pinned_precision_is_not_timed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_step_seconds", None)
    found = probe(make_recipe(precision=name), pictures(9), CPU)
    expected = {"name": name, "reason": "set by the job", "device": "cpu", "milliseconds": {}}
    assert found == expected


def test_the_fastest_candidate_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdict(monkeypatch, fp32=0.2, fp32_channels_last=0.15, bf16_depthwise_fp32=0.1)
    assert found["name"] == "bf16_depthwise_fp32"
    assert found["reason"].startswith("2.00 × the speed of fp32")
    assert found["milliseconds"] == {
        "fp32": 200.0,
        "fp32_channels_last": 150.0,
        "bf16_depthwise_fp32": 100.0,
    }


def test_a_long_training_on_a_gpu_is_compiled_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = {"fp32": 2.0, "bf16": 1.0, "bf16_compiled": 0.5}
    monkeypatch.setattr(module, "_step_seconds", timings(seconds))
    gpu = torch.device("cuda")
    for epochs, expected in ((2_000, "bf16_compiled"), (20, "bf16")):
        recipe = make_recipe(precision="auto", model={"name": "lenet5"}, epochs=epochs)
        assert probe(recipe, pictures(9), gpu)["name"] == expected


def test_compiled_arithmetic_is_refused_on_a_cpu_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"recipe\.precision=bf16_compiled.*leave it auto"):
        probe(make_recipe(precision="bf16_compiled"), pictures(9), CPU)


def test_a_win_within_the_noise_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict(monkeypatch, fp32=0.102, bf16=0.1)["name"] == "fp32"


@pytest.mark.parametrize("finite", [["fp32"], ["fp32", "fp32_channels_last"], ["bf16"], []])
def test_a_candidate_whose_loss_is_not_finite_is_never_chosen(
    finite: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = verdict(monkeypatch, **dict.fromkeys(finite, 0.1))
    assert found["name"] == "fp32"
    assert list(found["milliseconds"]) == finite


def test_a_loss_that_is_not_finite_takes_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(learner: module.Learner, batch: torch.Tensor) -> None:
        learner.tally[0] = math.nan

    monkeypatch.setattr(module.Learner, "advance", broken)
    found = probe(make_recipe(precision="auto"), pictures(20), CPU)
    assert (found["name"], found["milliseconds"]) == ("fp32", {})


def test_a_probe_works_through_parts_of_the_jobs_size(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, backward = [], module.Learner._backward

    def noted(learner: module.Learner, part: torch.Tensor, count: int) -> None:
        seen.append(len(part))
        backward(learner, part, count)

    monkeypatch.setattr(module.Learner, "_backward", noted)
    recipe = make_recipe(precision="auto", batch_size=4096, accumulation=256)
    probe(recipe, pictures(200), CPU)
    assert set(seen) == {16}


@pytest.mark.parametrize("schedule", ["linear", "one_cycle"])
def test_a_probe_of_a_short_run_stays_within_its_schedule(
    schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, advance = [], module.Learner.advance

    def noted(learner: module.Learner, batch: torch.Tensor) -> None:
        advance(learner, batch)
        seen.append((learner.step <= learner.total_steps, learner.lr > 0))

    monkeypatch.setattr(module.Learner, "advance", noted)
    changes = {"epochs": 1, "warmup_epochs": 0.9, "batch_size": 65_536}
    probe(make_recipe(precision="auto", schedule={"name": schedule}, **changes), pictures(20), CPU)
    assert set(seen) == {(True, True)}


def test_a_probe_leaves_no_single_image_that_the_job_would_not_have() -> None:
    recipe = make_recipe(model={"name": "dsc_net"}, batch_size=17)
    seconds = module._step_seconds(recipe, pictures(17), Arithmetic("fp32", CPU), 8)
    assert math.isfinite(seconds)
