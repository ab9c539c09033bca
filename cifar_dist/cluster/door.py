"""Whether a cluster lets anybody in: whoever reaches such a one runs any code on it."""

import grpc  # type: ignore[import-untyped]
import ray
from ray.core.generated.gcs_service_pb2 import CheckAliveRequest
from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub

from cifar_dist import consent
from cifar_dist.errors import RefusedError, RunError
from cifar_dist.redaction import is_secret

_ANSWER_SECONDS = 5.0
_CLOSED = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAVAILABLE,  # it hangs up on who shows no certificate
}


def is_open(address: str) -> bool:
    """Ask the head without a token whether it is alive; its dashboard is as open as the head.

    Raises RunError if it says nothing at all.
    """
    return _status(address) not in _CLOSED


def speaks(address: str) -> bool:
    """Tell whether a head answers in the clear at all: other programs do not, nor does TLS."""
    return _status(address) is not grpc.StatusCode.UNAVAILABLE


def _status(address: str) -> grpc.StatusCode:
    # Ray itself goes round a proxy, too.
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            NodeInfoGcsServiceStub(channel).CheckAlive(CheckAliveRequest(), timeout=_ANSWER_SECONDS)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise RunError(
                    f"the cluster's head at {address} says nothing; look whether it is overloaded"
                ) from error
            return error.code()
    return grpc.StatusCode.OK


def refuse_open(address: str) -> None:
    """Raise RefusedError for an open cluster, unless the caller consents."""
    consent.require(
        f"the cluster at {address} asks nobody for a token, so all who reach its ports run any "
        "code there",
        "start its head and its nodes with RAY_AUTH_MODE=token and one RAY_AUTH_TOKEN",
    )


def refuse_carried_secrets() -> None:
    """Raise RefusedError if this driver was submitted with secrets in its runtime environment."""
    carried = ray.get_runtime_context().runtime_env.get("env_vars") or {}
    if names := sorted(name for name in carried if is_secret(name)):
        raise RefusedError(
            f"the job's runtime_env carries {', '.join(names)}, and whoever may see the dashboard "
            "reads it there; give it to the cluster's pods themselves (secretKeyRef or an IAM "
            "role), and make a new secret"
        )
