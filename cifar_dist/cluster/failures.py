"""What Ray raises, as the error it stands for."""

from collections.abc import Iterator

from ray.exceptions import RayActorError, RayTaskError
from ray.train import ControllerError, WorkerGroupError

from cifar_dist.errors import CifarDistError, RunError


def explained(error: Exception) -> Exception:
    """Give the deliberate error behind one of Ray's, a RunError naming its cause, or it itself."""
    if isinstance(error, CifarDistError):
        return error
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, CifarDistError):
            return cause
    if not isinstance(error, ControllerError | WorkerGroupError | RayActorError | RayTaskError):
        return error
    last = causes[-1]
    what = str(last).strip().splitlines() or [""]
    return RunError(
        f"the workers failed and no retry is left ({type(last).__name__}: {what[-1][:200]}); "
        "what is committed can be resumed"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    followed = [
        *getattr(error, "worker_failures", {}).values(),
        getattr(error, "controller_failure", None),
        getattr(error, "cause", None),
        error.__cause__,
    ]
    for cause in followed:
        if isinstance(cause, BaseException) and cause is not error:
            yield from _causes(cause)
