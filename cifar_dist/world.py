"""How ranks act as one: sums, agreement and batch statistics over all of them."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from cifar_dist.daemon import begun
from cifar_dist.errors import CifarDistError

T = TypeVar("T")
_MEETING_SECONDS = 2.0
_SUMS = [False, True, True]  # of a batch norm's three gradients: no image's


@dataclass(frozen=True)
class World:
    """This process among all that train together; the default is one process alone."""

    rank: int = 0
    size: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this rank decides, commits and reports."""
        return self.rank == 0

    def add(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all ranks, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def agree(self, value: Any) -> Any:
        """Give the chief's value on every rank; plain data only."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def together(self, work: Callable[[], T]) -> T:
        """Do each rank's own work, which may wait for minutes; every rank calls this.

        All meet every few seconds, so that none looks hung to the others, and an error of one rank
        ends the call on all: a deliberate error as itself, any other as a RuntimeError naming it.
        """
        if self.size == 1:
            return work()
        mine = begun(work)
        while True:
            wait([mine], timeout=_MEETING_SECONDS)
            states: list[Any] = [None] * self.size
            dist.all_gather_object(states, (mine.done(), self._failure(mine)))
            failed = [failure for _, failure in states if failure is not None]
            if failed:
                raise (mine.exception() if mine.done() else None) or failed[0]
            if all(done for done, _ in states):
                return mine.result()

    def by_chief(self, work: Callable[[], T]) -> T:
        """Let the chief do work that may wait for minutes; gives what it came to on every rank."""
        result: Any = self.together(work if self.is_chief else _nothing)
        agreed: T = self.agree(result)
        return agreed

    def _failure(self, work: Future[T]) -> Exception | None:
        error = work.exception() if work.done() else None
        if error is None or isinstance(error, CifarDistError):
            return error
        return RuntimeError(f"rank {self.rank} failed: {type(error).__name__}: {error}")

    def align(self, module: nn.Module) -> None:
        """Give every rank the chief's buffers, as they are what is saved."""
        if self.size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, src=0)


def synchronized(model: nn.Module, device: torch.device) -> nn.Module:
    """Replace batch norms by ones that use the statistics of the global batch."""
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm):
                setattr(parent, name, SynchronizedBatchNorm(child))
    return model


def _nothing() -> None:
    """Be a rank without work of its own."""


class SynchronizedBatchNorm(nn.Module):
    """Batch norm over all ranks by one all-reduce each way; torch's own refuses CPUs.

    Shards may be uneven or empty. State keys are those of the batch norm that it replaces.
    """

    def __init__(self, replaced: _BatchNorm) -> None:
        super().__init__()
        self.eps, self.momentum = replaced.eps, replaced.momentum
        self.weight, self.bias = replaced.weight, replaced.bias
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(replaced, name))

    def forward(self, images: Tensor) -> Tensor:
        """Normalize `[n, channels, …]`; in training every rank must call it."""
        if not self.training:
            mean, variance = self.running_mean, self.running_var
            affine = self.weight, self.bias
            return F.batch_norm(images, mean, variance, *affine, False, 0.0, self.eps)
        moments = _moments(images, self.eps)
        self._track(moments)
        normalized: Tensor = _Normalize.apply(images, self.weight, self.bias, moments)
        return normalized

    @torch.no_grad()
    def _track(self, moments: "_Moments") -> None:
        seen = self.num_batches_tracked
        if self.running_mean is None or self.running_var is None or seen is None:
            return
        seen += 1
        # Without a momentum torch keeps the plain mean of all batches.
        share = 1 / seen.item() if self.momentum is None else self.momentum
        unbiased = moments.variance * (moments.values / max(moments.values - 1, 1))
        self.running_mean.lerp_(moments.mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class _Moments(NamedTuple):
    """Mean and biased variance of each channel, fp32, over so many values of all ranks."""

    mean: Tensor
    variance: Tensor
    values: float
    eps: float


@torch.no_grad()
def _moments(images: Tensor, eps: float) -> _Moments:
    channels = images.shape[1]
    count = images.numel() // channels
    mean, variance = (torch.zeros(channels, dtype=torch.float64) for _ in range(2))
    if count:
        # The statistics that it would update decide in which precision it computes.
        unused = torch.zeros(2, channels)
        found = torch.batch_norm_update_stats(images, unused[0], unused[1], 0.0)
        mean, variance = (each.double() for each in found)
    # In float64, where a difference of squares loses nothing that matters: one collective suffices.
    packed = torch.stack((mean, variance + mean.square(), torch.ones_like(mean))) * count
    dist.all_reduce(packed)
    total = packed[2, 0].item()
    mean, squares = packed[:2] / total
    variance = (squares - mean.square()).clamp_min_(0)
    return _Moments(mean.float(), variance.float(), total, eps)


class _Normalize(torch.autograd.Function):
    """weight · (x - mean) / std + bias, where mean and variance depend on every rank's x."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor | None, bias: Tensor | None, moments: _Moments
    ) -> Tensor:
        mean, variance, ctx.values, ctx.eps = moments
        ctx.save_for_backward(images, weight, mean, variance)
        return F.batch_norm(images, mean, variance, weight, bias, False, 0.0, ctx.eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        images, weight, mean, variance = ctx.saved_tensors
        products, sums = torch.zeros(2, len(mean))
        if images.numel():  # which torch's kernel divides by
            # For fixed statistics it gives the sums of gradient · normalized and of gradient.
            _, products, sums = torch.ops.aten.native_batch_norm_backward(
                gradient, images, weight, mean, variance, None, None, False, ctx.eps, _SUMS
            )
        packed = torch.stack((sums, products))
        dist.all_reduce(packed)
        mean_gradient, mean_product = packed / ctx.values
        scale = (variance + ctx.eps).rsqrt()
        slope = scale if weight is None else scale * weight
        # slope · (gradient - mean_gradient - normalized · mean_product), as a line in each image
        by_image = -slope * scale * mean_product
        offset = -slope * mean_gradient - by_image * mean
        shape = (1, -1) + (1,) * (images.dim() - 2)
        slope, by_image, offset = (each.view(shape) for each in (slope, by_image, offset))
        line = torch.addcmul(offset, images.float(), by_image)
        result = torch.addcmul(line, gradient.float(), slope).to(images.dtype)
        return result, products, sums, None
