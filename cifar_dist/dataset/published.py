"""Prepared sources in a store, as `datasets/<id>/`; the id is the start of the data's SHA-256."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError

from cifar_dist.config import S3
from cifar_dist.dataset import cache as caches
from cifar_dist.dataset.arrays import ARRAYS, Arrays, file_name, load
from cifar_dist.documents import DataOrigin, Document
from cifar_dist.errors import ConfigError, DamagedError, DataError
from cifar_dist.problems import shown
from cifar_dist.store import Content, MissingError, Store, open_store

_FOLDER = "datasets"
_MANIFEST = "MANIFEST.json"
_ID_CHARACTERS = 32
_ID = rf"[0-9a-f]{{{_ID_CHARACTERS}}}"
_NAMED = re.compile(rf"(?P<store>.+)/{_FOLDER}/(?P<id>{_ID})/?")
_MAX_MANIFEST_BYTES = 1 << 20
_LISTED = 3

_SHA256 = r"^[0-9a-f]{64}$"


class _File(Document):
    bytes: Annotated[int, Field(gt=0, le=2**31)]
    sha256: Annotated[str, Field(pattern=_SHA256)]


class _Manifest(Document):
    """Written last and once: a dataset exists in a store when this does."""

    schema_: Annotated[Literal["cifar-dist/published/1"], Field(alias="schema")] = (
        "cifar-dist/published/1"
    )
    sha256: Annotated[str, Field(pattern=_SHA256)]
    classes: list[str]
    origin: DataOrigin
    files: dict[str, _File]

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


def find(address: str, root: Path, s3: S3 | None = None) -> caches.Source:
    """Find a dataset by `URI/datasets/<id>`, or the only one below `URI`.

    One that the cache holds is not asked for again: its name is its content. Raises DataError, and
    StoreError while the store is out of reach.
    """
    named = _NAMED.fullmatch(address)
    store = _opened(named["store"] if named else address, s3)
    identifier = named["id"] if named else _only(store)
    source = caches.Source("store", identifier, lambda: _fetched(store, identifier, root))
    if not caches.entry(source, root).is_dir():
        _manifest(store, identifier)
    return source


def push(arrays: Arrays, folder: Path, uri: str) -> str:
    """Publish the prepared arrays that lie in a folder, and give the name to use as data.

    What is there already is kept, so a push that was cut short is completed by the next one.
    """
    store = open_store(uri)
    identifier = arrays.sha256[:_ID_CHARACTERS]
    present = {entry.key for entry in store.entries(f"{_FOLDER}/{identifier}")}
    is_new = _key(identifier, _MANIFEST) not in present
    sent = {}
    for name in ARRAYS:
        key = _key(identifier, file_name(name))
        if is_new or key not in present:
            sent[name] = store.upload(key, folder / file_name(name))
    if is_new:
        # Another may be first, having prepared the same images in another way.
        store.claim(_key(identifier, _MANIFEST), _described(arrays, sent))
    _manifest(store, identifier)
    return f"{store.uri}/{_FOLDER}/{identifier}"


def _opened(address: str, s3: S3 | None) -> Store:
    try:
        return open_store(address, s3)
    except ConfigError as error:
        what = str(error)
        if not what.startswith("store="):
            raise
        raise DataError(f"data {what.removeprefix('store=')}") from error


def _described(arrays: Arrays, sent: dict[str, Content]) -> bytes:
    manifest = _Manifest(
        sha256=arrays.sha256,
        classes=list(arrays.classes),
        origin=arrays.origin,
        files={name: _File(**content._asdict()) for name, content in sent.items()},
    )
    return manifest.model_dump_json(indent=2).encode()


def _only(store: Store) -> str:
    found = [name for name in store.folders(_FOLDER) if re.fullmatch(_ID, name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise DataError(
            f"{store.uri} holds no dataset; publish one with "
            f"`cifar-dist data push SOURCE {store.uri}`"
        )
    names = ", ".join(f"{store.uri}/{_FOLDER}/{name}" for name in found[:_LISTED])
    more = ", …" if len(found) > _LISTED else ""
    raise DataError(f"{store.uri} holds {len(found)} datasets; name one of them: {names}{more}")


def _manifest(store: Store, identifier: str) -> _Manifest:
    key = _key(identifier, _MANIFEST)

    def parse(data: bytes) -> _Manifest:
        try:
            manifest = _Manifest.model_validate_json(data)
        except ValidationError as error:
            raise _damaged(store, key, "it is not a manifest of a dataset") from error
        if not manifest.sha256.startswith(identifier) or set(manifest.files) != set(ARRAYS):
            raise _damaged(store, key, "it belongs to other files")
        return manifest

    try:
        return store.parsed(key, _MAX_MANIFEST_BYTES, parse)
    except MissingError as error:
        raise DataError(
            f"{store.uri} holds no dataset {shown(identifier)}; publish it with "
            f"`cifar-dist data push SOURCE {store.uri}`, which prints its name"
        ) from error


def _fetched(store: Store, identifier: str, root: Path) -> Arrays:
    manifest = _manifest(store, identifier)
    with caches.writing(root), caches.scratch(root) as folder:
        for name, file in manifest.files.items():
            expected = Content(file.bytes, file.sha256)
            key = _key(identifier, file_name(name))
            try:
                store.download(key, folder / file_name(name), expected)
            except MissingError as error:
                raise _damaged(store, key, "it is gone") from error
        try:
            arrays = load(folder, manifest.classes, manifest.origin)
        except (ValueError, EOFError) as error:
            raise _damaged(store, _key(identifier, _MANIFEST), str(error)) from error
    if arrays.sha256 != manifest.sha256:
        raise _damaged(store, _key(identifier, _MANIFEST), "its images are others")
    return arrays


def _key(identifier: str, name: str) -> str:
    return f"{_FOLDER}/{identifier}/{name}"


def _damaged(store: Store, key: str, reason: str) -> DamagedError:
    return DamagedError(
        f"{key} in {store.uri} is damaged: {reason}; remove its folder there and push it again"
    )
