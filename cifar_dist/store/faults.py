"""S3's failures in this program's words: passing ones, taken keys, missing objects, final ones."""

from http import HTTPStatus

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from cifar_dist.errors import StoreError
from cifar_dist.store.contract import MissingError
from cifar_dist.store.patience import TransientError

_PASSING = {
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InternalError",
    "InvalidDigest",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
_PASSING_STATUS = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}
_KEYS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE"
_IN_THE_WAY = (
    "an object lies there that is a folder of this key, or has one; remove it, or name another "
    "prefix with --store"
)
_FINAL = {
    "NoSuchBucket": "there is no such bucket; create it, or name another with --store",
    "InvalidAccessKeyId": f"it does not know the access key; {_KEYS}",
    "XAdminUserNotFound": f"it does not know the access key; {_KEYS}",  # versitygw's word for it
    "SignatureDoesNotMatch": f"the secret key is wrong; {_KEYS}",
    "ExpiredToken": "the session token has expired; fetch new credentials",
    "InvalidToken": f"the session token is not valid; {_KEYS}",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it right",
    "AccessDenied": "access is denied; ask for list, get and put rights on this bucket and prefix, "
    "and to remove something for delete rights",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION to it",
    "QuotaExceeded": "its quota is used up; remove old runs or raise the quota",
    "ObjectParentIsFile": _IN_THE_WAY,  # versitygw's words: it keeps objects as files in folders
    "ExistingObjectIsDirectory": _IN_THE_WAY,
    "NotImplemented": "it cannot do what is needed (conditional writes); use another S3 server",
}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_TAKEN = {"PreconditionFailed", "412"}
# versitygw says InvalidPart of an upload it does not know, others of parts that got lost.
_GONE = {"NoSuchUpload", "InvalidPart"}
_NETWORK = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseParserError, HTTPError)
FAULTS = (BotoCoreError, ClientError, ResponseParserError, HTTPError)
"""All that the SDK raises where a request or its answer's body fails."""


class TakenError(Exception):
    """The server refused a conditional write because the key exists."""


class GoneError(Exception):
    """The server no longer knows this multipart upload, or a part of it."""


def translated(error: Exception, place: str) -> Exception:
    """Give what to raise instead, without the foreign text: it can hold URLs with secrets."""
    if isinstance(error, ClientError):
        return _answer(error, place)
    if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return StoreError(f"{place}: its certificate is not trusted; set AWS_CA_BUNDLE to its CA")
    if isinstance(error, _NETWORK):
        return TransientError(f"no usable answer, {type(error).__name__}")
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return StoreError(f"{place}: no complete credentials were found; {_KEYS}")
    return StoreError(
        f"{place}: the S3 client refused ({type(error).__name__}); check AWS_* settings"
    )


def _answer(error: ClientError, place: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _TAKEN:
        return TakenError()
    if code in _GONE:
        return GoneError()
    if code in _PASSING or (status in _PASSING_STATUS and code not in _FINAL):
        return TransientError(f"HTTP {status} {code}")
    if code in _MISSING:
        return MissingError(f"{place}: there is no such object; list what is there first")
    default = f"the storage refused with HTTP {status} {code}; check bucket, endpoint and rights"
    if status == HTTPStatus.FORBIDDEN:
        default = _FINAL["AccessDenied"]
    return StoreError(f"{place}: {_FINAL.get(code, default)}")
