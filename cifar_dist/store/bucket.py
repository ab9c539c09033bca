"""One bucket: each request repeated while it fails, each answer checked before it is believed."""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError

from cifar_dist.config import S3
from cifar_dist.store.client import connect
from cifar_dist.store.disk import CHUNK_BYTES
from cifar_dist.store.faults import FAULTS, translated
from cifar_dist.store.patience import (
    DEADLINE_SECONDS,
    FIRST_CONTACT_SECONDS,
    Patience,
    TransientError,
    persist,
)
from cifar_dist.store.settings import completed

T = TypeVar("T")
# A page put in between by a proxy may answer anything with 200, and has none of these.
_PROOF = {
    "complete_multipart_upload": "ETag",
    "create_multipart_upload": "UploadId",
    "get_object": "ETag",
    "head_object": "ETag",
    "list_multipart_uploads": "IsTruncated",
    "list_objects_v2": "IsTruncated",
    "put_object": "ETag",
    "upload_part": "ETag",
}
_ITEMS = {
    "CommonPrefixes": {"Prefix"},
    "Contents": {"Key", "LastModified", "Size"},
    "Uploads": {"Initiated", "Key", "UploadId"},
}
_NEXT = {
    "list_multipart_uploads": {
        "KeyMarker": "NextKeyMarker",
        "UploadIdMarker": "NextUploadIdMarker",
    },
    "list_objects_v2": {"ContinuationToken": "NextContinuationToken"},
}


class Bucket:
    """Requests to one bucket, by keys as the server knows them; safe to share by threads."""

    def __init__(self, uri: str, name: str, s3: S3) -> None:
        given = completed(s3, uri)
        self.client, found = connect(uri, given)
        self.name = name
        self.endpoint = self.client.meta.endpoint_url
        self._deadline = given.deadline_seconds
        self._answered = False
        seconds = DEADLINE_SECONDS if self._deadline is None else self._deadline
        self.s3 = found.model_copy(update={"deadline_seconds": seconds})

    def place(self, key: str) -> str:
        """Name a key and its server, for people."""
        return f"s3://{self.name}/{key} at {self.endpoint}"

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Do one request. Raises TakenError, GoneError, MissingError, StoreError."""
        place = self.place(parameters.get("Key") or parameters.get("Prefix", ""))
        return self._step(place, lambda _: self._answer(operation, **parameters))

    def attempt(self, operation: str, **parameters: Any) -> None:
        """Do one request once, and let it fail."""
        with suppress(*FAULTS):
            getattr(self.client, operation)(Bucket=self.name, **parameters)

    def pages(self, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Do a listing request as often as it takes."""
        following: dict[str, str] = {}
        while True:
            page = self.ask(operation, **parameters, **following)
            yield page
            if not page["IsTruncated"]:
                return
            following = {name: page[source] for name, source in _NEXT[operation].items()}

    def receive(self, key: str, take: Callable[[Iterator[bytes]], T]) -> T:
        """Let `take` have an object's bytes, from their start again after each fault."""
        furthest = 0

        def step(patience: Patience) -> T:
            return take(chunks(patience))

        def chunks(patience: Patience) -> Iterator[bytes]:
            nonlocal furthest
            count = 0
            for chunk in self._chunks(key):
                count += len(chunk)
                if count > furthest:
                    furthest = count
                    patience.renew()
                yield chunk

        return self._step(self.place(key), step)

    def _chunks(self, key: str) -> Iterator[bytes]:
        with closing(self._answer("get_object", Key=key)["Body"]) as body:
            yield from body.iter_chunks(CHUNK_BYTES)

    def _step(self, place: str, call: Callable[[Patience], T]) -> T:
        patience = Patience(place, self._seconds())

        def step() -> T:
            try:
                result = call(patience)
            except FAULTS as error:
                found = translated(error, place)
                self._answered |= not isinstance(found, TransientError)
                raise found from error
            self._answered = True
            return result

        return persist(step, patience)

    def _seconds(self) -> float:
        if self._deadline is not None:
            return self._deadline
        return DEADLINE_SECONDS if self._answered else FIRST_CONTACT_SECONDS

    def _answer(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            answer = dict(getattr(self.client, operation)(Bucket=self.name, **parameters))
        except BotoCoreError:
            raise  # some are a ValueError too
        except ValueError as error:
            raise TransientError("a number or a date in the answer is none") from error
        if not _is_whole(operation, answer):
            raise TransientError("the answer is not one of S3")
        return answer


def _is_whole(operation: str, answer: dict[str, Any]) -> bool:
    if operation in _PROOF and _PROOF[operation] not in answer:
        return False
    if answer.get("IsTruncated") and not all(map(answer.get, _NEXT[operation].values())):
        return False
    return all(
        fields <= item.keys() for name, fields in _ITEMS.items() for item in answer.get(name, [])
    )
