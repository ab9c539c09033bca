"""The S3 client: a job's settings over the SDK's own chain, our timeouts, what the endpoint is."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pydantic import ValidationError

from cifar_dist import consent
from cifar_dist.config import S3
from cifar_dist.config.endpoints import endpoint_fault
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
_STYLES = {True: "path", False: "virtual"}
_COMMON: dict[str, Any] = {
    # Two silent requests, the last of a step and the abort of its upload, take half a minute.
    "connect_timeout": 5,
    "read_timeout": 13,
    # `patience` repeats and tells of it; the SDK's own retries are silent and have a quota.
    "retries": {"mode": "standard", "total_max_attempts": 1},
    # Every download is verified by us.
    "response_checksum_validation": "when_required",
}


def connect(uri: str, s3: S3) -> "tuple[S3Client, S3]":
    """Build a client for one store, and say what any other process needs to reach the same.

    Asks nothing of the network. Raises ConfigError.
    """
    try:
        client = _client(s3)
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
    if fault := endpoint_fault(client.meta.endpoint_url, may_be_plain=consent.given()):
        name = "s3.endpoint" if s3.endpoint else "AWS_ENDPOINT_URL"
        allowed = (
            f"; {consent.VARIABLE}=1 takes the risk" if fault.startswith("must be https,") else ""
        )
        raise ConfigError(f"store={uri}: {name} {fault}{allowed}")
    return client, _found(uri, s3, client)


def is_amazon(endpoint: str) -> bool:
    """Tell whether the endpoint is Amazon's, whose conditional writes need no proof."""
    return (urlsplit(endpoint).hostname or "").endswith(_AMAZON)


def _client(s3: S3) -> "S3Client":
    session = boto3.session.Session()
    style = {} if s3.path_style is None else {"addressing_style": _STYLES[s3.path_style]}
    settings = {
        **_COMMON,
        "request_checksum_calculation": s3.checksums,
        # Over https the SDK would otherwise leave the body out of what it signs.
        "s3": {"payload_signing_enabled": True, **style},
    }
    if s3.endpoint and is_amazon(s3.endpoint):
        # Named as Amazon's own, it is used as such: with virtual hosts and region redirects.
        own = session.client(
            "s3",
            region_name=s3.region,
            verify=s3.ca_bundle,
            config=Config(**{**settings, "ignore_configured_endpoint_urls": True}),
        )
        if own.meta.endpoint_url == s3.endpoint:
            return own
    return session.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        verify=s3.ca_bundle,
        config=Config(**settings),
    )


def _found(uri: str, s3: S3, client: "S3Client") -> S3:
    endpoint = client.meta.endpoint_url
    style = (getattr(client.meta.config, "s3", None) or {}).get("addressing_style")
    path_style = None if is_amazon(endpoint) else True  # as the SDK does if nothing is said
    if style in _STYLES.values():
        path_style = style == "path"
    found = {
        **s3.model_dump(),
        "endpoint": endpoint,
        "region": client.meta.region_name,
        "ca_bundle": s3.ca_bundle if endpoint.startswith("https:") else None,
        "path_style": path_style,
    }
    try:
        return S3.model_validate(found)
    except ValidationError as error:
        raise ConfigError(
            f"store={uri}: AWS_REGION must be a word of letters, digits and '-'; correct it"
        ) from error
