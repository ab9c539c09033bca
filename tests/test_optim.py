"""Optimizers take finite steps and resume exactly; schedules are what torch's are."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer, lr_scheduler

from cifar_dist.optim import OPTIMIZERS, SCHEDULES, factor, groups, set_lr
from cifar_dist.optim.muon import newton_schulz, orthogonalized

STEPS = 40

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS.names)
every_schedule = pytest.mark.parametrize("name", SCHEDULES.names)


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


def factors(name: str, warmup: int = 0, **options: Any) -> list[float]:
    schedule = SCHEDULES.build({"name": name, **options})
    return [factor(schedule, step, STEPS, warmup) for step in range(STEPS)]


def factors_of_torch(scheduler: type[lr_scheduler.LRScheduler], **options: Any) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = scheduler(optimizer, **options)
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
    return found


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


@every_schedule
def test_every_schedule_peaks_at_the_base_rate_and_stays_positive(name: str) -> None:
    found = factors(name)
    assert max(found) == pytest.approx(1)
    assert min(found) > 0


@every_schedule
def test_a_warm_up_rises_to_any_schedule_which_then_runs_over_the_rest(name: str) -> None:
    warmup, schedule = 10, SCHEDULES.build({"name": name})
    found = factors(name, warmup)
    rises = [after - before for before, after in itertools.pairwise(found[:warmup])]
    assert found[0] == pytest.approx(schedule(0.0) / (warmup + 1))
    assert rises == pytest.approx([found[0]] * (warmup - 1))
    assert found[warmup:] == [factor(schedule, step, STEPS - warmup) for step in range(30)]


def test_constant_stays() -> None:
    assert factors("constant") == [1.0] * STEPS


def test_linear_equals_torch() -> None:
    reference = factors_of_torch(
        lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.1, total_iters=STEPS
    )
    assert factors("linear", final=0.1) == pytest.approx(reference)


def test_cosine_equals_torch() -> None:
    reference = factors_of_torch(lr_scheduler.CosineAnnealingLR, T_max=STEPS, eta_min=0.1)
    assert factors("cosine", final=0.1) == pytest.approx(reference)


def test_step_equals_torch() -> None:
    reference = factors_of_torch(lr_scheduler.MultiStepLR, milestones=[8, 28], gamma=0.2)
    assert factors("step", milestones=[0.2, 0.7], gamma=0.2) == pytest.approx(reference)


def test_one_cycle_equals_torch() -> None:
    # Torch ends its cycle on the last step and ours just behind it, hence one step more there.
    reference = factors_of_torch(
        lr_scheduler.OneCycleLR,
        max_lr=1.0,
        total_steps=STEPS + 1,
        pct_start=(0.3 * STEPS + 1) / (STEPS + 1),
        cycle_momentum=False,
    )
    assert factors("one_cycle") == pytest.approx(reference)
