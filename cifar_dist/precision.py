"""Arithmetic of training: memory format, autocast and the layers that stay in fp32."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_dist.dropout import VectorDropout
from cifar_dist.machine import keep_freed_memory

_COMPILED_FROM = 1_800.0  # seconds of training


@dataclass(frozen=True)
class Arithmetic:
    """How one training step computes, by the name that a job gives it."""

    name: str
    device: torch.device

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout of images and filters; bf16 pays only with channels last."""
        return torch.contiguous_format if self.name == "fp32" else torch.channels_last

    def prepare(self, model: nn.Module) -> nn.Module:
        """Move a model to train to the device and layout, with the layers that are fast there."""
        if self.device.type == "cpu":
            keep_freed_memory()
            for parent in model.modules():
                for name, child in parent.named_children():
                    setattr(parent, name, self._on_cpu(child))
        return model.to(self.device).to(memory_format=self.memory_format)

    def _on_cpu(self, layer: nn.Module) -> nn.Module:
        if isinstance(layer, nn.Dropout):
            return VectorDropout(layer.p).train(layer.training)
        if isinstance(layer, nn.ReLU):
            return nn.ReLU(inplace=True)  # spares a pass over memory
        if self.name == "bf16_depthwise_fp32" and _is_depthwise(layer):
            return Float32Conv2d(layer)
        return layer

    def network(self, model: nn.Module) -> nn.Module:
        """Give what computes as the model does, with its weights: compiled if named so."""
        if self.name != "bf16_compiled":
            return model
        # Static shapes: an epoch's last, shorter batch is compiled for itself.
        return cast("nn.Module", torch.compile(model, dynamic=False))

    def context(self) -> AbstractContextManager[object]:
        """Give the context in which the forward pass runs."""
        if self.name.startswith("bf16"):
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()


def fix_order(deterministic: bool) -> None:
    """Let this process, from now on, use only GPU kernels that sum in one order, or any kernel.

    So the same recipe on the same number and kind of GPUs with the same driver and libraries gives
    the same bits, in a resumed training, too. An operation without such a kernel is an error.
    On a CPU sums have one order anyway, as long as the number of threads stays the same.
    """
    if deterministic:
        # cuBLAS reads it when its first product is computed, and torch insists on it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = False


def candidates(model: nn.Module, device: torch.device) -> list[str]:
    """Name what is worth timing for a model on a device; fp32 comes first."""
    names = ["fp32", "fp32_channels_last", "bf16"]
    if device.type == "cpu" and any(map(_is_depthwise, model.modules())):
        names.append("bf16_depthwise_fp32")
    return names


def compiled_candidate(device: torch.device, seconds: float) -> str | None:
    """Name what pays only in a training of so many seconds, as it takes a minute to compile.

    On a CPU it never does: a third to all of the speed of eager code, measured with torch 2.15.
    """
    return "bf16_compiled" if device.type == "cuda" and seconds > _COMPILED_FROM else None


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups > 1


class Float32Conv2d(nn.Module):
    """A convolution that ignores bf16: its depthwise backward pass is pathologically slow on CPUs.

    State keys are those of the convolution that it replaces.
    """

    def __init__(self, replaced: nn.Module) -> None:
        super().__init__()
        if not isinstance(replaced, nn.Conv2d):
            raise TypeError(f"a Conv2d is replaced, not {type(replaced).__name__}")
        self.weight, self.bias = replaced.weight, replaced.bias
        self._geometry = (replaced.stride, replaced.padding, replaced.dilation, replaced.groups)

    def forward(self, images: Tensor) -> Tensor:
        """Convolve in fp32 whatever autocast says."""
        stride, padding, dilation, groups = self._geometry
        with torch.autocast(images.device.type, enabled=False):
            return F.conv2d(
                images.float(), self.weight, self.bias, stride, padding, dilation, groups
            )
