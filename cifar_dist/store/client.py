"""The S3 client: the SDK's own settings chain, our timeouts, and what the endpoint is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_COMMON = Config(
    connect_timeout=5,
    read_timeout=60,
    # The SDK's retry quota runs dry in a long outage; `patience` waits those out.
    retries={"mode": "standard", "total_max_attempts": 4},
    # Servers other than AWS may refuse the SDK's default trailers; every request here that
    # carries an object names its SHA-256, and every download is verified by us.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
# Over https the SDK would otherwise leave the body out of what it signs.
_SIGNED_BODY = _COMMON.merge(Config(s3={"payload_signing_enabled": True}))
_FILES = ("AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE")


def connect(uri: str) -> "S3Client":
    """Build a client for one store; asks nothing of the network. Raises ConfigError."""
    _check_environment(uri)
    try:
        session = boto3.session.Session()
        client = session.client("s3", config=_COMMON)
        if not is_aws(client):
            client = session.client("s3", config=_SIGNED_BODY)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(
            f"store={uri}: the AWS settings do not make a client ({type(error).__name__}); check "
            "AWS_PROFILE, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_CA_BUNDLE "
            "and AWS_ENDPOINT_URL (http://host:port)"
        ) from error
    if "@" in urlsplit(client.meta.endpoint_url).netloc:
        raise ConfigError(
            f"store={uri}: AWS_ENDPOINT_URL holds credentials; give them by "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return client


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


def is_aws(client: "S3Client") -> bool:
    """Tell whether the endpoint is Amazon's, whose conditional writes need no proof."""
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
