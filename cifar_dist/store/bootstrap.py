"""A store's bucket, made if it is not there: `python -m cifar_dist.store.bootstrap URI DAYS`."""

import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from botocore.exceptions import ClientError

from cifar_dist.config import S3
from cifar_dist.errors import CifarDistError, ConfigError, StoreError
from cifar_dist.problems import printable, shown
from cifar_dist.store.addresses import bucket_and_prefix
from cifar_dist.store.bucket import Bucket
from cifar_dist.store.client import is_amazon
from cifar_dist.store.contract import MissingError
from cifar_dist.store.faults import FAULTS, translated
from cifar_dist.store.patience import TransientError

_PATIENT = S3(deadline_seconds=300)  # a server of the same release may still be starting
_OURS = {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}  # versitygw says so to its owner, too
_PLAIN_REGION = "us-east-1"  # the one that must not be named when a bucket is made
_LONGEST_DAYS = 365
_USAGE = "say: python -m cifar_dist.store.bootstrap s3://bucket/prefix DAYS"


def ensure_bucket(uri: str, abort_days: int) -> str:
    """Make the bucket unless it is there, and say what was done. Raises ConfigError, StoreError.

    Uploads that nobody finished are removed after `abort_days`, where the server can and the
    bucket has no rules of its own; 0 sets none.
    """
    name, _ = bucket_and_prefix(uri)
    bucket = Bucket(uri, name, _PATIENT)
    made = not _is_there(bucket)
    if made:
        _make(bucket)
        bucket.ask("head_bucket")
    done = "was made" if made else "is there"
    rule = _abort_uploads(bucket, abort_days) if abort_days else "no rule was asked for"
    return f"bucket {name} {done}; unfinished uploads: {rule}"


def _is_there(bucket: Bucket) -> bool:
    try:
        bucket.ask("head_bucket")
    except MissingError:
        return False
    return True


def _make(bucket: Bucket) -> None:
    place: dict[str, Any] = {}
    region = bucket.s3.region
    if is_amazon(bucket.endpoint) and region not in (None, _PLAIN_REGION):
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        bucket.client.create_bucket(Bucket=bucket.name, **place)
    except FAULTS as error:
        if _code(error) not in _OURS:
            raise _final(translated(error, bucket.place(""))) from error


def _final(error: Exception) -> Exception:
    """Give what to raise: a bucket is asked for once, and whoever started this starts it again."""
    if isinstance(error, TransientError):
        return StoreError(f"the bucket could not be made ({error}); try again")
    return error


def _code(error: BaseException | None) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def _abort_uploads(bucket: Bucket, days: int) -> str:
    try:
        bucket.ask("get_bucket_lifecycle_configuration")
    except StoreError as error:
        if _code(error.__cause__) != "NoSuchLifecycleConfiguration":
            return _no_rules(error, "GetLifecycleConfiguration")
    else:
        return "the bucket's own rules stay"
    rule: Any = {
        "ID": "abort-unfinished-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }
    try:
        bucket.ask("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [rule]})
    except StoreError as error:
        return _no_rules(error, "PutLifecycleConfiguration")
    return f"removed after {days} days"


def _no_rules(error: StoreError, right: str) -> str:
    """Say why there is no rule; raises what is no answer, such as the end of all patience."""
    if not isinstance(error.__cause__, ClientError):
        raise error
    if error.__cause__.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.FORBIDDEN:
        return f"access is denied (403); grant s3:{right}, or remove them by hand"
    return "the server has no rules; remove them by hand"


def main(arguments: Sequence[str]) -> int:
    """Do it for a Job of the chart; gives the exit code."""
    try:
        uri, days = _asked(arguments)
        told, code = ensure_bucket(uri, days), 0
    except CifarDistError as error:
        told, code = str(error), error.exit_code
    sys.stderr.write(f"{printable(told)}\n")
    return code


def _asked(arguments: Sequence[str]) -> tuple[str, int]:
    match arguments:
        case [uri, days] if days.isdecimal() and int(days) <= _LONGEST_DAYS:
            return uri, int(days)
        case _:
            raise ConfigError(f"{shown(' '.join(arguments))}: {_USAGE}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
