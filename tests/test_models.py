"""Every architecture keeps the promises of the zoo, and each family its published figures."""

from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18

from cifar_dist.documents import FieldRow, LayerRow, ModelDocument
from cifar_dist.errors import ConfigError
from cifar_dist.models import MODELS, SupportsWhitening
from cifar_dist.models.tables import describe, layer_table

PARAMETERS = {
    "dilated_dsc": 193_535,
    "dsc_net": 154_544,
    "lenet5": 62_006,
    "regularized_cnn": 545_290,
    "resnet18_cam": 11_173_962,
    "resnet18_imagenet": 11_181_642,
    "simple_cnn": 545_098,
    "speednet": 176_920,
}
WITH_DROPOUT = [name for name in MODELS.names if "dropout" in MODELS.resolved({"name": name})]
every_model = pytest.mark.parametrize("name", MODELS.names)
every_dropout = pytest.mark.parametrize("name", WITH_DROPOUT)


def seeded(name: str, **options: Any) -> nn.Module:
    torch.manual_seed(5)
    return MODELS.build({"name": name, **options})


def images(count: int) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(7))


def dropout_rates(model: nn.Module) -> set[float]:
    return {module.p for module in model.modules() if isinstance(module, nn.Dropout)}


def rows_of(document: ModelDocument) -> dict[int, tuple[str, list[int], int]]:
    return {row.index: (row.type, row.output_shape, row.parameters) for row in document.layers}


def footer(document: ModelDocument) -> list[float]:
    return [round(value, 2) for value in document.megabytes.values()]


def test_every_model_has_its_parameter_count_recorded() -> None:
    assert {name: describe(name, {}).parameters for name in MODELS.names} == PARAMETERS


@every_model
def test_a_model_gives_ten_logits_for_each_image_without_memory(name: str) -> None:
    with torch.device("meta"):
        logits = MODELS.build({"name": name})(torch.empty(2, 3, 32, 32))
    assert logits.shape == (2, 10)


@every_model
def test_gradients_reach_every_trainable_parameter(name: str) -> None:
    model = seeded(name)
    F.cross_entropy(model(images(4)), torch.arange(4)).backward()
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in trainable)


@every_model
def test_a_loaded_state_predicts_as_the_saved_model_did(name: str) -> None:
    saved, loaded = seeded(name).eval(), MODELS.build({"name": name}).eval()
    loaded.load_state_dict(load(save(saved.state_dict())))
    assert torch.equal(loaded(images(2)), saved(images(2)))


@every_model
def test_a_seed_fixes_the_initial_weights(name: str) -> None:
    first, second = seeded(name).state_dict(), seeded(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@every_model
def test_a_model_describes_itself_in_one_line_and_full_tables(name: str) -> None:
    document = describe(name, {})
    assert document.description.endswith(".")
    assert sum(row.parameters for row in document.layers) == document.parameters
    assert all(row.field > 0 for row in document.receptive_field)


@every_dropout
def test_the_dropout_option_sets_every_rate(name: str) -> None:
    assert dropout_rates(seeded(name, dropout=0.37)) == {0.37}


@every_dropout
def test_no_dropout_option_keeps_the_rate_that_the_description_names(name: str) -> None:
    (rate,) = dropout_rates(seeded(name))
    assert f"dropout {rate}" in MODELS.describe(name)


@every_dropout
def test_a_dropout_of_one_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="dropout"):
        seeded(name, dropout=1.0)


@pytest.mark.parametrize("name", ["lenet5", "simple_cnn"])
def test_an_empty_shard_takes_part_in_a_step(name: str) -> None:
    model = seeded(name)
    model(images(0)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@every_model
def test_a_model_trains_in_bfloat16_and_channels_last(name: str) -> None:
    model = seeded(name).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images(4).to(memory_format=torch.channels_last))
    F.cross_entropy(logits.float(), torch.arange(4)).backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_resnet18_cam_has_its_published_layer_table() -> None:
    document = describe("resnet18_cam", {})
    rows = rows_of(document)
    assert len(rows) == 69
    assert rows[1] == ("Conv2d", [64, 32, 32], 1_728)
    assert rows[19] == ("Conv2d", [128, 16, 16], 73_728)
    assert rows[25] == ("Conv2d", [128, 16, 16], 8_192)
    assert rows[57] == ("Conv2d", [512, 4, 4], 131_072)
    assert [rows[index][0] for index in (67, 68, 69)] == ["Conv2d", "AvgPool2d", "Flatten"]
    assert rows[67][1:] == ([10, 4, 4], 5_130)
    assert rows[69][1] == [10]
    assert footer(document) == [0.01, 16.00, 42.63, 58.64]


def test_the_row_of_a_block_follows_its_layers() -> None:
    rows = rows_of(describe("resnet18_cam", {}))
    blocks = [index for index, row in rows.items() if row[0] == "BasicBlock"]
    assert blocks == [11, 18, 27, 34, 43, 50, 59, 66]
    assert all(rows[index][2] == 0 for index in blocks)


def test_dilated_dsc_has_its_published_layer_table() -> None:
    document = describe("dilated_dsc", {})
    assert len(document.layers) == 71
    convolutions = [row.parameters for row in document.layers if row.type == "Conv2d"]
    assert convolutions == [
        *(27, 96, 9_216, 9_216, 9_216),
        *(288, 1_280, 14_400, 14_400, 14_400),
        *(360, 1_760, 17_424, 17_424, 17_424),
        *(396, 2_112, 20_736, 20_736, 20_736),
        480,
    ]
    unit = [row.type for row in document.layers[1:5]]
    assert unit == ["Conv2d", "ReLU", "BatchNorm2d", "Dropout"]
    assert footer(document)[1:] == [4.75, 0.74, 5.50]


def test_dsc_net_has_its_published_layer_table() -> None:
    rows = rows_of(describe("dsc_net", {}))
    assert len(rows) == 46
    assert [rows[index] for index in (29, 35, 41)] == [
        ("SeparableBlock", [128, 6, 6], 0),
        ("SeparableBlock", [128, 4, 4], 0),
        ("SeparableBlock", [128, 1, 1], 0),
    ]
    assert [rows[index][2] for index in (24, 30, 36, 46)] == [864, 1_152, 1_152, 1_280]
    assert [rows[index + 1][0] for index in (24, 30, 36)] == ["Conv2d"] * 3
    assert "Dropout" not in {rows[index][0] for index in (17, 18, 19, 42, 43, 44)}


def test_resnet18_imagenet_is_torchvisions_weight_for_weight() -> None:
    torch.manual_seed(5)
    reference = resnet18(weights=None, num_classes=10)
    model = seeded("resnet18_imagenet")
    expected = reference.state_dict()
    assert list(model.state_dict()) == list(expected)
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    assert torch.equal(model(images(2)), reference(images(2)))


def test_a_layer_counts_its_multiplications_without_biases() -> None:
    first, *_, last = describe("lenet5", {}).layers
    assert first == LayerRow(
        index=1,
        type="Conv2d",
        output_shape=[6, 28, 28],
        parameters=456,
        multiply_accumulates=28 * 28 * 6 * 75,
    )
    assert last.multiply_accumulates == 840


def test_a_table_leaves_the_model_and_the_random_stream_alone() -> None:
    model, state = seeded("regularized_cnn"), torch.get_rng_state()
    layer_table(model)
    assert model.training
    assert next(model.parameters()).device.type == "cpu"
    assert torch.equal(torch.get_rng_state(), state)


def test_the_receptive_field_of_lenet5_grows_as_computed_by_hand() -> None:
    rows = describe("lenet5", {}).receptive_field
    steps = [(row.layer, row.size, row.jump, row.field) for row in rows]
    assert steps == [
        ("Conv2d-1", 28, 1, 5),
        ("MaxPool2d-3", 14, 2, 6),
        ("Conv2d-4", 10, 2, 14),
        ("MaxPool2d-6", 5, 4, 16),
    ]


def test_dilation_widens_the_receptive_field() -> None:
    rows = describe("dilated_dsc", {}).receptive_field
    dilated = [row for row in rows if row.dilation == 2]
    assert [(row.size, row.jump, row.field) for row in dilated] == [
        *((32, 1, 9), (16, 2, 27), (8, 4, 63), (4, 8, 135)),
    ]


@pytest.mark.parametrize(("name", "field"), [("resnet18_cam", 109), ("resnet18_imagenet", 435)])
def test_the_receptive_field_of_a_resnet_leaves_shortcuts_out(name: str, field: int) -> None:
    rows = describe(name, {}).receptive_field
    convolutions = [row for row in rows if row.layer.startswith("Conv2d")]
    assert convolutions[-1].field == field
    assert len([row for row in convolutions if row.kernel > 1]) == 17


def test_pooling_to_one_position_sees_the_whole_map() -> None:
    pool = describe("dilated_dsc", {}).receptive_field[-2]
    assert pool == FieldRow(
        layer="AdaptiveAvgPool2d-69",
        kernel=4,
        stride=4,
        padding=0,
        dilation=1,
        size=1,
        jump=32,
        field=175,
    )


@pytest.mark.parametrize(
    ("widths", "parameters"),
    [((32, 128, 128), 498_104), ((48, 128, 192), 790_520), ((64, 256, 256), 1_972_792)],
)
def test_wider_speednets_have_their_published_sizes(
    widths: tuple[int, int, int], parameters: int
) -> None:
    assert describe("speednet", {"widths": widths}).parameters == parameters


def test_whitening_decorrelates_the_stem_and_mirrors_it() -> None:
    model, pixels = seeded("speednet"), images(64).cumsum(-1) / 4
    assert isinstance(model, SupportsWhitening)
    model.whiten(pixels)
    responses = model.get_submodule("stem")(pixels).transpose(0, 1).flatten(1)
    assert torch.allclose(torch.cov(responses[:12]), torch.eye(12), atol=0.02)
    assert torch.allclose(responses[:12], -responses[12:], atol=1e-5)


def test_whitening_twice_gives_the_same_frozen_stem() -> None:
    first, second = seeded("speednet"), MODELS.build({"name": "speednet"})
    for model in (first, second):
        assert isinstance(model, SupportsWhitening)
        model.whiten(images(16))
    weights = [model.get_parameter("stem.weight") for model in (first, second)]
    assert torch.equal(*weights)
    assert not any(weight.requires_grad for weight in weights)


def test_a_speednet_without_stem_bias_never_changes_its_stem() -> None:
    model = MODELS.build({"name": "speednet", "stem_bias": False})
    assert not any(parameter.requires_grad for parameter in model.stem.parameters())
    assert describe("speednet", {"stem_bias": False}).parameters == PARAMETERS["speednet"]


def test_a_speednet_starts_close_to_the_identity() -> None:
    weight = seeded("speednet").get_parameter("blocks.1.0.weight")
    assert torch.equal(weight[:24, :, 1, 1], torch.eye(24))
    assert weight[24:].abs().max() < 0.5
