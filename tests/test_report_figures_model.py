"""The figures of a model say what its tables say, for every architecture of the zoo."""

import re

import pytest

from cifar_dist.documents import ModelDocument
from cifar_dist.models import MODELS
from cifar_dist.models.tables import describe
from cifar_dist.report.evidence import Evidence
from cifar_dist.report.figures import run_pictures
from cifar_dist.report.figures.drawing import style
from cifar_dist.report.figures.model import (
    activation_memory,
    brief,
    layers,
    model_pictures,
    receptive_field,
)
from cifar_dist.report.page import run_page
from tests.result_documents import run_document


@pytest.fixture(scope="module", params=MODELS.names)
def model(request: pytest.FixtureRequest) -> ModelDocument:
    return describe(request.param, {})


@pytest.fixture(scope="module")
def small() -> ModelDocument:
    return describe("lenet5", {})


def test_the_receptive_field_grows_as_the_table_says_with_the_image_marked(
    model: ModelDocument,
) -> None:
    with style():
        (axes,) = receptive_field(model.receptive_field).axes
    growth = next(iter(axes.lines))
    assert list(growth.get_ydata()) == [row.field for row in model.receptive_field]
    assert axes.texts[0].get_text() == str(model.receptive_field[-1].field)
    assert any(list(line.get_ydata()) == [32, 32] for line in axes.lines)


def test_the_bars_add_up_to_the_model(model: ModelDocument) -> None:
    with style():
        left, right = layers([row for row in model.layers if row.parameters]).axes
    assert sum(bar.get_width() for bar in left.patches) == model.parameters
    assert sum(bar.get_width() for bar in right.patches) == model.multiply_accumulates


def test_the_memory_of_every_layer_is_shown_and_adds_up_to_the_footer(
    model: ModelDocument,
) -> None:
    with style():
        (axes,) = activation_memory(model.layers).axes
    assert len(axes.patches) == len(model.layers)
    kilobytes = sum(bar.get_height() for bar in axes.patches)
    assert 2 * kilobytes * 1e3 / 2**20 == pytest.approx(model.megabytes["activations"])


def test_descriptions_carry_the_numbers(small: ModelDocument) -> None:
    with style():
        field, layer, memory = model_pictures(small)
    assert "5 pixels after Conv2d-1, 16 after MaxPool2d-6, less than" in field.alt
    assert "the 5 layers with parameters; Conv2d-1 works most, 353 k of 652 k" in layer.alt
    assert "Conv2d-1 has the largest, 18.8 kB" in memory.alt


def test_the_page_has_the_layer_table_its_totals_and_the_receptive_field_sheet(
    small: ModelDocument,
) -> None:
    evidence = Evidence(model=small)
    page = run_page(run_document(), evidence, run_pictures(run_document(), evidence))
    text = re.sub(r"<[^>]+>", " ", page)
    assert re.search(r"1\s+Conv2d\s+6×28×28\s+456\s+352,800\s+18,816", text)
    assert re.search(r"Total params\s+62,006", text)
    assert re.search(r"MaxPool2d-6\s+2\s+2\s+0\s+1\s+10\s+5\s+4\s+16", text)
    assert 'id="model"' not in run_page(run_document())


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "0"), (999, "999"), (1_000, "1 k"), (9_216, "9.22 k"), (999_900, "1 M"), (3.4e7, "34 M")],
)
def test_a_count_is_written_to_three_figures(number: float, written: str) -> None:
    assert brief(number) == written
