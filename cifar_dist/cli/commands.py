"""How a command is added: with its examples, and strict about each value on its line."""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from cifar_dist.hazards import refuse_hazards

_TELLING = {"doctor"}  # tells of such variables itself, among all else


def add(group: typer.Typer, name: str, work: Callable[..., None], *examples: str) -> None:
    """Add a command; its examples, without the program's name, end its help."""
    lines = ["\b", "Examples:", *(f"  cifar-dist {example}" for example in examples)]
    group.command(name, cls=_Command, epilog="\n".join(lines))(work)


class _Command(TyperCommand):
    """Refuses what the parser would let pass, and to work where a variable undoes a protection.

    The parser would let pass a value given twice, an empty one, 1_000.
    """

    def invoke(self, ctx: Any) -> Any:
        if self.name not in _TELLING:
            refuse_hazards()
        return super().invoke(ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        parsed: Any = self.make_parser(ctx).parse_args(args=list(args))
        given, _, order = parsed  # with a parameter in the order as often as it stands there
        rest = super().parse_args(ctx, args)
        for parameter in () if ctx.resilient_parsing else order:
            text, value = given.get(parameter.name), ctx.params.get(parameter.name)
            if not isinstance(text, str):
                continue  # a switch, or one that may be repeated
            if order.count(parameter) > 1:
                raise typer.BadParameter("given twice; keep one", ctx, parameter)
            if not text.strip():
                raise typer.BadParameter("empty; give a value or leave it out", ctx, parameter)
            if isinstance(value, int | float) and "_" in text:
                raise typer.BadParameter("write the number without '_'", ctx, parameter)
        return rest
