"""A store tried out below doctor/ of its prefix, step by step, with a patience of seconds."""

import os
import tempfile
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cifar_dist.config import S3
from cifar_dist.errors import StoreError
from cifar_dist.store import open_store
from cifar_dist.store.addresses import PROBES, bucket_and_prefix, local_folder, scheme
from cifar_dist.store.disk import reported

if TYPE_CHECKING:
    from cifar_dist.store.bucket import Bucket

_HASTY = S3(deadline_seconds=5)
_PARTS_BYTES = (8 << 20) + 1  # the least that is sent in two parts
_READ_BYTES = 1 << 10
_KEY_CHARACTERS = 16  # Amazon's have more; of shorter ones the first four would tell much
_ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


class Credentials(NamedTuple):
    """Which credentials the SDK found; none of their values."""

    source: str
    key: str
    """The key's first letters, which tell kinds of keys apart."""
    is_temporary: bool
    expires: datetime | None
    is_renewed: bool
    """Whether the SDK fetches new ones by itself."""


class Checkup:
    """One visit to a store. Raises ConfigError for a wrong address, StoreError for what fails."""

    def __init__(self, uri: str) -> None:
        self.folder = local_folder(uri) if scheme(uri) == "file" else None
        self._uri = uri
        self.store = open_store(uri, _HASTY)
        self._prefix = f"{PROBES}/{uuid.uuid4().hex}"
        self._data = self._prefix.encode()
        self._made: set[str] = set()
        self._missing = _missing(self.folder)

    @property
    def address(self) -> str:
        """Name the store, its server and where each of its settings comes from."""
        if self.folder is not None:
            return str(self.folder)
        s3 = self.store.s3
        endpoint = f"{s3.endpoint} ({_source(_ENDPOINT_VARIABLES)})"
        region = f"region {s3.region} ({_source(_REGION_VARIABLES)})"
        style = "path" if s3.path_style else "host"
        return f"{self.store.uri} at {endpoint}, {region}, bucket in the {style}"

    @property
    def checksum_mode(self) -> str:
        """Say when the SDK adds checksums of its own."""
        return str(self.store.s3.checksums)

    @property
    def is_promised(self) -> bool:
        """Tell whether the environment promises that no other process writes there."""
        return bool(self.store.s3.single_writer)

    def credentials(self) -> Credentials:
        """Find the credentials, without asking the server."""
        from botocore.exceptions import BotoCoreError

        try:
            return _credentials(self._uri)
        except BotoCoreError as error:
            raise _told(error, self.store.uri) from error

    def server_time(self) -> datetime:
        """Ask the server once, and give the date of whatever it answers."""
        from botocore.exceptions import ClientError

        from cifar_dist.store.faults import FAULTS
        from cifar_dist.store.s3 import server_date

        place = self._bucket.place("")
        try:
            answer: Any = self._bucket.client.list_objects_v2(Bucket=self._bucket.name, MaxKeys=1)
        except ClientError as error:
            answer = error.response
        except FAULTS as error:
            raise _told(error, place) from error
        said = server_date(answer)
        if said is None:
            raise StoreError(
                f"{place}: its answer has no date, so it is no S3 server; correct AWS_ENDPOINT_URL"
            )
        return said

    def count_probes(self) -> int:
        """List the objects of examinations that were killed, or are being made; gives their count.

        That is one short listing, however many runs there are.
        """
        return sum(1 for _ in self.store.entries(PROBES))

    def put(self) -> None:
        """Create an object."""
        key = self._noted("object")
        if self.folder is not None:
            self.store.write(key, self._data)
            return
        # Without a condition: whether those are kept is another question.
        self._bucket.ask("put_object", Key=self._name(key), Body=self._data)

    def get(self) -> bool:
        """Tell whether the object is read, and listed, as it was written."""
        key = self._key("object")
        listed = [(entry.key, entry.bytes) for entry in self.store.entries(self._prefix)]
        same = self.store.read(key, _READ_BYTES) == self._data
        return same and listed == [(key, len(self._data))]

    def refuses_overwriting(self) -> bool:
        """Tell whether a second write of other bytes is refused; raises StoreError if it is not."""
        return not self.store.claim(self._key("object"), self._data[::-1])

    def upload_in_parts(self) -> int:
        """Create an object of two parts; gives its bytes."""
        key = self._noted("parts")
        with reported(tempfile.gettempdir()), tempfile.NamedTemporaryFile() as file:
            file.truncate(_PARTS_BYTES)
            return self.store.upload(key, Path(file.name)).bytes

    def refuses_damage(self) -> bool:
        """Tell whether the server compares an upload with the SHA-256 that it came with."""
        from botocore.exceptions import ClientError

        from cifar_dist.store.faults import FAULTS

        name = self._name(self._noted("damaged"))
        wrong = "A" * 43 + "="  # of no bytes that anybody knows
        try:
            self._bucket.client.put_object(
                Bucket=self._bucket.name, Key=name, Body=self._data, ChecksumSHA256=wrong
            )
        except FAULTS as error:
            answer = error.response if isinstance(error, ClientError) else {}
            if answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == HTTPStatus.BAD_REQUEST:
                return True
            raise _told(error, self._bucket.place(name)) from error
        return False

    def delete(self) -> bool:
        """Remove all probes; tells whether they are gone."""
        self.store.delete(sorted(self._made))
        self._made.clear()
        return not list(self.store.entries(self._prefix))

    def tidy(self) -> None:
        """Remove what is left of an examination that failed half-way, as far as possible."""
        with suppress(StoreError):
            if self._made:
                self.store.delete(sorted(self._made))
        for folder in self._missing:
            with suppress(OSError):  # somebody else writes there by now
                folder.rmdir()

    @cached_property
    def _bucket(self) -> "Bucket":
        from cifar_dist.store.bucket import Bucket

        name, _ = bucket_and_prefix(self._uri)
        return Bucket(self._uri, name, _HASTY)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _noted(self, name: str) -> str:
        """Give the key of a probe, which is removed in the end."""
        self._made.add(self._key(name))
        return self._key(name)

    def _name(self, key: str) -> str:
        """Name a key as the server knows it."""
        _, root = bucket_and_prefix(self._uri)
        return f"{root}/{key}" if root else key


def _missing(folder: Path | None) -> list[Path]:
    """List the folders that writing will make, innermost first."""
    if folder is None:
        return []
    made = [folder / ".parts", folder, *folder.parents]
    return [path for path in made if not path.exists()]


def _source(variables: tuple[str, ...]) -> str:
    return next((name for name in variables if os.environ.get(name)), "AWS profile or default")


def _credentials(uri: str) -> Credentials:
    import boto3

    found = boto3.session.Session().get_credentials()
    if found is None:
        raise StoreError(
            f"{uri}: no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "or AWS_PROFILE"
        )
    # The SDK says this nowhere else; asking for the key itself would renew an expired one first.
    expires = getattr(found, "_expiry_time", None)
    is_renewed = expires is not None and found.method != "env"
    if expires is not None and not is_renewed and expires <= datetime.now(UTC):
        raise StoreError(
            f"{uri}: the credentials of the environment ended at {expires:%Y-%m-%d %H:%M} UTC; "
            "fetch new ones"
        )
    try:
        values = found.get_frozen_credentials()
    except RuntimeError as error:  # they cannot be renewed
        raise StoreError(
            f"{uri}: the credentials ({found.method}) have ended and no new ones came; log in anew"
        ) from error
    name = values.access_key or ""
    key = f"{name[:4]}***" if len(name) >= _KEY_CHARACTERS else "***"
    source = "environment" if found.method == "env" else str(found.method)
    return Credentials(source, key, values.token is not None, expires, is_renewed)


def _told(error: Exception, place: str) -> StoreError:
    from cifar_dist.store.faults import translated

    found = translated(error, place)
    if isinstance(found, StoreError):
        return found
    return StoreError(
        f"{place}: no usable answer ({type(error).__name__}); check that the server runs and can "
        "be reached, and AWS_ENDPOINT_URL"
    )
