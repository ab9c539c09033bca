"""The reference for GPUs: loader, net and training of the airbench family, as published (2024).

Written anew from the description of Keller Jordan's "94% on CIFAR-10 in 3.29 Seconds on a Single
GPU" and of its variant with Muon: half precision, batches of 2,000, 8 epochs, a frozen whitening
stem, fixed norm scales, alternating flip, shifts of 2 pixels, label smoothing 0.2, and six views of
each test image.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_dist.data import MEAN, STD, Images

_SHIFT = 2
_NS = (3.4445, -4.7750, 2.0315)


class Plan(NamedTuple):
    """The hyperparameters of one training; the rates belong to these widths and this batch."""

    widths: Sequence[int] = (64, 256, 256)
    epochs: int = 8
    batch_size: int = 2_000
    muon_lr: float = 0.24
    bias_lr: float = 0.053
    head_lr: float = 0.67
    weight_decay: float = 2e-6
    """Per image of a batch, relative to the rate."""
    label_smoothing: float = 0.2
    whitening_epochs: int = 3


class Loader:
    """Batches from images that are resident as normalized halves, padded once.

    An epoch's crops are cut shift by shift for all images at once, and flips alternate: every
    other epoch mirrors the images that the epoch before did not.
    """

    def __init__(self, images: Images, device: torch.device, batch_size: int, seed: int) -> None:
        self.batch_size, self._epoch = batch_size, 0
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        self._random = torch.Generator(device).manual_seed(seed)
        self.labels = images.labels.to(device)
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, STD))
        scaled = images.pixels.to(device).float().div_(255).sub_(mean).div_(std)
        self.images = scaled.to(self._dtype).to(memory_format=torch.channels_last)
        self._mirrored = self._draw(2) == 1
        self._base = torch.where(
            self._mirrored.view(-1, 1, 1, 1), self.images.flip(-1), self.images
        )
        self._padded = F.pad(self._base, (_SHIFT,) * 4, "reflect")

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give whole batches of one epoch."""
        cut = self._cropped()
        if self._epoch % 2 == 1:
            cut = cut.flip(-1)
        self._epoch += 1
        order = torch.randperm(len(self.labels), generator=self._random, device=self.labels.device)
        for batch in torch.split(order, self.batch_size)[: len(self)]:
            yield cut[batch], self.labels[batch]

    def _draw(self, below: int) -> Tensor:
        return torch.randint(
            below, (len(self.labels),), generator=self._random, device=self.labels.device
        )

    def _cropped(self) -> Tensor:
        side, count = self.images.shape[-1], 2 * _SHIFT + 1
        result = torch.empty_like(self.images)
        down, right = self._draw(count), self._draw(count)
        lines = torch.empty_like(self._padded[:, :, :side])
        for shift in range(count):
            chosen = down == shift
            lines[chosen] = self._padded[chosen, :, shift : shift + side]
        for shift in range(count):
            chosen = right == shift
            result[chosen] = lines[chosen, :, :, shift : shift + side]
        return result


class Net(nn.Module):
    """A 2×2 whitening stem and three groups of two convolutions; only biases of norms learn."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 2)
        self.stem.weight.requires_grad_(False)
        groups = [
            _group(before, after) for before, after in zip((24, *widths[:-1]), widths, strict=True)
        ]
        self.groups = nn.Sequential(nn.GELU(), *groups, nn.MaxPool2d(3))
        self.head = nn.Linear(widths[-1], 10, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    def forward(self, images: Tensor, stem_learns: bool = True) -> Tensor:
        """Give logits."""
        bias = self.stem.bias if stem_learns or self.stem.bias is None else self.stem.bias.detach()
        maps = self.groups(F.conv2d(images, self.stem.weight, bias))
        logits: Tensor = self.head(maps.flatten(1)) / maps.shape[1]
        return logits

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the stem's filters to the whitening directions of 2×2 patches and their negatives."""
        patches = F.unfold(images.float(), 2).movedim(1, 2).reshape(-1, 12)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (directions / (variances + 5e-4).sqrt()).T.view(12, 3, 2, 2)
        self.stem.weight.copy_(torch.cat((filters, -filters)))
        if self.stem.bias is not None:
            self.stem.bias.zero_()


def _group(before: int, after: int) -> nn.Sequential:
    first, second = (nn.Conv2d(width, after, 3, padding=1, bias=False) for width in (before, after))
    for convolution in (first, second):
        nn.init.dirac_(convolution.weight.data[: convolution.in_channels])
    return nn.Sequential(
        first, nn.MaxPool2d(2), _norm(after), nn.GELU(), second, _norm(after), nn.GELU()
    )


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose matrices are orthogonalized one by one; norms of weights are kept."""

    def __init__(self, filters: Sequence[nn.Parameter], lr: float, momentum: float = 0.6) -> None:
        super().__init__(filters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step."""
        for group in self.param_groups:
            for weight in group["params"]:
                buffer = self.state[weight].setdefault("buffer", torch.zeros_like(weight.grad))
                buffer.mul_(group["momentum"]).add_(weight.grad)
                update = weight.grad.add(buffer, alpha=group["momentum"])
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                matrix = _orthogonal(update.reshape(len(update), -1)).view(weight.shape)
                weight.add_(matrix, alpha=-group["lr"])


def _orthogonal(update: Tensor) -> Tensor:
    a, b, c = _NS
    dtype = torch.bfloat16 if update.is_cuda else torch.float32
    x = update.to(dtype)
    x = x / (x.norm() + 1e-7)
    is_tall = len(x) > x.shape[1]
    x = x.T if is_tall else x
    for _ in range(3):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = (x.T if is_tall else x).to(update.dtype)
    return result


class Training:
    """One training of the reference, from resident images to an accuracy."""

    def __init__(self, images: Images, plan: Plan, device: torch.device, seed: int) -> None:
        torch.manual_seed(seed)
        self.plan, self.device = plan, device
        self.loader = Loader(images, device, plan.batch_size, seed)
        self.net = Net(plan.widths).to(device).to(memory_format=torch.channels_last)
        self.net.whiten(self.loader.images[:5_000])
        if device.type == "cuda":
            self.net.half()
        norms = [module.float() for module in self.net.modules() if _is_norm(module)]
        decay = plan.weight_decay * plan.batch_size
        biases = [norm.bias for norm in norms]
        rated = (([self.net.stem.bias], plan.bias_lr), (biases, plan.bias_lr))
        groups = [
            {"params": params, "lr": lr, "weight_decay": decay / lr}
            for params, lr in (*rated, ([self.net.head.weight], plan.head_lr))
        ]
        self._sgd = torch.optim.SGD(groups, momentum=0.85, nesterov=True)
        filters = [p for p in self.net.groups.parameters() if p.dim() == 4 and p.requires_grad]
        self._muon = Muon(filters, plan.muon_lr)
        self._rates = [group["lr"] for group in self._sgd.param_groups]

    def run(self) -> None:
        """Train to the end."""
        step = 0
        total = self.plan.epochs * len(self.loader)
        whitening = self.plan.whitening_epochs * len(self.loader)
        self.net.train()
        for _ in range(self.plan.epochs):
            for images, labels in self.loader.epoch():
                logits = self.net(images, stem_learns=step < whitening)
                torch.autograd.backward(_loss(logits, labels, self.plan.label_smoothing))
                self._decay(step, total, whitening)
                self._sgd.step()
                self._muon.step()
                self.net.zero_grad(set_to_none=True)
                step += 1
        self.net.head.weight[0, 0].item()  # waits for the device

    def accuracy(self, images: Images) -> float:
        """Evaluate by six views."""
        loader = Loader(images, self.device, self.plan.batch_size, 0)
        return accuracy(self.net, loader.images, loader.labels)

    def _decay(self, step: int, total: int, whitening: int) -> None:
        share = 1 - step / total
        for number, (group, rate) in enumerate(
            zip(self._sgd.param_groups, self._rates, strict=True)
        ):
            group["lr"] = rate * (share if number else max(0.0, 1 - step / whitening))
        self._muon.param_groups[0]["lr"] = self.plan.muon_lr * share


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d)


def _loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    # A sum: the rates above are for gradients of all images together.
    return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing, reduction="sum")


@torch.no_grad()
def accuracy(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of normalized images that six views classify rightly."""
    net.eval()
    hits = 0
    for part, truth in zip(torch.split(images, 2_000), torch.split(labels, 2_000), strict=True):
        hits += int((six_views(net, part).argmax(1) == truth).sum())
    return hits / len(labels)


def six_views(net: nn.Module, images: Tensor) -> Tensor:
    """Add up the logits of an image, and of it shifted up-left and down-right, all mirrored too."""

    def mirrored(part: Tensor) -> Tensor:
        logits: Tensor = net(part) + net(part.flip(-1))
        return logits

    padded, side = F.pad(images, (1,) * 4, "reflect"), images.shape[-1]
    shifted = mirrored(padded[:, :, :side, :side]) + mirrored(padded[:, :, 2:, 2:])
    return 0.5 * mirrored(images) + 0.25 * shifted
