"""What a model is made of: its layer table, its receptive fields, its cost."""

import copy
from collections.abc import Iterator
from math import prod
from typing import Any

import torch
import torchinfo
from torch import nn
from torchinfo.layer_info import LayerInfo

from cifar_dist.documents import FieldRow, LayerRow, ModelDocument
from cifar_dist.models.zoo import MODELS

_IMAGE = (3, 32, 32)
_MEGABYTE = 2**20
_FLOAT_BYTES = 4


def describe(name: str, options: dict[str, Any]) -> ModelDocument:
    """Give all that is known of an architecture without training it. Raises ConfigError."""
    component = MODELS.resolved({"name": name, **options})
    model = MODELS.build(component)
    layers = layer_table(model)
    return ModelDocument(
        name=name,
        description=MODELS.describe(name),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        multiply_accumulates=sum(row.multiply_accumulates for row in layers),
        options={key: value for key, value in component.items() if key != "name"},
        layers=layers,
        receptive_field=receptive_field(model),
        megabytes=_megabytes(layers),
    )


def layer_table(model: nn.Module) -> list[LayerRow]:
    """List every layer and block for one image, numbered as torchsummary does."""
    return [
        LayerRow(
            index=index,
            type=call.class_name,
            output_shape=call.output_size[1:],
            parameters=call.leftover_params(),
            multiply_accumulates=_multiply_accumulates(call),
        )
        for index, call in enumerate(_calls(model), start=1)
    ]


def receptive_field(model: nn.Module) -> list[FieldRow]:
    """Follow how far each convolution and pooling sees into the image; shortcuts are left out.

    Formulas: Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural
    Networks", Distill, 2019. A map's neighbors lie `jump` pixels apart in the image.
    """
    rows: list[FieldRow] = []
    jump = field = 1
    for index, call in enumerate(_calls(model), start=1):
        if (window := _window(call)) is None or _on_shortcut(call):
            continue
        field += window["dilation"] * (window["kernel"] - 1) * jump
        jump *= window["stride"]
        layer, size = f"{call.class_name}-{index}", call.output_size[-1]
        rows.append(FieldRow(layer=layer, **window, size=size, jump=jump, field=field))
    return rows


def _calls(model: nn.Module) -> Iterator[LayerInfo]:
    # torchinfo lists a block before its layers; torchsummary after them, as forward hooks fire.
    # On the CPU, as the first step on meta tensors imports torch's compiler for 4 seconds.
    image = torch.zeros(1, *_IMAGE)
    entered: list[LayerInfo] = []
    for call in torchinfo.summary(
        copy.deepcopy(model).cpu(), input_data=image, device="cpu", verbose=0
    ).summary_list:
        while entered and entered[-1].depth >= call.depth:
            yield from _numbered(entered.pop())
        entered.append(call)
    while entered:
        yield from _numbered(entered.pop())


def _numbered(call: LayerInfo) -> Iterator[LayerInfo]:
    if call.depth > 0 and not isinstance(call.module, nn.Sequential | nn.ModuleList):
        yield call


def _multiply_accumulates(call: LayerInfo) -> int:
    # Not torchinfo's figure, which counts biases and norms too.
    if isinstance(call.module, nn.Conv2d | nn.Linear):
        return call.module.weight.numel() * prod(call.output_size[2:])
    return 0


def _window(call: LayerInfo) -> dict[str, int] | None:
    module = call.module
    if isinstance(module, nn.AdaptiveAvgPool2d):
        stride = call.input_size[-1] // call.output_size[-1]
        kernel = call.input_size[-1] - (call.output_size[-1] - 1) * stride
        return {"kernel": kernel, "stride": stride, "padding": 0, "dilation": 1}
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return None

    def side(name: str) -> int:
        value: int | tuple[int, int] = getattr(module, name, 1)  # average pooling has no dilation
        return value if isinstance(value, int) else value[0]

    return {
        "kernel": side("kernel_size"),
        "stride": side("stride"),
        "padding": side("padding"),
        "dilation": side("dilation"),
    }


def _on_shortcut(call: LayerInfo) -> bool:
    parent = call.parent_info
    return parent is not None and parent.var_name == "downsample"


def _megabytes(layers: list[LayerRow]) -> dict[str, float]:
    values = {
        "input": prod(_IMAGE),
        "activations": 2 * sum(prod(row.output_shape) for row in layers),  # and their gradients
        "parameters": sum(row.parameters for row in layers),
    }
    megabytes = {key: value * _FLOAT_BYTES / _MEGABYTE for key, value in values.items()}
    return {**megabytes, "total": sum(megabytes.values())}
