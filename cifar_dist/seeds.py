"""The seed tree: every random stream is named by a path under one seed."""

import hashlib


def derive(seed: int, *path: str | int) -> int:
    """Give the 63-bit seed of the stream `path` under `seed`: the head of SHA-256 over both."""
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
