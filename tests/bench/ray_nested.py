"""Stock nested Tune and Train as their guide shows it: a trial starts a trainer of two workers."""

import time
from typing import Any

from tests.bench.ray_child import beside_others, tell


def sweep(given: dict[str, Any]) -> None:
    """Try some tiny trials, one at a time; tells when each took its first step and ended."""
    beside_others()
    import ray
    from ray import tune

    # A CPU for the trial's own process beside those of its workers.
    ray.init(address="local", num_cpus=given["workers"] + 1, log_to_driver=False)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trial, given=given), {"cpu": 1}),
        param_space={"number": tune.grid_search(list(range(given["trials"])))},
        tune_config=tune.TuneConfig(metric="loss", mode="min", max_concurrent_trials=1),
        run_config=tune.RunConfig(
            storage_path=f"{given['folder']}/tune", callbacks=[_teller()], verbose=0, name="nested"
        ),
    )
    tuner.fit()
    ray.shutdown()


def _trial(config: dict[str, Any], given: dict[str, Any]) -> None:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    trainer = TorchTrainer(
        _work,
        train_loop_config={"lr": 0.01 * (1 + config["number"]), **given},
        scaling_config=ScalingConfig(num_workers=given["workers"]),
        run_config=RunConfig(
            name=f"trial-{config['number']}",
            storage_path=f"{given['folder']}/train",
            callbacks=[TuneReportCallback()],
        ),
    )
    trainer.fit()


def _work(config: dict[str, Any]) -> None:
    """Train by the seed loop on this worker's half of the images."""
    import ray.train
    import torch
    from ray.train.torch import prepare_model

    from cifar_dist.dataset import open_dataset
    from tests.bench.seed_loop import SeedLoop, SeedRecipe

    context = ray.train.get_context()
    images = open_dataset(config["data"], validation_fraction=0.1, seed=0).train
    mine = torch.arange(context.get_world_rank(), len(images), context.get_world_size())
    batch_size = config["batch_size"] // context.get_world_size()
    recipe = SeedRecipe({"name": "lenet5"}, lr=config["lr"], batch_size=batch_size)
    loop = SeedLoop(recipe, images.select(mine))
    loop.model = prepare_model(loop.model)
    first_step_at = 0.0
    for _ in range(config["epochs"]):
        losses = []
        for _, loss, _ in loop.epoch():
            first_step_at = first_step_at or time.time()
            losses.append(loss)
        ray.train.report({"loss": sum(losses) / len(losses), "first_step_at": first_step_at})


def _teller() -> Any:
    from ray import tune

    class Teller(tune.Callback):
        """Tells how each trial ended."""

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            first_step_at = trial.last_result["first_step_at"]
            tell(trial=trial.config["number"], first_step_at=first_step_at, ended_at=time.time())

    return Teller()
