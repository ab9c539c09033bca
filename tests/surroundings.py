"""The program in hostile surroundings, each call a fork of one process that has imported it all.

python -m tests.surroundings SMALL READ_ONLY    folders on a full disk and on one for reading only

Lines of JSON come in, [surroundings, words], where NAME=VALUE may come before the words; what came
of each goes out, [code, out, err].
"""

import json
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

_FILES = 64


def _full_stdout() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def _closed_stdout() -> None:
    os.close(1)
    sys.stdout = None  # type: ignore[assignment] - as the interpreter starts then


def _deleted_folder() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    Path(folder).rmdir()


def _no_home() -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME"):
        os.environ.pop(name, None)


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))


def _in(folder: str) -> Callable[[], None]:
    return lambda: os.chdir(folder)


def _called(surrounding: Callable[[], None], words: list[str]) -> list[object]:
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        tempfile.TemporaryDirectory() as folder,
    ):
        if not (pid := os.fork()):
            os.chdir(folder)
            _end_as(surrounding, words, out.fileno(), err.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return [code, out.read().decode(), err.read().decode()]


def _end_as(surrounding: Callable[[], None], words: list[str], out: int, err: int) -> None:
    from cifar_dist.cli import main

    code = 99
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        surrounding()
        while words[0].partition("=")[0].isupper():
            name, _, value = words.pop(0).partition("=")
            os.environ[name] = value
        sys.argv = ["cifar-dist", *words]
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - whatever it is, the test shall see it
        traceback.print_exc()
    finally:
        for stream in (sys.stderr, sys.stdout):
            if stream is not None:
                stream.flush()
        os._exit(code)


def _serve(small: str, read_only: str) -> None:
    import torch

    import cifar_dist.api.evaluate
    import cifar_dist.api.origin
    import cifar_dist.cli.app  # noqa: F401 - here, so that no fork has to

    torch.set_num_threads(1)
    surroundings = {
        "plain": lambda: None,
        "full stdout": _full_stdout,
        "closed stdout": _closed_stdout,
        "deleted folder": _deleted_folder,
        "read-only folder": _in(read_only),
        "full disk": _in(small),
        "no home": _no_home,
        "few files": _few_files,
    }
    for line in sys.stdin:
        name, words = json.loads(line)
        answer = _called(surroundings[name], words)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
