"""The streams of this process: usable whatever the caller closed, and copied where that is asked.

CIFAR_DIST_LOG_FILE gets each line of stderr: where Ray takes a driver's stderr, as it does that of
a submitted job, the log of a pod's first process, `/proc/1/fd/1`, would lack it.
"""

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any

from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown

FILE_VARIABLE = "CIFAR_DIST_LOG_FILE"
FORMAT_VARIABLE = "CIFAR_DIST_LOG_FORMAT"
FORMAT_FLAG = "--log-format"
FORMATS = ("text", "json")

_ERASED = "\x1b[K"
_LONGEST = 65_536  # characters of a line


def open_streams() -> None:
    """Make output possible whatever the caller closed and whichever letters its locale has."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    path = os.environ.get(FILE_VARIABLE)
    if path and (file := _opened(path)) is not None:
        copied: Any = Copied(sys.stderr, file)
        sys.stderr = copied


def log_format(words: Sequence[str]) -> str:
    """Give the format that a command line or else the environment names."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == FORMAT_FLAG:
            return following
        if word.startswith(f"{FORMAT_FLAG}="):
            return word.removeprefix(f"{FORMAT_FLAG}=")
    return os.environ.get(FORMAT_VARIABLE) or FORMATS[0]


def check_log_format(name: str) -> None:
    """Raise ConfigError unless there is such a format."""
    if name not in FORMATS:
        raise ConfigError(
            f"{FORMAT_FLAG}={shown(name)}: must be text or json (also in {FORMAT_VARIABLE})"
        )


class Copied:
    """A stream whose lines also go to a file, each at once; what fails there is left out.

    A line that is drawn over, such as a bar, is none.
    """

    def __init__(self, stream: Any, file: int) -> None:
        self._stream, self._file = stream, file
        # A signal's handler writes, too, perhaps in the midst of another line.
        self._lock, self._begun, self._is_torn = RLock(), "", False

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # of one that is being copied, which has nothing yet
            raise AttributeError(name)
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write to both."""
        with self._lock:
            *lines, rest = (self._begun + text).split("\n")
            self._begun = _visible(rest)[-_LONGEST:]
            if lines:
                self._keep("".join(f"{_visible(line)}\n" for line in lines))
        count: int = self._stream.write(text)
        return count

    def writelines(self, lines: Sequence[str]) -> None:
        """Write to both."""
        for line in lines:
            self.write(line)

    def _keep(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        data = b"\n" + data if self._is_torn else data
        self._is_torn = False
        with suppress(OSError):
            while data:
                self._is_torn = True
                data = data[os.write(self._file, data) :]
                self._is_torn = False


def _visible(line: str) -> str:
    return line.rpartition("\r")[2].removeprefix(_ERASED)


def _opened(path: str) -> int | None:
    # A pipe that nobody reads may neither hold up this process as it is opened nor when it is full.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except (OSError, ValueError):
        return None
