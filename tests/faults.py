"""What may go wrong between a client and an S3 server, and the digests that S3 checks."""

import base64
import hashlib
import re
import zlib
from dataclasses import dataclass
from email.message import Message
from random import Random
from typing import NamedTuple

REFUSALS = {
    "500": (500, "InternalError"),
    "503": (503, "SlowDown"),
    "429": (429, "TooManyRequests"),
    "error_200": (200, "InternalError"),
    "expired": (400, "ExpiredToken"),
    "unsupported": (501, "NotImplemented"),
}
KINDS = {
    *REFUSALS,  # the request never reaches the server
    "reset_before",  # neither does it here: the connection is reset
    "answer_lost",  # the server did it, and the connection is reset
    "truncated",  # half the answer under its full Content-Length
    "short",  # half the answer under a Content-Length that fits
    "flip_up",  # one bit of the request's body
    "flip_down",  # one bit of the answer's body
    "stall",  # half the answer, then silence
    "latency",  # `seconds` late; goes together with any other
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a share of the requests that match."""

    kind: str
    share: float = 1.0
    methods: tuple[str, ...] | None = None
    pattern: str | None = None
    """Searched in the path with its query."""
    seconds: float = 0.0
    times: int | None = None
    """At most so often; None: for ever."""

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind

    def suits(self, method: str, target: str, body: bytes) -> bool:
        """Tell whether it could happen to a request."""
        if self.kind == "flip_up" and not body:
            return False
        if self.kind == "error_200" and not is_completion(method, target):
            return False
        listed = self.methods is None or method in self.methods
        return listed and (self.pattern is None or re.search(self.pattern, target) is not None)


class Answer(NamedTuple):
    """What goes back to the client."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def is_completion(method: str, target: str) -> bool:
    """Tell whether a request completes a multipart upload."""
    return method == "POST" and "uploadId=" in target


def bent(data: bytes, chance: Random) -> bytes:
    """Give a copy with one bit flipped."""
    copy, bit = bytearray(data), chance.randrange(8 * len(data))
    copy[bit // 8] ^= 1 << bit % 8
    return bytes(copy)


def refusal(status: int, code: str) -> Answer:
    """Give an answer such as S3 refuses with."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'
    return Answer(status, [("Content-Type", "application/xml")], text.encode())


def mismatch(method: str, target: str, headers: Message, body: bytes) -> str | None:
    """Give S3's word for a digest that does not fit the body, or None."""
    signed = headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    if re.fullmatch("[0-9a-f]{64}", signed) and signed != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch"
    found = {"content-md5": hashlib.md5(body).digest()}
    if not is_completion(method, target):  # there they would be those of the whole object
        found["x-amz-checksum-sha256"] = hashlib.sha256(body).digest()
        found["x-amz-checksum-crc32"] = zlib.crc32(body).to_bytes(4, "big")
    for name, digest in found.items():
        if headers.get(name, "") not in ("", base64.b64encode(digest).decode()):
            return "BadDigest"
    return None
