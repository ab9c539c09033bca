"""A range test raises the rate until training diverges, and says where it learned fastest."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from cifar_dist import lr_range as module
from cifar_dist.config import Job
from cifar_dist.documents import LrRangeDocument
from cifar_dist.learner import Learner
from cifar_dist.lr_range import find_lr
from cifar_dist.report.lr_range import lr_range_text, save_lr_range
from tests.tiny import make_job

STEPS = 60
# Level, falling fastest at the seventh of ten rates, lowest at the eighth, then above the start.
CURVE = [2.3, 2.3, 2.3, 2.2, 2.0, 1.6, 1.0, 0.9, 1.2, 2.6]
RATES = [10.0 ** (n - 6) for n in range(10)]


@pytest.fixture(autouse=True)
def _one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "owned_cpus", lambda: 1)


@pytest.fixture(scope="module")
def found(dataset_cache: Path) -> LrRangeDocument:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "owned_cpus", lambda: 1)
        return find_lr(make_job(recipe__warmup_epochs=1, recipe__averaging={"name": "ema"}), STEPS)


def test_rates_rise_by_one_ratio_from_the_lowest(found: LrRangeDocument) -> None:
    rates = [row.lr for row in found.rows]
    assert rates[0] == 1e-6
    ratios = {round(after / before, 9) for before, after in itertools.pairwise(rates)}
    assert ratios == {round(1e7 ** (1 / (STEPS - 1)), 9)}


def test_a_real_training_diverges_above_its_suggestion(found: LrRangeDocument) -> None:
    assert found.divergence_lr is not None
    assert 1e-3 < found.suggested_lr <= found.divergence_lr / 10
    assert found.suggested_lr <= found.steepest_lr
    assert all(math.isfinite(row.loss) for row in found.rows)


def test_a_document_says_what_it_comes_from(found: LrRangeDocument) -> None:
    assert found.data.source == "synthetic"
    assert found.job["recipe"]["model"]["name"] == "lenet5"
    assert (found.precision, found.device, found.parameters) == ("fp32", "cpu", 62_006)
    assert LrRangeDocument.model_validate_json(found.model_dump_json(by_alias=True)) == found


def test_a_figure_and_a_text_name_the_suggestion_and_the_data(
    found: LrRangeDocument, tmp_path: Path
) -> None:
    save_lr_range(found, tmp_path / "lr.png")
    assert (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")
    text = lr_range_text(found)
    for part in (f"{found.suggested_lr:.2g}", "lenet5", "sgd", "synthetic", "seed 0"):
        assert part in text


def test_all_groups_rise_together(monkeypatch: pytest.MonkeyPatch, dataset_cache: Path) -> None:
    seen, advance = [], Learner.advance

    def noted(learner: Learner, batch: torch.Tensor) -> None:
        advance(learner, batch)
        seen.append([group["lr"] for group in learner.optimizer.param_groups])

    monkeypatch.setattr(Learner, "advance", noted)
    job = make_job(recipe__optimizer={"name": "muon", "lr": 0.2, "sgd_lr": 0.1})
    rows = find_lr(job, 4).rows
    assert [first for first, _ in seen] == pytest.approx([row.lr for row in rows])
    assert all(first == pytest.approx(2 * second) for first, second in seen)


def test_a_loss_that_is_not_finite_ends_the_test(
    monkeypatch: pytest.MonkeyPatch, tiny_job: Job
) -> None:
    advance = Learner.advance

    def broken(learner: Learner, batch: torch.Tensor) -> None:
        advance(learner, batch)
        if learner.step == 5:
            learner.tally[0] = math.nan

    monkeypatch.setattr(Learner, "advance", broken)
    document = find_lr(tiny_job, 10)
    assert len(document.rows) == 4
    assert document.divergence_lr == pytest.approx(1e-6 * 1e7 ** (4 / 9))


def test_the_steepest_descent_lies_before_the_lowest_loss() -> None:
    assert module._steepest(CURVE) in {4, 5}
    assert module._steepest([1.0, 2.0, 3.0]) == 0


def test_divergence_is_where_the_loss_is_above_its_start_again() -> None:
    assert module._divergence(RATES, CURVE) == RATES[9]
    assert module._divergence(RATES, CURVE[:9]) == RATES[9]
    assert module._divergence(RATES, [*CURVE[:9], 1.3]) is None
