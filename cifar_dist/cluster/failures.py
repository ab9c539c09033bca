"""What Ray raises, as the error it stands for."""

from collections.abc import Iterator

import torch
from ray.exceptions import RayError
from ray.train import ControllerError, WorkerGroupError
from ray.tune import TuneError

from cifar_dist.errors import CifarDistError, RunError
from cifar_dist.redaction import redacted

# Not RuntimeError and OSError: the loss of a peer or of a device shows as one of these.
_BUGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
    torch.OutOfMemoryError,
)


def explained(error: Exception) -> Exception:
    """Give the deliberate error behind one of Ray's, a RunError naming its cause, or it itself."""
    found = deliberate(error)
    if found is not None:
        return found
    if not isinstance(error, ControllerError | WorkerGroupError | RayError | TuneError):
        return error
    return RunError(
        f"the workers failed and no retry is left ({brief(error)}); "
        "what is committed can be resumed"
    )


def deliberate(error: BaseException) -> CifarDistError | None:
    """Give the error of ours behind one of Ray's, if there is one."""
    return next((cause for cause in _causes(error) if isinstance(cause, CifarDistError)), None)


def reason(error: BaseException) -> str:
    """Give a deliberate error's own sentence, or the innermost cause in one line."""
    found = deliberate(error)
    return str(found) if found is not None else brief(error)


def is_bug(error: BaseException) -> bool:
    """Tell an error that a restart would only meet again."""
    return isinstance(error, _BUGS)


def brief(error: BaseException) -> str:
    """Name the innermost cause in one line."""
    *_, last = _causes(error)
    lines = redacted(str(last)).strip().splitlines() or ["no message"]
    return f"{type(last).__name__}: {lines[-1][:200]}"


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
