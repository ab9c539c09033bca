"""Class activation maps of any model, which is left as it was.

CAM: Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016. Grad-CAM:
Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks", ICCV 2017.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_dist.data import Images, normalize
from cifar_dist.errors import ConfigError
from cifar_dist.evidence import ActivationMaps, Method
from cifar_dist.explain.head import linear_head
from cifar_dist.explain.layers import check_layer, deepest, trace

_BATCH = 20  # images whose activations are held for the gradient
_PROBES = 2


class Seen(NamedTuple):
    """What a model makes of n images: maps [n, height, width] in 0…1, and logits [n, classes]."""

    maps: Tensor
    logits: Tensor


class Explainer:
    """A model with the layer and the method that its maps are made by.

    Without a layer it is the last one whose map is at least 4×4, and the exact method where the
    logits are means of weighted maps of that layer. Raises ConfigError if `layer` or `method` does
    not fit the model.
    """

    def __init__(
        self, model: nn.Module, layer: str | None = None, method: Method | None = None
    ) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        with _evaluating(model, self._device), torch.no_grad():
            calls = trace(model, self._probes())
            head = linear_head(calls)
            if layer is not None:
                check_layer(layer, calls)
            self.layer = layer or (head.layer if head else deepest(calls))
        is_exact = head is not None and head.layer == self.layer and method != "grad_cam"
        if method == "cam" and not is_exact:
            known = f"use layer {head.layer}" if head else "use grad_cam"
            raise ConfigError(
                f"method=cam: the logits are no means of weighted maps of {self.layer}; {known}"
            )
        self._weights = head.weights if head and is_exact else None
        self.method: Method = "cam" if is_exact else "grad_cam"

    def __call__(self, pixels: Tensor, targets: Tensor | None = None) -> Seen:
        """Map uint8 pixels [n, 3, 32, 32] for their target class, or for the predicted one."""
        found = []
        with _evaluating(self._model, self._device), torch.set_grad_enabled(self._weights is None):
            for chunk in torch.split(torch.arange(len(pixels)), _BATCH):
                wanted = None if targets is None else targets[chunk].to(self._device)
                found.append(self._seen(normalize(pixels[chunk].to(self._device)), wanted))
        return Seen(*map(torch.cat, zip(*found, strict=True)))

    def maps(self, images: Images, indices: Tensor, targets: Tensor) -> ActivationMaps:
        """Map the images at `indices`, each for its target class."""
        seen = self(images.pixels[indices], targets)
        return ActivationMaps(
            maps=seen.maps.cpu().numpy(),
            indices=indices.cpu().numpy(),
            targets=targets.cpu().numpy(),
            layer=self.layer,
            method=self.method,
        )

    def _seen(self, images: Tensor, targets: Tensor | None) -> Seen:
        # Where all weights are frozen, the images carry the gradient.
        images.requires_grad_(self._weights is None)
        kept: list[Tensor] = []
        hook = self._model.get_submodule(self.layer).register_forward_hook(
            lambda module, inputs, output: kept.append(output)
        )
        try:
            logits = self._model(images)
        finally:
            hook.remove()
        classes = logits.argmax(1) if targets is None else targets
        features = kept[-1]
        if self._weights is not None:
            weights = self._weights[classes]
        else:
            chosen = F.one_hot(classes, logits.shape[1]).to(logits.dtype)
            # Not backward(), which would add to the gradients of the parameters.
            (gradient,) = torch.autograd.grad(logits, features, chosen)
            weights = gradient.mean((2, 3))
        maps = torch.einsum("nk,nkhw->nhw", weights, features.detach())
        return Seen(_normalized(maps), logits.detach())

    def _probes(self) -> Tensor:
        # A generator of its own: training's random numbers stay where they are.
        noise = torch.randn(_PROBES, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        return noise.to(self._device)


def activation_maps(
    model: nn.Module,
    images: Images,
    indices: Tensor,
    targets: Tensor,
    layer: str | None = None,
) -> ActivationMaps:
    """Map the images at `indices` for the classes `targets`, in fp32 and evaluation mode.

    The model is left as it was. Raises ConfigError on an unknown layer.
    """
    return Explainer(model, layer).maps(images, indices, targets)


def _normalized(maps: Tensor) -> Tensor:
    positive = maps.relu().nan_to_num(0.0, 0.0)
    largest = positive.amax((1, 2), keepdim=True)
    return positive / largest.where(largest > 0, 1.0)


@contextmanager
def _evaluating(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put every module into evaluation mode, in fp32, and then back into its own."""
    modes = [(module, module.training) for module in model.modules()]
    order = torch.backends.cudnn.deterministic
    flags = torch.backends.cudnn.flags(enabled=True, allow_tf32=False, deterministic=order)
    model.eval()
    try:
        with torch.autocast(device.type, enabled=False), flags:
            yield
    finally:
        for module, was_training in modes:
            module.training = was_training
