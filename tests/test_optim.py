"""Optimizers take finite steps, resume exactly, and know who learns at which rate."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cifar_dist.optim import OPTIMIZERS, groups, scale_lr, set_lr
from cifar_dist.optim.muon import newton_schulz, orthogonalized
from cifar_dist.world import SynchronizedBatchNorm

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS.names)


def small_net(*, frozen_stem: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(8, 8, 3),
        nn.Flatten(),
        nn.Linear(8 * 4, 5),
    )
    net[0].weight.requires_grad_(not frozen_stem)
    return net.to(memory_format=torch.channels_last)


def loss_of(net: nn.Module) -> Tensor:
    images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return nn.functional.cross_entropy(net(images), torch.arange(16) % 5)


def take_steps(net: nn.Module, optimizer: Optimizer, count: int) -> list[float]:
    losses = []
    for _ in range(count):
        loss = loss_of(net)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@every_optimizer
def test_every_optimizer_lowers_a_loss(name: str) -> None:
    net = small_net()
    optimizer = OPTIMIZERS.build({"name": name, "lr": 0.01}, net)
    losses = take_steps(net, optimizer, 8)
    assert losses[-1] < losses[0]
    assert all(parameter.isfinite().all() for parameter in net.parameters())


@every_optimizer
def test_a_loaded_state_continues_to_the_same_bits_in_any_memory_layout(name: str) -> None:
    net, twin = small_net(), small_net()
    optimizer, resumed = (OPTIMIZERS.build({"name": name}, each) for each in (net, twin))
    take_steps(net, optimizer, 2)
    twin.load_state_dict(net.state_dict())
    saved = optimizer.state_dict()
    state = {
        index: {
            key: value.clone(memory_format=torch.contiguous_format) for key, value in of.items()
        }
        for index, of in saved["state"].items()
    }
    resumed.load_state_dict({**saved, "state": state})
    assert take_steps(net, optimizer, 2) == take_steps(twin, resumed, 2)
    for mine, other in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(mine, other)


@every_optimizer
def test_weight_decay_leaves_biases_and_norms_alone(name: str) -> None:
    net = small_net()
    before = [parameter.clone() for parameter in net.parameters()]
    optimizer = OPTIMIZERS.build({"name": name, "weight_decay": 0.1}, net)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, net.parameters(), strict=True):
        assert torch.equal(old, new) or new.ndim > 1
    assert not torch.equal(before[0], net[0].weight)


@every_optimizer
def test_frozen_parameters_are_left_out(name: str) -> None:
    net = small_net(frozen_stem=True)
    optimizer = OPTIMIZERS.build({"name": name}, net)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in net.parameters() if p.requires_grad}


@every_optimizer
def test_one_factor_scales_all_groups(name: str) -> None:
    optimizer = OPTIMIZERS.build({"name": name}, small_net())
    base = [group["lr"] for group in optimizer.param_groups]
    set_lr(optimizer, 0.5)
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [lr * 0.25 for lr in base]


def test_sgd_takes_the_steps_of_torch() -> None:
    net, twin = small_net(), small_net()
    reference = torch.optim.SGD(groups(twin, 5e-4), lr=0.1, momentum=0.9, nesterov=True)
    ours = take_steps(net, OPTIMIZERS.build({"name": "sgd"}, net), 4)
    assert ours == pytest.approx(take_steps(twin, reference, 4), rel=1e-4)


def test_sgd_without_momentum_needs_no_further_option() -> None:
    optimizer = OPTIMIZERS.build({"name": "sgd", "momentum": 0.0}, small_net())
    assert not optimizer.defaults["nesterov"]


def test_muon_steps_head_and_biases_like_sgd() -> None:
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5)) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    options = {"name": "muon", "sgd_lr": 0.1}
    reference = torch.optim.SGD(nets[1].parameters(), lr=0.1, momentum=0.85, nesterov=True)
    ours = take_steps(nets[0], OPTIMIZERS.build(options, nets[0]), 4)
    assert ours == pytest.approx(take_steps(nets[1], reference, 4), rel=1e-4)


def test_muon_gives_filters_steps_of_one_size_whatever_the_gradient() -> None:
    net = small_net()
    before = net[3].weight.detach().clone()
    optimizer = OPTIMIZERS.build({"name": "muon", "lr": 0.1, "weight_decay": 0.0}, net)
    (loss_of(net) * 1e-3).backward()
    optimizer.step()
    step = (net[3].weight - before).flatten(1)
    # Eight rows, each singular value about 0.1; the weakest directions stay below.
    assert 0.5 < step.norm().item() / (0.1 * 8**0.5) < 1.2


@pytest.mark.parametrize("shape", [(3, 16, 144), (2, 144, 16)])
def test_orthogonalized_matrices_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(newton_schulz(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_newton_schulz_keeps_the_singular_vectors() -> None:
    matrix = torch.randn(8, 72, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    rotated = left.T @ newton_schulz(matrix) @ right.T
    assert torch.allclose(rotated, rotated.diag().diag(), atol=1e-4)


def test_a_filter_bank_is_orthogonalized_as_a_matrix_and_a_batch_as_its_members() -> None:
    generator = torch.Generator().manual_seed(0)
    banks = [torch.randn(8, 4, 3, 3, generator=generator) for _ in range(3)]
    expected = [newton_schulz(bank.flatten(1)).view(8, 4, 3, 3) for bank in banks]
    layouts = [bank.contiguous(memory_format=torch.channels_last) for bank in banks]
    for found, wanted in zip(orthogonalized(layouts), expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


def test_rmsprop_takes_the_steps_of_torch() -> None:
    net, twin = small_net(), small_net()
    reference = torch.optim.RMSprop(groups(twin, 5e-4), lr=0.01, momentum=0.5)
    options = {"lr": 0.01, "momentum": 0.5, "weight_decay": 5e-4}
    ours = take_steps(net, OPTIMIZERS.build({"name": "rmsprop", **options}, net), 4)
    assert ours == pytest.approx(take_steps(twin, reference, 4), rel=1e-4)


def test_no_optimizer_imports_torchs_compiler() -> None:
    code = (
        "import sys, torch; from cifar_dist.optim import OPTIMIZERS\n"
        "for name in OPTIMIZERS.names:\n"
        "    net = torch.nn.Linear(2, 2); optimizer = OPTIMIZERS.build({'name': name}, net)\n"
        "    net(torch.ones(1, 2)).sum().backward(); optimizer.step(); optimizer.zero_grad()\n"
        "    optimizer.load_state_dict(optimizer.state_dict())\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def rates(net: nn.Sequential, name: str) -> dict[str, float]:
    """Give each parameter's base rate over the one it has without factors."""
    plain, scaled = (OPTIMIZERS.build({"name": name}, net) for _ in range(2))
    scale_lr(scaled, net, norm_bias=64.0, head=0.5)
    before, after = (
        {p: group["initial_lr"] for group in optimizer.param_groups for p in group["params"]}
        for optimizer in (plain, scaled)
    )
    return {key: after[p] / before[p] for key, p in net.named_parameters()}


@every_optimizer
def test_norm_biases_and_the_head_have_rates_of_their_own(name: str) -> None:
    found = rates(small_net(), name)
    assert {key for key, ratio in found.items() if ratio == 64} == {"1.bias"}
    assert {key for key, ratio in found.items() if ratio == 0.5} == {"6.weight", "6.bias"}
    assert {ratio for ratio in found.values()} == {1, 0.5, 64}


@pytest.mark.parametrize(
    "norm", [nn.SyncBatchNorm(8), SynchronizedBatchNorm(nn.BatchNorm2d(8)), nn.GroupNorm(2, 8)]
)
def test_any_norm_has_its_biases_scaled(norm: nn.Module) -> None:
    net = small_net()
    net[1] = norm
    assert rates(net, "sgd")["1.bias"] == 64


@every_optimizer
def test_factors_of_one_split_no_group_and_others_keep_the_first_groups_rate(name: str) -> None:
    net = small_net()
    optimizer = OPTIMIZERS.build({"name": name}, net)
    before = [(group["lr"], len(group["params"])) for group in optimizer.param_groups]
    scale_lr(optimizer, net, norm_bias=1.0, head=1.0)
    assert [(group["lr"], len(group["params"])) for group in optimizer.param_groups] == before
    scale_lr(optimizer, net, norm_bias=2.0, head=3.0)
    assert optimizer.param_groups[0]["initial_lr"] == before[0][0]


@every_optimizer
def test_a_scaled_rate_scales_the_steps(name: str) -> None:
    net, twin = small_net(), small_net()
    for each, factor in ((net, 1.0), (twin, 0.5)):
        optimizer = OPTIMIZERS.build({"name": name, "weight_decay": 0.0}, each)
        scale_lr(optimizer, each, norm_bias=factor, head=factor)
        take_steps(each, optimizer, 1)
    start = dict(small_net().named_parameters())
    for (key, mine), other in zip(net.named_parameters(), twin.parameters(), strict=True):
        ratio = 2 if key in {"1.bias", "6.weight", "6.bias"} else 1
        assert torch.allclose(mine - start[key], ratio * (other - start[key]), atol=1e-7), key
