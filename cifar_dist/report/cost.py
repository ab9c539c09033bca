"""What a run's training steps held: processors times seconds."""

from cifar_dist.documents import TrainDocument


def cpu_seconds(document: TrainDocument) -> float | None:
    """Give seconds times the CPUs that were reserved, or else all that the process could use.

    None where a cluster chose how many CPUs several workers got: that is not kept.
    """
    made = document.provenance
    share = document.job.get("placement", {}).get("cpus_per_worker")
    if share is None and made.workers > 1:
        return None
    held = made.workers * share if share and made.workers else made.cpus
    return float(held) * document.train_seconds


def gpu_seconds(document: TrainDocument) -> float:
    """Give seconds times the GPUs that were reserved, one for each worker unless set otherwise."""
    made = document.provenance
    share = document.job.get("placement", {}).get("gpus_per_worker")
    held = 0.0 if made.device == "cpu" else (made.workers or 1) * (1.0 if share is None else share)
    return held * document.train_seconds
