"""The same recipe as a plain script for torchrun: DistributedDataParallel and nothing else."""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from cifar_dist.augment import Policy
from cifar_dist.config import Recipe, parse_job
from cifar_dist.data import Images, normalize, permutation, shard
from cifar_dist.learner import build_model
from cifar_dist.session import recipe_data
from tests.bench.ray_epochs import Gate

_EVALUATION_BATCH = 250


class _Script:
    """One of torchrun's ranks; images are resident and augmented in batches, as ours."""

    def __init__(self, recipe: Recipe, train: Images) -> None:
        self._rank, self._ranks = dist.get_rank(), dist.get_world_size()
        self._recipe, self._train = recipe, train
        self._policy = Policy([component.model_dump() for component in recipe.augmentation])
        self.model = build_model(recipe.model, recipe.seed)
        self._network = DistributedDataParallel(self.model)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            0.02,
            momentum=0.9,
            nesterov=True,
            weight_decay=5e-4,
            fused=True,
        )

    def epoch(self, number: int) -> float:
        """Train on every image once; gives the mean loss of this rank's steps."""
        images, recipe = self._train, self._recipe
        draws = self._policy.table(len(images), recipe.seed, number)
        order = torch.split(permutation(len(images), recipe.seed, number), recipe.batch_size)
        losses = torch.zeros(())
        self._network.train()
        for batch in order:
            mine = shard(batch, self._rank, self._ranks)
            pixels, labels = self._policy.apply(images.pixels, images.labels, mine, draws, number)
            loss = F.cross_entropy(self._network(normalize(pixels)), labels)
            loss.backward()
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses += loss.detach()
        return float(losses) / len(order)

    def accuracy(self, images: Images) -> float:
        """Evaluate, each rank its share."""
        self.model.eval()
        correct = torch.zeros(())
        with torch.inference_mode():
            mine = torch.arange(self._rank, len(images), self._ranks)
            for chunk in torch.split(mine, _EVALUATION_BATCH):
                logits = self.model(normalize(images.pixels[chunk]))
                correct += (logits.argmax(1) == images.labels[chunk]).sum()
        dist.all_reduce(correct)
        return float(correct) / len(images)


def train(given: dict[str, Any]) -> None:
    """Train epoch by epoch as the gate asks, with an evaluation and a checkpoint after each."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    job = parse_job(given["job"])
    data = recipe_data(job)
    script, gate = _Script(job.recipe, data.train), Gate(given["folder"], dist.get_rank())
    for epoch in range(job.recipe.epochs):
        gate.wait()
        script.epoch(epoch)
        if data.validation is not None:
            script.accuracy(data.validation)
        if dist.get_rank() == 0:
            state = {"model": script.model.state_dict(), "optimizer": script.optimizer.state_dict()}
            torch.save(state, Path(given["folder"], "checkpoint.pt"))
        gate.tell()
