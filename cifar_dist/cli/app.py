"""The program: its commands, and how an error becomes one message and an exit code."""

import errno
import logging
import os
import sys
import traceback
from collections.abc import Iterable
from typing import Any

import typer

from cifar_dist import __version__, consent, logs
from cifar_dist.cli import (
    artifacts,
    data,
    doctor,
    evaluate,
    explain,
    interrupts,
    models,
    plan,
    platform,
    predict,
    report,
    schema,
    streams,
    submit,
    train,
    tune,
)
from cifar_dist.errors import CifarDistError, StoreError
from cifar_dist.problems import shown
from cifar_dist.redaction import redacted

_LINES = 20  # problems that are told at once
_HEAD, _TAIL = 400, 200  # characters of a longer line: what is wrong, and what to do

# Typer brings its own copy of click or uses the installed one; this is the root of either.
_ClickError: Any = typer.BadParameter.__mro__[2]

_EPILOG = """\b
Examples:
  cifar-dist tune
  cifar-dist train --model lenet5 --epochs 5
  cifar-dist artifacts ls

\b
Exit codes:
  0    done
  1    a bug of ours
  2    bad input, data missing or not matching, GPUs unusable
  3    the run failed
  4    storage unavailable, access refused, bucket missing or disk full
  5    refused for safety: damaged, changed, superseded or in the way
  75   preempted; `resume` goes on
  130  interrupted; `resume` goes on

\b
Environment:
  CIFAR_DIST_STORE         the store, in place of ./artifacts (--store)
  CIFAR_DIST_CACHE         folder of the prepared images
  RAY_ADDRESS              a cluster to use in place of a local Ray, host:6379
  RAY_AUTH_TOKEN           that cluster's token; one that asks for none is refused
  CIFAR_DIST_LOG_FORMAT    text or json, as --log-format
  CIFAR_DIST_LOG_FILE      file or pipe that also gets what stderr gets
  CIFAR_DIST_METRICS_HOST  address that --metrics-port binds in place of 127.0.0.1
  AWS_ENDPOINT_URL         an S3-compatible server; region and credentials from AWS_*, too
"""

app = typer.Typer(
    name="cifar-dist",
    help="Train, tune and keep CIFAR-10 classifiers, on a laptop and on a cluster.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_WORK = (train, tune, plan, evaluate, explain, predict)
for _module in (*_WORK, submit, platform, data, models, artifacts, report, doctor, schema):
    _module.register(app)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the program and end it with an exit code of `errors`."""
    # Read once, when torch loads OpenMP: bounded spinning costs nothing on idle CPUs, while an
    # endless spin loses most of a CPU that is shared.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    streams.open_streams()
    debug = "--debug" in sys.argv
    level, asked = logging.DEBUG if debug else logging.INFO, streams.log_format(sys.argv)
    logs.configure(level, as_json=asked == "json")
    if consent.FLAG in sys.argv:
        os.environ[consent.VARIABLE] = "1"
    try:
        streams.check_log_format(asked)
        code = app(prog_name="cifar-dist", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the one place that turns any error into a code
        if debug:
            print(logs.line(redacted(traceback.format_exc()).rstrip()), end="", file=sys.stderr)
        code = _explain(error)
    except SystemExit:
        code = 0  # click's answer to a reader that has gone, such as `head`
    except KeyboardInterrupt:
        print(logs.line("interrupted", logging.ERROR), end="", file=sys.stderr)
        code = 130
    sys.exit(_flushed(code if isinstance(code, int) else 0))


def _explain(error: Exception) -> int:
    """Print one short message and give the exit code."""
    if isinstance(error, CifarDistError):
        _complain(_first(str(error).splitlines()))
        return interrupts.exit_code(error)
    if isinstance(error, _ClickError):
        _complain(_usage(error))
        return 2
    if isinstance(error, typer.Abort):
        return 130
    if isinstance(error, BrokenPipeError):
        return 0
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _complain(f"{error.strerror}: {error.filename or 'output'}; make room or write elsewhere")
        return StoreError.exit_code
    what = f"{type(error).__name__}: {error}".partition("\n")[0]
    _complain(f"this is a bug of ours ({what}); run again with --debug")
    return 1


def _usage(error: Any) -> str:
    text = str(error.format_message()).removesuffix(".").replace("Value error, ", "", 1)
    if text.startswith("Usage:"):  # what is printed where a command is missing
        return f"a command is missing\n{text}"
    value = _given(getattr(getattr(error, "param", None), "opts", ()))
    text = text.partition(", unable to parse")[0].replace("Input", shown(value), 1)
    for rule, example in (("a valid integer", "4"), ("a valid number", "0.1")):
        if text.endswith(rule):
            text = f"{text}, such as {example}"
    context = getattr(error, "ctx", None)
    return f"{text} (see `{context.command_path if context else 'cifar-dist'} --help`)"


def _given(flags: Iterable[str]) -> str:
    """Find what was typed behind a flag; the error itself does not tell."""
    words = sys.argv[1:]
    for flag in flags:
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if word == flag:
                return following
            if word.startswith(f"{flag}="):
                return word.removeprefix(f"{flag}=")
    return "Input"


def _complain(message: str) -> None:
    """Print on stderr what is wrong, without what would steer a terminal."""
    text = "\n".join(map(_clipped, redacted(message).splitlines()))
    told = text if logs.is_json() else f"cifar-dist: {text}"
    print(logs.line(told, logging.ERROR), end="", file=sys.stderr)


def _first(lines: list[str]) -> str:
    if len(lines) > _LINES:
        lines[_LINES:] = [f"… and {len(lines) - _LINES} more like these"]
    return "\n".join(lines)


def _clipped(line: str) -> str:
    is_long = len(line) > _HEAD + _TAIL
    return f"{line[:_HEAD]} … {line[-_TAIL:]}" if is_long else line


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or _explain(error)
    return code
