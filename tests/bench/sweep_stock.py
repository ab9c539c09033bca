"""Stock Ray Tune as its guide shows it: a function trainable, an actor per trial, the seed loop."""

import tempfile
import time
from typing import Any

from tests.bench.ray_child import beside_others, tell

_REDUCTION = 3


def sweep(given: dict[str, Any]) -> None:
    """Try configurations in their order, by FIFO or ASHA; each trial reserves one CPU."""
    beside_others()
    import ray
    from ray import tune

    from cifar_dist.dataset import open_dataset
    from cifar_dist.machine import owned_cpus

    data = open_dataset(given["data"], validation_fraction=0.1, seed=given["seed"])
    pictures = {
        name: (images.pixels.numpy(), images.labels.numpy())
        for name, images in data.splits().items()
    }
    ray.init(address="local", num_cpus=owned_cpus(), log_to_driver=False)
    trainable = tune.with_parameters(_trial, given=given, pictures=pictures)
    with tempfile.TemporaryDirectory(dir=given["folder"]) as storage:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": given["cpus"]}),
            param_space={"number": tune.grid_search(list(range(len(given["recipes"]))))},
            tune_config=tune.TuneConfig(
                metric="accuracy", mode="max", scheduler=_scheduler(given), reuse_actors=False
            ),
            run_config=tune.RunConfig(
                storage_path=storage, callbacks=[_teller()], verbose=0, name="stock"
            ),
        )
        tuner.fit()
    ray.shutdown()


def _scheduler(given: dict[str, Any]) -> Any:
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    if given["scheduler"] == "fifo":
        return FIFOScheduler()
    return ASHAScheduler(grace_period=1, reduction_factor=_REDUCTION, max_t=given["epochs"])


def _trial(config: dict[str, Any], given: dict[str, Any], pictures: dict[str, Any]) -> None:
    """Train by the seed loop; images are loaded by this process itself, faster than by others."""
    import torch
    from ray import tune

    from cifar_dist.data import Images
    from tests.bench.seed_loop import SeedLoop, SeedRecipe

    recipe = SeedRecipe(
        **given["recipes"][config["number"]], batch_size=given["batch_size"], seed=given["seed"]
    )
    images = {
        name: Images(torch.tensor(pixels), torch.tensor(labels))
        for name, (pixels, labels) in pictures.items()
    }
    loop = SeedLoop(recipe, images["train"])
    first_step_at = 0.0
    for _ in range(given["epochs"]):
        for _step in loop.epoch():
            first_step_at = first_step_at or time.time()
        accuracy = loop.accuracy(images["validation"])
        tune.report({"accuracy": accuracy, "first_step_at": first_step_at})


def _teller() -> Any:
    from ray import tune

    class Teller(tune.Callback):
        """Tells how each trial ended."""

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            last = trial.last_result
            tell(
                trial=trial.config["number"],
                epochs=last["training_iteration"],
                first_step_at=last["first_step_at"],
                ended_at=time.time(),
            )

    return Teller()
