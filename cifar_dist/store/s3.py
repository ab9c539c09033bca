"""A store in an S3 bucket: conditional writes, SHA-256 checked by the server, faults waited out."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from cifar_dist.errors import ConfigError, DamagedError, StoreError
from cifar_dist.problems import shown
from cifar_dist.store.addresses import checked, is_key
from cifar_dist.store.client import connect, is_aws
from cifar_dist.store.contract import Content, Entry, MissingError, Store
from cifar_dist.store.disk import CHUNK_BYTES, chunks, copy, oversized, reported, save
from cifar_dist.store.faults import GoneError, TakenError, translated
from cifar_dist.store.patience import deadline_seconds, persist

T = TypeVar("T")
_PART_BYTES = 8 << 20  # files up to this size are one request, larger ones parts of it
_DELETE_BATCH = 1000  # S3's limit for one request
_SINGLE_WRITER_VARIABLE = "CIFAR_DIST_STORE_SINGLE_WRITER"


class S3Store(Store):
    """An object is created by a conditional put, which only one writer can win."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self._client = connect(self.uri)
        self._endpoint = self._client.meta.endpoint_url
        self._answered = False
        self._single_writer = _is_single_writer()
        self._condition = {} if self._single_writer else {"IfNoneMatch": "*"}
        self._proven = self._single_writer or is_aws(self._client)

    def claim(self, key: str, data: bytes) -> bool:
        """Create an object unless it exists; True if it now holds exactly these bytes."""
        if self._single_writer and self._exists(key):
            return self._holds(key, data)
        try:
            self._put(key, data)
        except TakenError:
            # Also the answer to a repeated request whose first answer got lost.
            return self._holds(key, data)
        if not self._proven:
            self._prove(key, data)
        return True

    def upload(self, key: str, path: Path) -> Content:
        """Create an object from a file and say what was sent; raises RefusedError."""
        with reported(str(path)), path.open("rb") as file:
            head = file.read(_PART_BYTES + 1)
        if len(head) <= _PART_BYTES:
            self.write(key, head)
            return copy([head], len)
        return self._upload_large(key, path)

    def read(self, key: str, limit: int) -> bytes:
        """Give a small object. Raises MissingError, and DamagedError above `limit` bytes."""

        def fetch() -> bytes:
            data = bytearray()
            copy(self._chunks(key), data.extend, limit)
            return bytes(data)

        data = self._step(self._name(key), fetch)
        if len(data) > limit:
            raise oversized(f"{key} in {self.uri}", limit)
        return data

    def digest(self, key: str) -> Content:
        """Read an object through and say what it holds. Raises MissingError."""
        return self._step(self._name(key), lambda: copy(self._chunks(key), len))

    def download(self, key: str, path: Path, expected: Content) -> None:
        """Fetch into a file that appears only once verified. Raises MissingError, DamagedError."""

        def fetch() -> None:
            save(path, self._chunks(key), expected, f"{key} in {self.uri}")

        with reported(str(path)):
            try:
                self._step(self._name(key), fetch)
            except DamagedError:
                # What the network bent comes straight the second time.
                self._step(self._name(key), fetch)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """List the objects below a folder, in key order; a missing folder is empty."""
        for page in self._pages(prefix, ""):
            for item in page.get("Contents", []):
                key = item["Key"].removeprefix(self._root)
                if is_key(key):
                    yield Entry(key, item["Size"], item["LastModified"].astimezone(UTC))

    def folders(self, prefix: str) -> list[str]:
        """List the names of the folders directly below a folder, sorted."""
        pages = self._pages(prefix, "/")
        found = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, in any order; those already gone are fine."""
        names = [{"Key": self._name(key)} for key in keys]
        for start in range(0, len(names), _DELETE_BATCH):
            batch = {"Objects": names[start : start + _DELETE_BATCH], "Quiet": True}
            refused = self._ask("delete_objects", Delete=batch).get("Errors", [])
            if refused:
                raise StoreError(
                    f"{self._place(self._root)}: {len(refused)} objects could not be removed "
                    f"({refused[0].get('Code')}); ask for the right to delete under this prefix"
                )

    def discard_unfinished(self, older_than: timedelta) -> int:
        """Remove what killed writers left half-written; gives how many there were."""
        oldest = datetime.now(UTC) - older_than
        found = self._ask("list_multipart_uploads", Prefix=self._root).get("Uploads", [])
        left = [item for item in found if item["Initiated"] < oldest]
        for item in left:
            self._ask("abort_multipart_upload", Key=item["Key"], UploadId=item["UploadId"])
        return len(left)

    def _name(self, key: str) -> str:
        return self._root + checked(key)

    def _place(self, name: str) -> str:
        return f"s3://{self._bucket}/{name} at {self._endpoint}"

    def _step(self, name: str, call: Callable[[], T]) -> T:
        place = self._place(name)

        def step() -> T:
            try:
                result = call()
            except (BotoCoreError, ClientError) as error:
                raise translated(error, place) from error
            self._answered = True
            return result

        return persist(step, place, deadline_seconds(self._answered))

    def _ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        request = getattr(self._client, operation)
        name = parameters.get("Key", self._root)
        return self._step(name, lambda: dict(request(Bucket=self._bucket, **parameters)))

    def _put(self, key: str, data: bytes) -> None:
        name, checksum = self._name(key), _checksum(data)
        self._ask("put_object", Key=name, Body=data, ChecksumSHA256=checksum, **self._condition)

    def _holds(self, key: str, data: bytes) -> bool:
        return self.digest(key) == copy([data], len)

    def _exists(self, key: str) -> bool:
        try:
            self._ask("head_object", Key=self._name(key))
        except MissingError:
            return False
        return True

    def _prove(self, key: str, data: bytes) -> None:
        # Writing the same bytes again harms nothing and must be refused.
        try:
            self._put(key, data)
        except TakenError:
            self._proven = True
            return
        raise StoreError(
            f"{self._place(self._root)} ignores conditional writes, so writers could overwrite "
            f"each other; use another S3 server, or set {_SINGLE_WRITER_VARIABLE}=1 "
            "if only one ever writes"
        )

    def _chunks(self, key: str) -> Iterator[bytes]:
        answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
        with closing(answer["Body"]) as body:
            yield from body.iter_chunks(CHUNK_BYTES)

    def _pages(self, prefix: str, delimiter: str) -> Iterator[dict[str, Any]]:
        folder = f"{self._name(prefix)}/" if prefix else self._root
        token: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=folder, Delimiter=delimiter, **token)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _upload_large(self, key: str, path: Path) -> Content:
        if self._exists(key):  # some servers ignore the condition when parts are completed
            content = copy(chunks(path), len)
            if self.digest(key) != content:
                raise self.taken(key)
            return content
        with reported(str(path)):
            return self._upload_parts(key, chunks(path, _PART_BYTES))

    def _upload_parts(self, key: str, parts: Iterator[bytes]) -> Content:
        name = {"Key": self._name(key)}
        started = self._ask("create_multipart_upload", **name, ChecksumAlgorithm="SHA256")
        place = {**name, "UploadId": started["UploadId"]}
        sent: list[dict[str, object]] = []

        def send(part: bytes) -> None:
            facts = {"PartNumber": len(sent) + 1, "ChecksumSHA256": _checksum(part)}
            answer = self._ask("upload_part", **place, **facts, Body=part)
            sent.append({**facts, "ETag": answer["ETag"]})

        with ExitStack() as undo:
            undo.callback(self._abort, place)
            content = copy(parts, send)
            try:
                done = {"Parts": sent}
                self._ask(
                    "complete_multipart_upload", **place, MultipartUpload=done, **self._condition
                )
            except (TakenError, GoneError) as error:
                # Someone's object is there, or ours, completed by a request whose answer got lost.
                if self.digest(key) != content:
                    raise self.taken(key) from error
            else:
                undo.pop_all()
        return content

    def _abort(self, place: dict[str, str]) -> None:
        with suppress(BotoCoreError, ClientError):  # the failure that led here matters more
            self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=place["Key"], UploadId=place["UploadId"]
            )


def _is_single_writer() -> bool:
    text = os.environ.get(_SINGLE_WRITER_VARIABLE, "").strip()
    if text not in ("", "0", "1"):
        raise ConfigError(f"{_SINGLE_WRITER_VARIABLE}={shown(text)}: must be 1 or 0; unset it")
    return text == "1"


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
