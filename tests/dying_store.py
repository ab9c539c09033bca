"""Deaths at a chosen call: of a store by its methods, of an S3 client by its requests."""

import abc
import os
from collections.abc import Callable, Iterator
from typing import Any, Literal, NoReturn

import boto3

from cifar_dist.store import Store

When = Literal["before", "after"]


class DeathError(BaseException):
    """Stands for the end of the process; no `except Exception` stops it."""


def end_process() -> NoReturn:
    """End without any cleaning up."""
    os._exit(9)


def raise_death() -> NoReturn:
    """End all that happens, as far as it does not clean up."""
    raise DeathError


class Death:
    """Strikes before or after call `number`, counted from 1, takes effect; at 0 it only counts."""

    def __init__(self, number: int, when: When, end: Callable[[], NoReturn] = end_process) -> None:
        self.calls = 0
        self._number = number
        self._when = when
        self._end = end

    def before(self) -> None:
        """Note that a call begins."""
        self.calls += 1
        self._strike("before")

    def after(self) -> None:
        """Note that it took effect."""
        self._strike("after")

    def _strike(self, when: When) -> None:
        if (self.calls, when) == (self._number, self._when):
            self._end()


class DyingStore(Store):
    """Any store, until death strikes at one of its calls."""

    def __init__(self, store: Store, death: Death) -> None:
        self.uri = store.uri
        self._store = store
        self._death = death

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _delegate(name: str) -> Callable[..., Any]:
    def call(self: DyingStore, *arguments: Any, **named: Any) -> Any:
        self._death.before()
        try:
            result = getattr(self._store, name)(*arguments, **named)
            return iter(list(result)) if isinstance(result, Iterator) else result
        finally:  # that an object is missing is an answer too
            self._death.after()

    return call


for _name in Store.__abstractmethods__:
    setattr(DyingStore, _name, _delegate(_name))
abc.update_abstractmethods(DyingStore)


def count_requests(death: Death) -> None:
    """Let death count each request that this process sends to S3 from now on, the SDK's own too."""
    make = boto3.session.Session.client

    def client(self: boto3.session.Session, *arguments: Any, **named: Any) -> Any:
        made = make(self, *arguments, **named)
        made.meta.events.register("before-send.s3", lambda **_: death.before())
        made.meta.events.register("response-received.s3", lambda **_: death.after())
        return made

    boto3.session.Session.client = client  # type: ignore[method-assign, assignment]
