"""`train --lr-find`: which learning rate to take, as text, a picture and a document."""

from pathlib import Path
from typing import TYPE_CHECKING

from cifar_dist.cli.output import check_free, emit, say
from cifar_dist.errors import ConfigError

if TYPE_CHECKING:
    from cifar_dist.config import Job

DEFAULT_OUTPUT = Path("lr-find.png")


def find_lr(job: "Job", output: Path, json: bool) -> None:
    """Test a job's rates in this process; writes the picture and a JSON file beside it."""
    from cifar_dist.dataset import find

    if output.suffix != ".png":
        raise ConfigError(f"--output {output}: must end in .png; a .json is written beside it")
    document_file = output.with_suffix(".json")
    for path in (output, document_file):
        check_free(path)
    find(job.recipe.data, s3=job.s3)

    from cifar_dist.lr_range import find_lr
    from cifar_dist.report.lr_range import lr_range_text, save_lr_range
    from cifar_dist.store.disk import reported

    document = find_lr(job)
    with reported(str(output)):
        save_lr_range(document, output)
        document_file.write_text(document.model_dump_json(indent=2) + "\n", "utf-8")
    say(f"written: {output} and {document_file}")
    emit(document, lr_range_text, json)
