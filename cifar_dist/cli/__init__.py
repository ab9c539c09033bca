"""The command line: arguments, wiring, exit codes; the only printer."""

from cifar_dist.cli.app import main

__all__ = ["main"]
