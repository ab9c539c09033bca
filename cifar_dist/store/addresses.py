"""What a store's URI and an object's key may look like."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cifar_dist.errors import ConfigError, RefusedError
from cifar_dist.problems import shown

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199}")
_KEY_CHARACTERS = 900  # S3 ends a key at 1,024 bytes, the store's own prefix included
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PROBES = "doctor"
FOLDERS = ("runs", "sweeps", "datasets", PROBES)
"""All that this program ever writes to, right below the top of a store."""
_FORMS = "write a folder, file:///folder or s3://bucket/prefix"


def is_key(key: str) -> bool:
    """Tell whether a key is plain: segments of letters, digits and ._=+- between single slashes."""
    segments = key.split("/")
    return len(key) <= _KEY_CHARACTERS and all(_SEGMENT.fullmatch(part) for part in segments)


def checked(key: str) -> str:
    """Give a plain key back; raises RefusedError for one that could lead out of its folder."""
    if is_key(key):
        return key
    raise RefusedError(
        f"the storage key {shown(key)} is not plain; use letters, digits and ._=+- between slashes"
    )


def safe_join(folder: Path, name: str, remedy: str = "remove it") -> Path:
    """Give the path of a plain name below a folder; every path made of data is made here.

    The folder itself may be reached through a link, nothing below it. Raises RefusedError.
    """
    path = folder
    for part in checked(name).split("/"):
        path /= part
        if path.is_symlink():
            raise RefusedError(f"{path} is a link and may lead out of {folder}; {remedy}")
    return path


def stored_path(root: Path, key: str) -> Path:
    """Give the path of a key in a folder store, whose own top folders may be links.

    Those are of a fixed name, so nobody's data leads there. Raises RefusedError as `safe_join`.
    """
    remedy = "remove it; in a store only the folders runs, sweeps and datasets may be links"
    top, _, rest = checked(key).partition("/")
    if top not in FOLDERS:
        return safe_join(root, key, remedy)
    return safe_join(root / top, rest, remedy) if rest else root / top


def scheme(uri: str) -> str:
    """Give 'file' or 's3'; a plain path counts as a file. Raises ConfigError for any other."""
    if not uri.strip() or not uri.isprintable():
        raise _refused(uri, "it is empty or holds control characters")
    if "${" in uri:
        raise _refused(uri, "variables are not filled in here; let the shell do that")
    found = _SCHEME.match(uri)
    if found is None:
        return "file"
    if found[0] not in ("file", "s3"):
        raise _refused(uri, f"'{found[0]}:' is not a kind of store")
    return found[0]


def local_folder(uri: str) -> Path:
    """Give the absolute folder of a path or a file:// URI. Raises ConfigError."""
    if not _SCHEME.match(uri):
        path = _expanded(uri)
    else:
        parts = urlsplit(uri)
        path = Path(unquote(parts.path))
        if not uri.startswith("file://") or parts.netloc or parts.query or parts.fragment:
            raise _refused(uri, "a file URI is file:/// and an absolute folder, nothing else")
        if not path.is_absolute() or ".." in path.parts:
            raise _refused(uri, "a file URI names an absolute folder, without '..'")
    try:
        lowest = next(folder for folder in (path, *path.parents) if folder.exists())
    except OSError as error:
        raise _refused(uri, f"it cannot be used ({error.strerror})") from error
    if not lowest.is_dir():
        raise _refused(uri, f"{'it' if lowest == path else lowest} is not a folder")
    return path


def bucket_and_prefix(uri: str) -> tuple[str, str]:
    """Split s3://bucket/prefix; the prefix has no slash at its ends. Raises ConfigError."""
    if not uri.startswith("s3://"):
        raise _refused(uri, "an S3 store is s3://bucket or s3://bucket/prefix")
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if "@" in bucket or ":" in bucket:
        raise _refused(
            uri, "it holds credentials or a port; give those by AWS_* environment variables"
        )
    if "?" in uri or "#" in uri:
        raise _refused(uri, "it has a query or fragment; set AWS_ENDPOINT_URL and AWS_REGION")
    if not _BUCKET.fullmatch(bucket):
        raise _refused(uri, "a bucket is 3 to 63 of a-z, 0-9, '.' and '-'")
    prefix = prefix.removesuffix("/")
    if prefix and not is_key(prefix):
        raise _refused(uri, "its prefix is not plain: letters, digits and ._=+- between slashes")
    return bucket, prefix


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise _refused(path, "'~' stands for no home folder here") from error
    except FileNotFoundError as error:
        raise _refused(path, "the current folder was deleted") from error


def _refused(uri: str, reason: str) -> ConfigError:
    # A wrong URI may carry a password before '@' or a signature behind '?'.
    public = re.sub(r"//[^/]*@", "//***@", uri.partition("?")[0])
    return ConfigError(f"store={shown(public)}: {reason}; {_FORMS}")
