"""`data prepare`, `data stats` and `data show`."""

from pathlib import Path
from typing import Annotated

import typer

from cifar_dist.cli import options
from cifar_dist.cli.output import emit
from cifar_dist.errors import ConfigError, RefusedError

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="sample, synthetic or a path.")]
Output = Annotated[Path, typer.Option("--output", help="PNG file to write.")]
Fraction = Annotated[float, typer.Option("--validation-fraction", min=0, max=0.5)]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of the split.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Image sources: prepare, measure, look at.", no_args_is_help=True)
    group.command("prepare")(_prepare)
    group.command("stats")(_stats)
    group.command("show")(_show)
    app.add_typer(group, name="data")


def _prepare(
    source: Source = "sample", json: options.Json = False, debug: options.Debug = False
) -> None:
    """Bring a source into the verified cache and print where it lies."""
    from cifar_dist.dataset import open_dataset, prepare
    from cifar_dist.documents import DataDocument

    cache = str(prepare(source))
    facts = open_dataset(source, validation_fraction=0, seed=0).facts()
    emit(DataDocument(data=facts, splits=[], cache=cache), lambda document: document.cache, json)


def _stats(
    source: Source = "sample",
    fraction: Fraction = 0.1,
    seed: Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Print pixel statistics, class counts and hashes of every split."""
    from cifar_dist.data import statistics
    from cifar_dist.dataset import open_dataset, prepare
    from cifar_dist.documents import DataDocument
    from cifar_dist.report.tables import statistics_table

    dataset = open_dataset(source, validation_fraction=fraction, seed=seed)
    whole = open_dataset(source, validation_fraction=0, seed=seed)
    splits = [
        statistics(whole.train, "train", whole.classes),
        statistics(whole.test, "test", whole.classes),
    ]
    document = DataDocument(data=dataset.facts(), splits=splits, cache=str(prepare(source)))
    emit(document, statistics_table, json)


def _show(
    source: Source = "sample",
    output: Output = Path("sheet.png"),
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write a labeled contact sheet, one row for each class."""
    from cifar_dist.dataset import open_dataset
    from cifar_dist.documents import ArtifactRow, ArtifactsDocument
    from cifar_dist.report.contact_sheet import contact_sheet
    from cifar_dist.store.disk import chunks, copy, reported

    with reported(str(output)):
        if output.exists():
            raise RefusedError(f"{output} exists; remove it or choose another --output")
    if not output.parent.is_dir():
        raise ConfigError(f"--output {output}: there is no folder {output.parent}; make it first")
    dataset = open_dataset(source, validation_fraction=0, seed=0)
    pixels, labels = dataset.train.pixels.numpy(), dataset.train.labels.numpy()
    with reported(str(output)):
        contact_sheet(pixels, labels, dataset.classes, output)
        written = copy(chunks(output), len)
    row = ArtifactRow(key=output.name, bytes=written.bytes, sha256=written.sha256)
    folder = str(output.parent.absolute())
    emit(ArtifactsDocument(store=folder, artifacts=[row]), lambda document: str(output), json)
