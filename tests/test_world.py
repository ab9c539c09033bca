"""Ranks act as one: sums, agreement and batch statistics, however unevenly images are shared."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cifar_dist.models import MODELS
from cifar_dist.world import World, synchronized
from tests.processes import in_processes
from tests.tiny import CPU

SHAPES = {"2-d": (13, 5), "4-d": (13, 5, 3, 4), "bf16": (13, 5, 3, 4)}
SHARES = ["even", "uneven", "empty"]
MOMENTUM = {"2-d": None, "4-d": 0.3, "bf16": 0.3}
TOLERANCE = {"2-d": 1e-5, "4-d": 1e-5, "bf16": 2e-2}
CASES = [(shape, share) for shape in SHAPES for share in SHARES]


def share_of(share: str, world: World) -> Tensor:
    """Give a rank's of 13 indices: by turns, two to the chief, or all to the chief."""
    if share == "even":
        return torch.arange(13)[world.rank :: world.size]
    cut = 2 if share == "uneven" else 13
    parts = [torch.arange(cut), *torch.arange(cut, 13).tensor_split(world.size - 1)]
    return parts[world.rank]


def norm_of(shape: str) -> nn.Module:
    """Give torch's batch norm with unlike weights; without a momentum it keeps a plain mean."""
    kind = nn.BatchNorm1d if shape == "2-d" else nn.BatchNorm2d
    norm = kind(5, momentum=MOMENTUM[shape])
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, 5))
        norm.bias.copy_(torch.linspace(-1, 1, 5))
    return norm


def images(shape: str) -> tuple[Tensor, Tensor]:
    """Draw inputs far from zero mean, those in bf16 with channels last, and outputs' gradients."""
    generator = torch.Generator().manual_seed(len(shape))
    inputs, slopes = (3 * torch.randn(SHAPES[shape], generator=generator) + 5 for _ in range(2))
    if shape == "bf16":
        inputs = inputs.to(torch.bfloat16, memory_format=torch.channels_last)
    return inputs, slopes


def plain(shape: str) -> dict[str, Tensor]:
    """Take two steps of torch's own batch norm on the whole batch."""
    norm = norm_of(shape)
    inputs, slopes = images(shape)
    inputs.requires_grad_()
    for _ in range(2):
        outputs = norm(inputs)
    ((outputs * slopes).sum() / len(inputs)).backward()
    return facts(norm, inputs, outputs)


def facts(norm: nn.Module, inputs: Tensor, outputs: Tensor) -> dict[str, Tensor]:
    gradients = {f"{name} gradient": each.grad for name, each in norm.named_parameters()}
    found = {"outputs": outputs.detach(), "input gradient": inputs.grad, **norm.state_dict()}
    return {name: value.clone() for name, value in (found | gradients).items()}  # type: ignore[union-attr]


def shared(world: World, shape: str, share: str) -> dict[str, Tensor]:
    """Take the same steps on one rank's part, as DDP does."""
    network = synchronized(nn.Sequential(norm_of(shape)), CPU)
    ddp = DistributedDataParallel(network)
    inputs, slopes = images(shape)
    mine = share_of(share, world)
    part = inputs[mine].requires_grad_()
    with ddp.no_sync():
        ddp(part)
    outputs = ddp(part)
    ((outputs * slopes[mine]).sum() * world.size / len(inputs)).backward()
    found = facts(network[0], part, outputs)
    found["input gradient"] /= world.size
    return {"mine": mine, **found}


def act(world: World, folder: Path) -> dict[str, Any]:
    """Give what one rank sees of everything that ranks do together."""
    found: dict[str, Any] = {f"{a} {b}": shared(world, a, b) for a, b in CASES}
    found["sum"] = world.add(torch.tensor([1.0, world.rank]))
    found["agreed"] = world.agree({"rank": world.rank, "none": None})
    module = nn.BatchNorm2d(2)
    module.running_mean.fill_(world.rank + 7)
    module.num_batches_tracked.fill_(world.rank + 3)
    world.align(module)
    found["aligned"] = [module.running_mean, module.num_batches_tracked]
    return found


@pytest.fixture(scope="module", params=[2, 3])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return in_processes(request.param, tmp_path_factory.mktemp("ranks"), act)


@pytest.mark.parametrize(("shape", "share"), CASES)
def test_synchronized_statistics_are_those_of_the_whole_batch(
    ranks: list[Any], shape: str, share: str
) -> None:
    expected = plain(shape)
    seen = []
    for rank in ranks:
        found = rank[f"{shape} {share}"]
        mine = found.pop("mine")
        seen += mine.tolist()
        for name in expected:
            wanted = expected[name]
            if name in {"outputs", "input gradient"}:
                wanted = wanted[mine]
            near = TOLERANCE[shape]
            torch.testing.assert_close(found[name], wanted, rtol=near, atol=near)
    assert sorted(seen) == list(range(13))


def test_a_sum_is_over_all_ranks(ranks: list[Any]) -> None:
    size = len(ranks)
    assert all(rank["sum"].tolist() == [size, sum(range(size))] for rank in ranks)


def test_all_ranks_agree_with_the_chief(ranks: list[Any]) -> None:
    assert all(rank["agreed"] == {"rank": 0, "none": None} for rank in ranks)


def test_buffers_become_the_chiefs(ranks: list[Any]) -> None:
    assert all(rank["aligned"][0].tolist() == [7, 7] for rank in ranks)
    assert all(rank["aligned"][1].item() == 3 for rank in ranks)


def test_one_process_alone_is_a_world() -> None:
    world, tensor = World(), torch.ones(2)
    assert world.is_chief
    assert world.add(tensor) is tensor
    assert world.agree("x") == "x"
    world.align(nn.BatchNorm2d(2))


@pytest.mark.parametrize("name", MODELS.names)
def test_a_synchronized_model_keeps_its_state_keys_and_its_evaluation(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS.build({"name": name}).eval()
    inputs = torch.randn(4, 3, 32, 32)
    keys, expected = list(model.state_dict()), model(inputs)
    model = synchronized(model, CPU)
    assert list(model.state_dict()) == keys
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    torch.testing.assert_close(model.eval()(inputs), expected)
