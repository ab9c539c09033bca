"""What a sweep's page shows of its winner's images, and the confusion matrix as a figure."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_dist.documents import TuneDocument
from cifar_dist.evidence import ActivationMaps, galleries, shown
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures import winner_pictures
from cifar_dist.report.files import write_sweep
from tests.evidences import drawn_evidence, evidenced_run
from tests.result_documents import sweep_document


def winners_evidence() -> Evidence:
    """Give evidence with a map of every image that galleries show."""
    evidence = drawn_evidence(200)
    test, seed = evidence.predictions["test"], sweep_document().job["recipe"]["seed"]
    indices = shown(galleries(test, seed))
    heat = np.random.default_rng(0).random((len(indices), 4, 4)).astype(np.float32)
    maps = ActivationMaps(heat, indices, test.predicted[indices], "features", "cam")
    return dataclasses.replace(evidence, maps=maps)


@pytest.fixture(scope="module")
def sweep() -> TuneDocument:
    """Give a sweep whose winner's evaluation is that of its predictions."""
    run = evidenced_run(winners_evidence())
    return sweep_document(test=run.test, data=run.data)


def test_a_sweeps_page_shows_its_winners_images(sweep: TuneDocument, tmp_path: Path) -> None:
    written = write_sweep(sweep, tmp_path, winners_evidence())
    page = written["index.html"].read_text("utf-8")
    for name in ("correct.png", "wrong_cam.png", "confident.png", "calibration.png"):
        assert name in written
    assert "<h2>Galleries</h2>" in page and "confusion-sheet" in page
    assert "of layer features" in page


def test_a_winner_without_evidence_has_the_figures_of_its_numbers(sweep: TuneDocument) -> None:
    assert set(winner_pictures(sweep, Evidence())) == {"confusion", "calibration"}
    assert winner_pictures(sweep.model_copy(update={"test": None}), Evidence()) == {}


def test_the_confusion_matrix_is_told_in_words_and_small(sweep: TuneDocument) -> None:
    picture = winner_pictures(sweep, Evidence())["confusion"]
    assert sweep.test is not None
    most = sweep.test.confused[0]
    assert f"{most.true} taken for {most.predicted}: {most.images} images" in picture.alt
    assert len(picture.data) < 100_000
    with Image.open(io.BytesIO(picture.data)) as drawn:
        assert drawn.width > drawn.height > 500
