"""Dropout for CPUs: torch's draws one number after the other and is most of a small net's step."""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_BITS = 15
_AS_INTEGERS = {torch.bfloat16: torch.int16, torch.float32: torch.int32}


class VectorDropout(nn.Module):
    """nn.Dropout with masks that are hashes of a counter, keyed by a draw of torch's generator.

    The rate is rounded to a multiple of 2⁻¹⁵; what is kept is scaled by the rate as rounded.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropped = min(round(rate * 2**_BITS), 2**_BITS - 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Drop while training; other types than bfloat16 and float32 are left to torch."""
        if not self.training or not self.dropped:
            return inputs
        if inputs.dtype not in _AS_INTEGERS:
            return F.dropout(inputs, self.dropped / 2**_BITS)
        outputs: Tensor = _Masked.apply(inputs, self.dropped)
        return outputs


class _Masked(torch.autograd.Function):
    # Masks are integers of all ones or none: an AND costs a fifth of a product with booleans.
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, inputs: Tensor, dropped: int) -> Tensor:
        scale = 1 / (1 - dropped / 2**_BITS)
        outputs: Tensor = inputs * scale
        negative_if_dropped = _uniform(inputs.numel()).sub_(dropped)
        mask = negative_if_dropped.bitwise_right_shift_(_BITS).bitwise_not_()
        mask = mask.to(_AS_INTEGERS[inputs.dtype]).as_strided(outputs.size(), outputs.stride())
        ctx.save_for_backward(mask)
        ctx.scale = scale  # type: ignore[attr-defined]
        outputs.view(mask.dtype).bitwise_and_(mask)
        return outputs

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors  # type: ignore[attr-defined]
        scaled = gradient * ctx.scale  # type: ignore[attr-defined]
        scaled.view(mask.dtype).bitwise_and_(mask)
        return scaled, None


def _uniform(count: int) -> Tensor:
    """Give integers of 15 bits, int16 [count]: the finalizer of MurmurHash3 (A. Appleby, 2011)."""
    key = int(torch.randint(-(2**31), 2**31, ()))
    words = -(-count // 2)
    mixed = _counter(words.bit_length())[:words] ^ key
    mixed.mul_(_signed(0x85EBCA6B)).bitwise_xor_(mixed >> 13)
    mixed.mul_(_signed(0xC2B2AE35)).bitwise_xor_(mixed >> 16)
    return mixed.view(torch.int16)[:count].bitwise_and_(2**_BITS - 1)


@functools.cache
def _counter(bits: int) -> Tensor:
    return torch.arange(2**bits, dtype=torch.int32)


def _signed(word: int) -> int:
    return word - 2**32
