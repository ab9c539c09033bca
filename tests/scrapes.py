"""Reading what a board serves."""

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from cifar_dist.metrics import Board


def scraped(board: Board) -> dict[str, str]:
    """Give the text of each family that has a series, by its name as a rule writes it."""
    found: dict[str, str] = {}
    name = ""
    for line in generate_latest(board.registry).decode().splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
        found[name] = f"{found.get(name, '')}{line}\n"
    return found


def series(board: Board) -> list[tuple[str, dict[str, str]]]:
    """Give the name and the labels of every series."""
    text = generate_latest(board.registry).decode()
    families = text_string_to_metric_families(text)
    return [(sample.name, sample.labels) for family in families for sample in family.samples]
