"""Text tables and the contact sheet: aligned, safe for a terminal, one row per class."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_dist.documents import (
    ArtifactRow,
    ArtifactsDocument,
    DataDocument,
    FieldRow,
    LayerRow,
    ModelDocument,
    ModelsDocument,
    Split,
    SplitStatistics,
)
from cifar_dist.report import formats, tables
from cifar_dist.report.contact_sheet import contact_sheet
from tests.result_documents import CLASSES, evaluated, facts, record, sweep_document, trial

MODEL = ModelDocument(
    name="tiny",
    description="two layers",
    parameters=1_738,
    multiply_accumulates=1_769_472,
    options={},
    layers=[
        LayerRow(index=1, type="Conv2d", output_shape=[64, 32, 32], parameters=1_728,
                 multiply_accumulates=1_769_472),
        LayerRow(index=2, type="Linear", output_shape=[10], parameters=10,
                 multiply_accumulates=0),
    ],
    receptive_field=[
        FieldRow(layer="Conv2d-1", kernel=3, stride=1, padding=1, dilation=2, size=32, jump=1,
                 field=5)
    ],
    megabytes={"input": 0.01, "activations": 16.0, "parameters": 42.63, "total": 58.64},
)  # fmt: skip


def statistics(split: Split) -> SplitStatistics:
    channel = [0.25, 0.5, 0.75]
    return SplitStatistics(
        split=split,
        images=10_000,
        shape=[3, 32, 32],
        min=[0.0] * 3,
        max=[1.0] * 3,
        mean=channel,
        std=channel,
        variance=channel,
        class_counts=dict.fromkeys(CLASSES, 1_000),
    )


def test_an_epoch_is_one_line_that_fits_a_terminal() -> None:
    line = tables.epoch_line(record(3), epochs=100, best=3)
    assert line.startswith("epoch   3/100  train 1.0000 53.00 %  val 1.2500 51.00 %")
    assert line.endswith("18,000 images/s  best")
    assert len(line) <= 100
    assert "val " not in tables.epoch_line(record(3, validated=False), epochs=100, best=1)


def test_an_evaluation_table_ends_in_the_macro_row() -> None:
    lines = tables.evaluation_table(evaluated()).splitlines()
    assert lines[-3].split()[:5] == ["macro", "23", "7", "53", "7"]
    assert max(map(len, lines)) <= 100


def test_a_trials_table_marks_the_winner_and_explains_failures() -> None:
    text = tables.trials_table(sweep_document())
    assert "\n0 *    finished       4     4" in text
    assert "lr=0.1" in text
    assert text.endswith("trial 2 failed: reason of trial 2")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"),
        (True, "true"),
        (0.123456, "0.1235"),
        ([], "[]"),
        ([32, 64, 80], "[32, 64, 80]"),
        ({"name": "none"}, "none"),
        ({"name": "sgd", "lr": 0.098765, "nesterov": False}, "sgd(lr=0.09877, nesterov=false)"),
        ([{"name": "flip"}, {"name": "cutout", "size": 8}], "flip + cutout(size=8)"),
        ({"name": "speednet", "widths": [8, 8, 8]}, "speednet(widths=[8, 8, 8])"),
    ],
)
def test_a_setting_is_written_briefly(value: object, written: str) -> None:
    assert formats.setting(value) == written


def test_many_settings_go_on_in_rows_below_their_trial() -> None:
    parameters = {f"recipe.setting{number}": {"name": "x" * 30} for number in range(9)}
    trials = [trial(0, "finished", 1, parameters={}), trial(1, "pruned", 1, parameters=parameters)]
    rows = tables.trials_table(sweep_document(trials=trials)).splitlines()[2:]
    assert rows[0].endswith("the base job")
    assert (rows[1].split()[0], len(rows)) == ("1", 6)
    assert {row.index("setting") for row in rows[1:]} == {rows[0].index("the base job")}
    assert max(map(len, rows)) <= 150


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["recipe.optimizer.name", "recipe.optimizer.lr"], ["optimizer", "lr"]),
        (["recipe.model.width", "recipe.head.width"], ["model.width", "head.width"]),
        (["recipe.augmentation.0.name"], ["augmentation.0.name"]),
    ],
)
def test_settings_get_their_shortest_clear_name(paths: list[str], names: list[str]) -> None:
    document = sweep_document(trials=[trial(0, "finished", 1, parameters=dict.fromkeys(paths, 1))])
    assert list(tables.setting_names(document).values()) == names


def test_a_layer_table_has_torchsummary_rows_and_footer() -> None:
    text = tables.layer_table(MODEL)
    assert "            Conv2d-1          [-1, 64, 32, 32]           1,728" in text
    assert "Total params: 1,738" in text
    assert "Forward/backward pass size (MB): 16.00" in text
    assert "Estimated total size (MB): 58.64" in text


def test_a_receptive_field_table_shows_how_far_each_layer_sees() -> None:
    row = tables.receptive_field_table(MODEL).splitlines()[-1]
    assert row.split() == ["Conv2d-1", "3", "1", "1", "2", "32", "1", "5"]


def test_a_models_table_has_a_row_per_model() -> None:
    row = tables.models_table(ModelsDocument(models=[MODEL])).splitlines()[-1]
    assert row == "tiny   two layers       1,738    1.8"


def test_a_statistics_table_has_every_channel_of_every_split_and_the_class_counts() -> None:
    splits = [statistics("train"), statistics("test")]
    text = tables.statistics_table(DataDocument(data=facts(), splits=splits, cache="cache"))
    assert text.count("10,000  3×32×32") == 6
    assert "cat    1,000  1,000" in text
    assert max(map(len, text.splitlines())) <= 100


def test_an_artifacts_table_sums_up_and_cannot_steer_a_terminal() -> None:
    row = ArtifactRow(key="runs/\x1b[2Ja", bytes=1_500, sha256="a" * 64, verdict="intact")
    text = tables.artifacts_table(ArtifactsDocument(store="s", artifacts=[row, row]))
    assert "\x1b" not in text
    assert text.endswith("2 objects, 3.0 kB")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.duration(0.1234), "0.123 s"),
        (formats.duration(61.6), "1 min 02 s"),
        (formats.duration(3_599.6), "1 h 00 min"),
        (formats.size(999), "999 B"),
        (formats.size(1_000), "1.0 kB"),
        (formats.size(1_500_000), "1.5 MB"),
        (formats.size(5 * 10**16), "50000.0 TB"),
        (formats.percent(None), "–"),
        (formats.isolated("a\u2069\u202eb\u2067"), "\u2068a\u202eb\u2069"),
        (formats.counted(1, "trial"), "1 trial"),
    ],
)
def test_values_are_written_in_the_unit_that_fits(written: str, expected: str) -> None:
    assert written == expected


@pytest.mark.parametrize("order", ["channels first", "channels last"])
def test_a_contact_sheet_has_a_row_per_class(order: str, tmp_path: Path) -> None:
    pixels = np.zeros((3, 3, 32, 32), np.uint8)
    pixels[:, 0] = 255
    if order == "channels last":
        pixels = pixels.transpose(0, 2, 3, 1)
    contact_sheet(pixels, [0, 1, 1], ["cat", "飛 $x$"], tmp_path / "sheet")
    with Image.open(tmp_path / "sheet") as picture:
        colors = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    red = (colors == (255, 0, 0)).all(1).sum()
    assert red == 3 * 64 * 64
