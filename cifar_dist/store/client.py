"""The S3 client: the SDK's own settings chain, our timeouts, and what the endpoint is."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from cifar_dist.errors import ConfigError

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


def connect(uri: str) -> "S3Client":
    """Build a client for one store; asks nothing of the network. Raises ConfigError."""
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


def is_aws(client: "S3Client") -> bool:
    """Tell whether the endpoint is Amazon's, whose conditional writes need no proof."""
    host = urlsplit(client.meta.endpoint_url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
