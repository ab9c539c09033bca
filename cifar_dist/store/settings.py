"""What a job leaves open about S3, read from this process's environment."""

import math
import os
from pathlib import Path

from cifar_dist.config import S3
from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown
from cifar_dist.store.patience import DEADLINE_VARIABLE

SINGLE_WRITER_VARIABLE = "CIFAR_DIST_STORE_SINGLE_WRITER"
_CHECKSUMS_VARIABLE = "AWS_REQUEST_CHECKSUM_CALCULATION"
_CA_VARIABLE = "AWS_CA_BUNDLE"
_FILES = (_CA_VARIABLE, "AWS_WEB_IDENTITY_TOKEN_FILE")
_LONGEST_SECONDS = 86_400.0


def completed(s3: S3, uri: str) -> S3:
    """Fill in from the environment what the SDK does not look up itself. Raises ConfigError."""
    _check_environment(uri)
    return s3.model_copy(
        update={
            # The SDK for Python alone among all looks at AWS_DEFAULT_REGION only.
            "region": s3.region or os.environ.get("AWS_REGION") or None,
            "checksums": s3.checksums or _checksums(),
            "ca_bundle": _ca_bundle(s3.ca_bundle, uri),
            "single_writer": _single_writer() if s3.single_writer is None else s3.single_writer,
            "deadline_seconds": _deadline() if s3.deadline_seconds is None else s3.deadline_seconds,
        }
    )


def inherited(here: S3, stored: S3) -> S3:
    """Keep how a stored job said to write, where this process's environment says nothing of it."""
    variables = {
        "checksums": _CHECKSUMS_VARIABLE,
        "single_writer": SINGLE_WRITER_VARIABLE,
        "deadline_seconds": DEADLINE_VARIABLE,
    }
    said = stored.model_dump(include=set(variables), exclude_none=True)
    return here.model_copy(
        update={name: said[name] for name in said if not os.environ.get(variables[name])}
    )


def _check_environment(uri: str) -> None:
    """Refuse what the SDK would stumble over only when it signs or connects."""
    for name, value in sorted(os.environ.items()):
        if name.startswith("AWS_") and not value.isprintable():
            raise ConfigError(
                f"store={uri}: {name} holds a line break or bytes that are no text; set it again "
                "without them, as with `printf` in place of `echo`"
            )
    for name in _FILES:
        path = os.environ.get(name)
        if path and not Path(path).exists():
            raise ConfigError(f"store={uri}: {name}={shown(path)} does not exist; correct the path")


def _ca_bundle(path: str | None, uri: str) -> str | None:
    here = os.environ.get(_CA_VARIABLE) or None
    if path is None or (here and not Path(path).exists()):
        path = here
    if path is None or Path(path).exists():
        return path and str(Path(path).absolute())
    raise ConfigError(
        f"store={uri}: s3.ca_bundle={shown(path)} does not exist on this machine; put the file "
        f"there, or set {_CA_VARIABLE} where it lies elsewhere"
    )


def _checksums() -> str:
    text = os.environ.get(_CHECKSUMS_VARIABLE, "").strip().lower()
    if text not in ("", "when_required", "when_supported"):
        raise ConfigError(
            f"{_CHECKSUMS_VARIABLE}={shown(text)}: must be when_required or when_supported"
        )
    return text or "when_required"


def _single_writer() -> bool:
    text = os.environ.get(SINGLE_WRITER_VARIABLE, "").strip()
    if text not in ("", "0", "1"):
        raise ConfigError(f"{SINGLE_WRITER_VARIABLE}={shown(text)}: must be 1 or 0; unset it")
    return text == "1"


def _deadline() -> float | None:
    text = os.environ.get(DEADLINE_VARIABLE, "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise ConfigError(
            f"{DEADLINE_VARIABLE}={shown(text)}: not a number of seconds up to one day; unset it"
        )
    return seconds
