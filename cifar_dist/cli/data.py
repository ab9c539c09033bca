"""`data prepare`, `data push`, `data stats`, `data show` and `data figures`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cifar_dist.cli import options
from cifar_dist.cli.commands import add
from cifar_dist.cli.figures import check_folder, write_files
from cifar_dist.cli.output import check_free, emit
from cifar_dist.errors import ConfigError
from cifar_dist.problems import shown

if TYPE_CHECKING:
    from cifar_dist.dataset import Prepared
    from cifar_dist.documents import DataDocument

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="sample, cifar10, synthetic, a path or a store's URI."),
]
Archive = Annotated[
    Path | None,
    typer.Option("--from", metavar="PATH", help="cifar-10-python.tar.gz or its unpacked folder."),
]
Download = Annotated[bool, typer.Option("--download", help="Fetch it from its official address.")]
Uri = Annotated[str, typer.Argument(metavar="URI", help="s3://bucket/prefix or file:///folder.")]
Output = Annotated[Path, typer.Option("--output", metavar="PNG", help="File to write.")]
Folder = Annotated[Path, typer.Option("--output", metavar="FOLDER", help="Folder to write into.")]
Fraction = Annotated[
    float,
    typer.Option(
        "--validation-fraction",
        metavar="SHARE",
        min=0,
        max=0.5,
        help="Share of each class held out for validation.",
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help="Seed of the split.")
]

_CLASSES, _DISTRIBUTION, _STATISTICS = "classes.png", "class_distribution.png", "statistics.txt"
# The report that CIFAR-10's page asks to cite; the page names no license.
_CITATION = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Image sources: prepare, publish, measure, look at.", no_args_is_help=True
    )
    add(group, "prepare", _prepare, "data prepare cifar10 --download")
    add(group, "push", _push, "data push cifar10 s3://my-bucket/team")
    add(group, "stats", _stats, "data stats cifar10 --json")
    add(group, "show", _show, "data show sample --output sheet.png")
    add(group, "figures", _figures, "data figures cifar10 --output figures")
    app.add_typer(group, name="data")


def _prepare(
    source: Source = "sample",
    archive: Archive = None,
    download: Download = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Bring a source into the verified cache.

    For cifar10 give --from or --download once; training never downloads.
    """
    from cifar_dist.dataset import prepare, prepare_cifar10

    if archive is None and not download:
        prepared = prepare(source)
    elif source != "cifar10":
        raise ConfigError(f"--from and --download belong to cifar10, not to {shown(source)}")
    elif archive is not None and download:
        raise ConfigError("--from and --download exclude each other; give one of them")
    else:
        prepared = prepare_cifar10(archive)
    emit(_document(prepared), _located, json)


def _push(
    source: Source, uri: Uri, json: options.Json = False, debug: options.Debug = False
) -> None:
    """Publish a source in a store and print its name.

    That name is what --data takes, on every machine that reaches the store.
    """
    from cifar_dist.dataset import prepare
    from cifar_dist.dataset.published import push
    from cifar_dist.store import open_store

    open_store(uri)
    prepared = prepare(source)
    address = push(prepared.arrays, prepared.folder, uri)
    document = _document(prepared).model_copy(update={"published": address})
    emit(document, lambda _: address, json)


def _stats(
    source: Source = "sample",
    fraction: Fraction = 0.1,
    seed: Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Print a source's data card.

    Origin, hashes, pixel statistics of both splits, class counts.
    """
    from cifar_dist.dataset import prepare

    prepared = prepare(source)
    dataset = prepared.dataset(validation_fraction=fraction, seed=seed)

    from cifar_dist.data import statistics
    from cifar_dist.report.data_card import data_card

    whole = prepared.dataset(validation_fraction=0, seed=seed)
    splits = [
        statistics(whole.train, "train", whole.classes),
        statistics(whole.test, "test", whole.classes),
    ]
    measured = {"data": dataset.facts(), "splits": splits}
    emit(_document(prepared).model_copy(update=measured), data_card, json)


def _located(document: "DataDocument") -> str:
    data = document.data
    counts = f"{data.train_images:,} training and {data.test_images:,} test images"
    return f"{data.source}: {counts} in {document.cache}"


def _document(prepared: "Prepared") -> "DataDocument":
    from cifar_dist.documents import DataDocument

    origin = prepared.arrays.origin
    return DataDocument(
        data=prepared.facts(),
        splits=[],
        cache=str(prepared.folder),
        origin=origin,
        citation=_CITATION if origin.kind in ("cifar10", "sample") else None,
    )


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

    check_free(output)
    dataset = open_dataset(source, validation_fraction=0, seed=0)
    pixels, labels = dataset.train.pixels.numpy(), dataset.train.labels.numpy()
    with reported(str(output)):
        contact_sheet(pixels, labels, dataset.classes, output)
        written = copy(chunks(output), len)
    row = ArtifactRow(key=output.name, bytes=written.bytes, sha256=written.sha256)
    folder = str(output.parent.absolute())
    emit(ArtifactsDocument(store=folder, artifacts=[row]), lambda document: str(output), json)


def _figures(
    source: Source = "sample",
    output: Folder = Path("data-figures"),
    fraction: Fraction = 0.1,
    seed: Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write a contact sheet, the class distribution and the data card of all three splits.

    They become classes.png, class_distribution.png and statistics.txt.
    """
    from cifar_dist.dataset import prepare

    check_folder(output, (_CLASSES, _DISTRIBUTION, _STATISTICS))
    prepared = prepare(source)
    dataset = prepared.dataset(validation_fraction=fraction, seed=seed)

    from cifar_dist.data import statistics
    from cifar_dist.report.data_card import data_card
    from cifar_dist.report.figures.data import class_distribution, classes
    from cifar_dist.report.figures.drawing import style

    names, train = dataset.classes, dataset.train
    splits = [statistics(images, split, names) for split, images in dataset.splits().items()]
    measured = {"data": dataset.facts(), "splits": splits}
    card = data_card(_document(prepared).model_copy(update=measured))
    with style():
        files = {
            _CLASSES: classes(train.pixels.numpy(), train.labels.numpy(), names, "train").data,
            _DISTRIBUTION: class_distribution(splits, names).data,
            _STATISTICS: f"{card}\n".encode(),
        }
    emit(write_files(output, files), lambda _: "\n".join(str(output / n) for n in files), json)
