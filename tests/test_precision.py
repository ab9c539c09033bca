"""Arithmetics: what a model computes stays the model, and so do its state keys."""

import pytest
import torch
from torch import nn

from cifar_dist.dropout import VectorDropout
from cifar_dist.learner import Learner
from cifar_dist.models import MODELS
from cifar_dist.precision import Arithmetic, Float32Conv2d, candidates, compiled_candidate
from tests.tiny import CPU, make_recipe, pictures

NAMES = ["fp32", "fp32_channels_last", "bf16", "bf16_depthwise_fp32"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", MODELS.names)
def test_a_prepared_model_computes_the_same_but_for_rounding(name: str, model: str) -> None:
    torch.manual_seed(0)
    plain = MODELS.build({"name": model}).eval()
    images, keys = torch.randn(4, 3, 32, 32), list(plain.state_dict())
    expected = plain(images)
    arithmetic = Arithmetic(name, CPU)
    prepared = arithmetic.prepare(plain)
    with arithmetic.context():
        found = prepared(images.contiguous(memory_format=arithmetic.memory_format)).float()
    tolerance = 0.05 if name.startswith("bf16") else 1e-5
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()
    assert list(prepared.state_dict()) == keys


def test_depthwise_filters_stay_in_fp32_only_where_named() -> None:
    for name in NAMES:
        model = Arithmetic(name, CPU).prepare(MODELS.build({"name": "dsc_net"}))
        pinned = [module for module in model.modules() if isinstance(module, Float32Conv2d)]
        assert bool(pinned) is (name == "bf16_depthwise_fp32")


def test_a_pinned_convolution_ignores_bf16() -> None:
    convolution = nn.Conv2d(4, 4, 3, stride=2, padding=1, dilation=2, groups=4)
    images = torch.randn(2, 4, 9, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = Float32Conv2d(convolution)(images.bfloat16())
    assert torch.equal(found, convolution(images.bfloat16().float()))


@pytest.mark.parametrize("training", [True, False])
def test_a_cpu_trains_with_its_own_dropout_and_a_gpu_with_torchs(training: bool) -> None:
    prepared = Arithmetic("fp32", CPU).prepare(MODELS.build({"name": "dsc_net"}).train(training))
    rates = [m for m in prepared.modules() if isinstance(m, VectorDropout)]
    assert rates and not any(isinstance(m, nn.Dropout) for m in prepared.modules())
    assert {layer.training for layer in rates} == {training}
    meta = Arithmetic("fp32", torch.device("meta")).prepare(MODELS.build({"name": "dsc_net"}))
    assert not any(isinstance(m, VectorDropout) for m in meta.modules())


def test_only_a_convolution_is_replaced() -> None:
    with pytest.raises(TypeError, match="a Conv2d is replaced, not Linear"):
        Float32Conv2d(nn.Linear(2, 2))


def test_fp32_depthwise_is_a_candidate_where_it_pays() -> None:
    with_depthwise, without = (MODELS.build({"name": name}) for name in ("dsc_net", "lenet5"))
    assert candidates(without, CPU) == NAMES[:3]
    assert candidates(with_depthwise, CPU) == NAMES
    assert candidates(with_depthwise, torch.device("cuda")) == NAMES[:3]


@pytest.mark.parametrize(
    ("device", "seconds", "expected"),
    [("cuda", 3_600.0, "bf16_compiled"), ("cuda", 60.0, None), ("cpu", 3_600.0, None)],
)
def test_compiling_is_tried_on_a_gpu_for_long_trainings_alone(
    device: str, seconds: float, expected: str | None
) -> None:
    assert compiled_candidate(torch.device(device), seconds) == expected


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_training_changes_the_weights_of_its_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda m, **o: compile_(m, backend="aot_eager", **o))
    arithmetics = [Arithmetic(name, CPU) for name in ("bf16", "bf16_compiled")]
    recipe = make_recipe(model={"name": "simple_cnn"})
    learners = [Learner(recipe, pictures(60), each) for each in arithmetics]
    for learner in learners:
        for batch in learner.batches():
            learner.advance(batch)
    eager, compiled = (learner.model.state_dict() for learner in learners)
    assert learners[1].network is not learners[1].trained
    assert list(eager) == list(compiled)
    for name, value in eager.items():
        assert torch.allclose(value, compiled[name], atol=0.02), name
