"""A store in an S3 bucket: conditional writes, SHA-256 checked by the server, faults waited out."""

import base64
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from cifar_dist.config import S3
from cifar_dist.errors import StoreError
from cifar_dist.store.addresses import checked, is_key
from cifar_dist.store.bucket import Bucket
from cifar_dist.store.client import is_amazon
from cifar_dist.store.contract import Content, Entry, MissingError, Store, reread
from cifar_dist.store.disk import chunks, copy, oversized, reported, save
from cifar_dist.store.faults import GoneError, TakenError
from cifar_dist.store.patience import TransientError
from cifar_dist.store.settings import SINGLE_WRITER_VARIABLE

_PART_BYTES = 8 << 20  # files up to this size are one request, larger ones parts of it
_DELETE_BATCH = 1000  # S3's limit for one request
_UPLOADS = 3
_TYPES = {  # what a browser that follows a link to an object shows, rather than saves
    ".csv": "text/csv; charset=utf-8",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".yaml": "text/plain; charset=utf-8",
}


class S3Store(Store):
    """An object is created by a conditional put, which only one writer can win."""

    def __init__(self, bucket: str, prefix: str, s3: S3) -> None:
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._root = f"{prefix}/" if prefix else ""
        self._bucket = Bucket(self.uri, bucket, s3)
        self.s3 = self._bucket.s3
        self._condition = {} if self.s3.single_writer else {"IfNoneMatch": "*"}
        self._proven = bool(self.s3.single_writer) or is_amazon(self._bucket.endpoint)

    @property
    def address(self) -> dict[str, Any]:
        """Give what a job says to reach this store from any process."""
        return {"store": self.uri, "s3": self.s3.model_dump(mode="json")}

    def claim(self, key: str, data: bytes) -> bool:
        """Create an object unless it exists; True if it now holds exactly these bytes."""
        content = copy([data], len)
        if self.s3.single_writer and self._size(key) is not None:
            return self.holds(key, content)
        try:
            self._put(key, data)
        except TakenError:
            # Also the answer to a repeated request whose first answer got lost.
            return self._holds_taken(key, content)
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

        def take(source: Iterator[bytes]) -> bytes:
            data = bytearray()
            copy(source, data.extend, limit)
            return bytes(data)

        data = self._bucket.receive(self._name(key), take)
        if len(data) > limit:
            raise oversized(f"{key} in {self.uri}", limit)
        return data

    def digest(self, key: str) -> Content:
        """Read an object through and say what it holds. Raises MissingError."""
        return self._bucket.receive(self._name(key), lambda source: copy(source, len))

    def download(self, key: str, path: Path, expected: Content) -> None:
        """Fetch into a file that appears only once verified. Raises MissingError, DamagedError."""

        def take(source: Iterator[bytes]) -> None:
            save(path, source, expected, f"{key} in {self.uri}")

        with reported(str(path)):
            reread(lambda: self._bucket.receive(self._name(key), take))

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
        names = (name.removesuffix("/").rpartition("/")[2] for name in found)
        return sorted(filter(is_key, names))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, in any order; those already gone are fine."""
        names = [{"Key": self._name(key)} for key in keys]
        for start in range(0, len(names), _DELETE_BATCH):
            batch = {"Objects": names[start : start + _DELETE_BATCH], "Quiet": True}
            refused = self._bucket.ask("delete_objects", Delete=batch).get("Errors", [])
            if refused:
                raise StoreError(
                    f"{self._bucket.place(self._root)}: {len(refused)} objects could not be "
                    f"removed ({refused[0].get('Code')}); ask for the right to delete under this "
                    "prefix"
                )

    def now(self) -> datetime:
        """Tell the time by the server's clock, in UTC."""
        return _server_time(next(self._pages("", "/")))

    def unfinished(self, older_than: timedelta, folders: Collection[str] = ()) -> int:
        """Count the uploads that killed writers left below folders, or anywhere in the store."""
        return len(self._old_uploads(older_than, folders))

    def discard_unfinished(self, older_than: timedelta, folders: Collection[str] = ()) -> int:
        """Abort the uploads that killed writers left below folders, or anywhere; counts them."""
        left = self._old_uploads(older_than, folders)
        for upload in left:
            with suppress(GoneError):  # completed or aborted meanwhile
                self._bucket.ask("abort_multipart_upload", **upload)
        return len(left)

    def _old_uploads(self, older_than: timedelta, folders: Collection[str]) -> list[dict[str, str]]:
        prefixes = [f"{self._name(folder)}/" for folder in folders] or [self._root]
        return [
            {"Key": item["Key"], "UploadId": item["UploadId"]}
            for prefix in prefixes
            for page in self._bucket.pages("list_multipart_uploads", Prefix=prefix)
            for item in page.get("Uploads", [])
            if item["Initiated"] < _server_time(page) - older_than
        ]

    def _name(self, key: str) -> str:
        return self._root + checked(key)

    def _object(self, key: str) -> dict[str, str]:
        kind = _TYPES.get(Path(key).suffix, "application/octet-stream")
        return {"Key": self._name(key), "ContentType": kind}

    def _put(self, key: str, data: bytes) -> None:
        facts = {**self._object(key), "ChecksumSHA256": _checksum(data)}
        self._bucket.ask("put_object", **facts, Body=data, **self._condition)

    def _size(self, key: str) -> int | None:
        try:
            return int(self._bucket.ask("head_object", Key=self._name(key))["ContentLength"])
        except MissingError:
            return None
        except StoreError as error:
            if not isinstance(error.__cause__, TransientError):
                # The answer to a HEAD has no body that could say why; that to a GET has.
                with suppress(MissingError):
                    first = self._bucket.ask("get_object", Key=self._name(key), Range="bytes=0-0")
                    first["Body"].close()
            raise

    def _prove(self, key: str, data: bytes) -> None:
        # Writing the same bytes again harms nothing and must be refused.
        try:
            self._put(key, data)
        except TakenError:
            self._proven = True
            return
        raise StoreError(
            f"{self._bucket.place(self._root)} ignores conditional writes, so writers could "
            f"overwrite each other; use another S3 server, or set {SINGLE_WRITER_VARIABLE}=1 "
            "if only one ever writes"
        )

    def _pages(self, prefix: str, delimiter: str) -> Iterator[dict[str, Any]]:
        folder = f"{self._name(prefix)}/" if prefix else self._root
        return self._bucket.pages("list_objects_v2", Prefix=folder, Delimiter=delimiter)

    def _upload_large(self, key: str, path: Path) -> Content:
        with reported(str(path)):
            if self._size(key) is not None:  # some servers ignore the condition as parts complete
                content = copy(chunks(path), len)
                if not self.holds(key, content):
                    raise self.taken(key)
                return content
            for _ in range(_UPLOADS):
                with suppress(GoneError):
                    return self._upload_parts(key, chunks(path, _PART_BYTES))
        raise StoreError(
            f"{self._bucket.place(self._name(key))}: the server forgot the parts of this upload "
            f"{_UPLOADS} times; see that nothing aborts unfinished uploads there within a day"
        )

    def _upload_parts(self, key: str, parts: Iterator[bytes]) -> Content:
        ask, name = self._bucket.ask, {"Key": self._name(key)}
        facts = {**self._object(key), "ChecksumAlgorithm": "SHA256"}
        started = ask("create_multipart_upload", **facts)
        place = {**name, "UploadId": started["UploadId"]}
        sent: list[dict[str, object]] = []

        def send(part: bytes) -> None:
            facts = {"PartNumber": len(sent) + 1, "ChecksumSHA256": _checksum(part)}
            answer = ask("upload_part", **place, **facts, Body=part)
            sent.append({**facts, "ETag": answer["ETag"]})

        with ExitStack() as undo:
            undo.callback(self._bucket.attempt, "abort_multipart_upload", **place)
            content = copy(parts, send)
            done = {"MultipartUpload": {"Parts": sent}}
            try:
                ask("complete_multipart_upload", **place, **done, **self._condition)
            except (TakenError, GoneError) as error:
                # Someone's object is there, or ours, completed by a request whose answer got lost.
                if not self._holds_now(key, content):
                    raise self.taken(key) from error
            else:
                if self._size(key) != content.bytes:
                    # versitygw, killed while it completes, says to the repeated request that all
                    # is well, and has nothing (its CompleteMultipartUpload, v1.8).
                    raise GoneError
                undo.pop_all()
        return content

    def _holds_taken(self, key: str, content: Content) -> bool:
        try:
            return self.holds(key, content)
        except MissingError as error:
            # So versitygw (1.8) answers where a bucket with versions has a delete marker.
            raise StoreError(
                f"{self._bucket.place(self._name(key))}: it was deleted, and the server counts its "
                "old versions; remove those too, or name another prefix with --store"
            ) from error

    def _holds_now(self, key: str, content: Content) -> bool:
        try:
            return self.holds(key, content)
        except MissingError as error:
            raise GoneError from error


def server_date(answer: Mapping[str, Any]) -> datetime | None:
    """Give the date of an answer by the server's own clock, in UTC; None if it has none."""
    try:
        said = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    except (KeyError, ValueError):
        return None
    return said.astimezone(UTC)


def _server_time(page: dict[str, Any]) -> datetime:
    """Give the time by which the server dates its uploads, as far as it tells."""
    return server_date(page) or datetime.now(UTC)


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
