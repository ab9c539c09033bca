"""Wrong environment variables, each with the command that meets it and what is said about it."""

import os

from tests.wrong_lines import SECRET

NO_TEXT = os.fsdecode(b"\xff\xfe")
STORE = "artifacts ls"
BUCKET = "artifacts ls --store s3://bucket/x"

Environment = dict[str, str | None]

DEAD: Environment = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_PROFILE": None,
    "AWS_SESSION_TOKEN": None,
    "AWS_ENDPOINT_URL_S3": None,
    "CIFAR_DIST_STORE_DEADLINE_SECONDS": "0",
}
"""Settings of a server that nobody is: what is wrong beside them is told, or that it is dead."""

REFUSED: list[tuple[Environment, str, str]] = [
    ({"CIFAR_DIST_STORE": " "}, STORE, "store=' ': it is empty"),
    ({"CIFAR_DIST_STORE": NO_TEXT}, STORE, "store=.*control characters"),
    ({"CIFAR_DIST_STORE": "a\nb"}, STORE, "store=.*control characters"),
    ({"CIFAR_DIST_STORE": "x" * 1_000_000}, STORE, "File name too long"),
    ({"CIFAR_DIST_STORE": "~nosuchuser/x"}, STORE, "no home folder"),
    ({"CIFAR_DIST_STORE": "gs://bucket"}, STORE, "'gs:' is not a kind of store"),
    ({"CIFAR_DIST_STORE": f"s3://k:{SECRET}@b"}, STORE, "holds credentials"),
    ({"CIFAR_DIST_CACHE": "/dev/null/x"}, "data prepare synthetic", "set CIFAR_DIST_CACHE"),
    ({"CIFAR_DIST_CACHE": "/dev/null"}, "data prepare synthetic", "set CIFAR_DIST_CACHE"),
    ({"CIFAR_DIST_CACHE": " "}, "data prepare synthetic", "CIFAR_DIST_CACHE=' ': cannot be"),
    ({"CIFAR_DIST_CACHE": "a\nb"}, "data prepare synthetic", "CIFAR_DIST_CACHE=.*cannot be"),
    ({"CIFAR_DIST_CACHE": NO_TEXT}, "data prepare synthetic", "CIFAR_DIST_CACHE=.*cannot be"),
    ({"CIFAR_DIST_CACHE": "s3://b/x"}, "data prepare synthetic", "CIFAR_DIST_CACHE=.*cannot be"),
    ({"CIFAR_DIST_CACHE": "~nosuchuser/x"}, "data prepare synthetic", "=.*cannot be a folder"),
    ({"CIFAR_DIST_CACHE": "x" * 1_000_000}, "data prepare synthetic", "=.*cannot be a folder"),
    ({"CIFAR_DIST_STORE_DEADLINE_SECONDS": "abc"}, BUCKET, "SECONDS='abc': not a number"),
    ({"CIFAR_DIST_STORE_DEADLINE_SECONDS": "-1"}, BUCKET, "SECONDS='-1': not a number"),
    ({"CIFAR_DIST_STORE_DEADLINE_SECONDS": "nan"}, BUCKET, "SECONDS='nan': not a number"),
    ({"CIFAR_DIST_STORE_DEADLINE_SECONDS": "1e9"}, BUCKET, "SECONDS='1e9': not a number"),
    ({"CIFAR_DIST_STORE_DEADLINE_SECONDS": NO_TEXT}, BUCKET, "SECONDS=.*: not a number"),
    ({"CIFAR_DIST_STORE_SINGLE_WRITER": "true"}, BUCKET, "SINGLE_WRITER='true': must be 1 or 0"),
    ({"AWS_PROFILE": "nosuch"}, BUCKET, "ProfileNotFound.*AWS_PROFILE"),
    ({"AWS_SECRET_ACCESS_KEY": None}, BUCKET, "PartialCredentials.*AWS_SECRET_ACCESS_KEY"),
    ({"AWS_SECRET_ACCESS_KEY": f"{SECRET}\n"}, BUCKET, "AWS_SECRET_ACCESS_KEY holds a line break"),
    ({"AWS_SECRET_ACCESS_KEY": NO_TEXT}, BUCKET, "AWS_SECRET_ACCESS_KEY holds .*no text"),
    ({"AWS_ACCESS_KEY_ID": "a\nb"}, BUCKET, "AWS_ACCESS_KEY_ID holds a line break"),
    ({"AWS_SESSION_TOKEN": f"{SECRET}\r"}, BUCKET, "AWS_SESSION_TOKEN holds a line break"),
    ({"AWS_CA_BUNDLE": "/nosuch"}, BUCKET, "AWS_CA_BUNDLE='/nosuch' does not exist"),
    ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/nosuch"}, BUCKET, "TOKEN_FILE='/nosuch' does not exist"),
    ({"AWS_ENDPOINT_URL": "host:9000"}, BUCKET, "AWS_ENDPOINT_URL"),
    ({"AWS_ENDPOINT_URL": "http://[::bad"}, BUCKET, "AWS_ENDPOINT_URL"),
    ({"AWS_ENDPOINT_URL": f"http://k:{SECRET}@h"}, BUCKET, "AWS_ENDPOINT_URL holds credentials"),
    ({"AWS_ENDPOINT_URL": "ftp://host"}, BUCKET, "AWS_ENDPOINT_URL must be http://host:port"),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, BUCKET, "AWS_ENDPOINT_URL must be http://"),
    ({"AWS_REQUEST_CHECKSUM_CALCULATION": "x"}, BUCKET, "CALCULATION='x': must be when_required"),
    ({"AWS_CONFIG_FILE": "{file}"}, BUCKET, "AWS settings do not make a client"),
    ({"AWS_SHARED_CREDENTIALS_FILE": "{file}"}, BUCKET, "AWS settings do not make a client"),
    ({"AWS_DEFAULTS_MODE": "x"}, BUCKET, "AWS settings do not make a client"),
]

UNAVAILABLE: list[tuple[Environment, str]] = [
    ({}, "failed for 0 seconds.*check that the storage runs"),
    ({"AWS_ACCESS_KEY_ID": None}, "no complete credentials.*AWS_PROFILE"),
    ({"AWS_MAX_ATTEMPTS": "abc"}, "failed for 0 seconds"),
    ({"AWS_MAX_ATTEMPTS": "0"}, "failed for 0 seconds"),
    ({"AWS_RETRY_MODE": "x"}, "failed for 0 seconds"),
    ({"AWS_REGION": None}, "failed for 0 seconds"),
    ({"http_proxy": "http://127.0.0.1:1", "no_proxy": ""}, "ProxyConnectionError"),
    ({"http_proxy": "::bad::", "no_proxy": ""}, "failed for 0 seconds"),
]
"""The settings beside a dead server's, and what exit 4 says."""
