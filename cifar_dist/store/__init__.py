"""Storage: a folder or an S3 bucket behind one contract; the only door to boto3."""

from cifar_dist.config import S3
from cifar_dist.store.addresses import (
    bucket_and_prefix,
    is_key,
    local_folder,
    safe_join,
    scheme,
)
from cifar_dist.store.contract import Content, Entry, MissingError, Store
from cifar_dist.store.settings import inherited

__all__ = [
    "Content",
    "Entry",
    "MissingError",
    "Store",
    "is_key",
    "open_store",
    "reopened",
    "safe_join",
]


def open_store(uri: str, s3: S3 | None = None) -> Store:
    """Open file:///folder, a plain folder or s3://bucket/prefix; touches neither disk nor network.

    What `s3` leaves open comes from the AWS_* environment, and credentials always do. Raises
    ConfigError.
    """
    s3 = s3 or S3()
    if scheme(uri) == "file":
        from cifar_dist.store.folder import FolderStore

        return FolderStore(local_folder(uri), s3)
    bucket, prefix = bucket_and_prefix(uri)
    # boto3 takes 0.3 s to import; neither a folder nor a wrong address needs it.
    from cifar_dist.store.s3 import S3Store

    return S3Store(bucket, prefix, s3)


def reopened(store: Store, s3: S3) -> Store:
    """Open a store as a job that lies in it says to, where this environment says nothing."""
    return open_store(store.uri, inherited(store.s3, s3))
