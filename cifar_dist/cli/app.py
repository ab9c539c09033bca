"""The program: its commands, and how an error becomes one message and an exit code."""

import logging
import os
import sys
import traceback
from typing import Any

import typer

from cifar_dist import __version__, logs
from cifar_dist.cli import artifacts, data, models, schema, train, tune
from cifar_dist.errors import CifarDistError

# Typer brings its own copy of click or uses the installed one; this is the root of either.
_ClickError: Any = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="cifar-dist",
    help="Train, tune and keep CIFAR-10 classifiers, on a laptop and on a cluster.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _module in (train, tune, data, models, artifacts, schema):
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
    debug = "--debug" in sys.argv
    logs.configure(logging.DEBUG if debug else logging.INFO)
    try:
        code = app(standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the one place that turns any error into a code
        if debug:
            traceback.print_exc()
        code = _explain(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(_flushed(code if isinstance(code, int) else 0))


def _explain(error: Exception) -> int:
    """Print one short message and give the exit code."""
    if isinstance(error, CifarDistError):
        print(f"cifar-dist: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, _ClickError):
        print(f"cifar-dist: {error.format_message()}", file=sys.stderr)
        return 2
    if isinstance(error, typer.Abort):
        return 130
    if isinstance(error, BrokenPipeError):
        return 0
    what = f"{type(error).__name__}: {error}".partition("\n")[0]
    print(f"cifar-dist: this is a bug of ours ({what}); run again with --debug", file=sys.stderr)
    return 1


def _flushed(code: int) -> int:
    # A reader such as `head` may have gone; nothing is left to tell it.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
