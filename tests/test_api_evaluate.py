"""Known weights are evaluated on what was asked for, and never on what would mislead."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_dist.api.evaluate import Asked, Evaluator, opened
from cifar_dist.api.origin import origin
from cifar_dist.api.views import Averaged
from cifar_dist.config import Job
from cifar_dist.data import Dataset, normalize
from cifar_dist.dataset.arrays import CLASSES
from cifar_dist.errors import ConfigError, DataError
from cifar_dist.evidence import Predictions
from cifar_dist.outcome import start_run
from cifar_dist.report.evaluation_text import evaluate_text
from cifar_dist.scoring import kept
from cifar_dist.session import Result, train_session
from cifar_dist.store import open_store
from cifar_dist.sweep import score_winner
from cifar_dist.world import World
from tests.commands import Program, document
from tests.tiny import make_job, make_learner, pictures
from tests.trees import TREE, write_tree
from tests.watchers import Watcher


class Trained:
    """A tiny run that was trained for an epoch and not reported yet."""

    def __init__(self, job: Job, dataset: Dataset) -> None:
        self.job, self.store = job, job.store
        store = open_store(job.store)
        self.run = start_run(store, job, dataset.facts(), again=False, resume=False)
        self.name = self.run.prefix.rpartition("/")[2]
        self.result: Result = train_session(job, self.run, World(), Watcher(None))

    def evaluator(self, **asked: object) -> Evaluator:
        """Evaluate it as asked."""
        return Evaluator(self.name, self.store, Asked(**asked))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_data: Dataset) -> Trained:
    store = str(tmp_path_factory.mktemp("evaluated") / "store")
    return Trained(make_job(store=store, recipe__epochs=1, recipe__batch_size=300), tiny_data)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("tree"), TREE)


def test_the_validation_split_comes_by_itself_and_agrees_with_the_run(trained: Trained) -> None:
    evaluator = trained.evaluator()
    found = evaluator()
    assert (found.score.split, evaluator.reads_test_again) == ("validation", False)
    expected = trained.result.validation
    assert expected is not None
    assert found.confusion_matrix == expected.confusion_matrix
    assert found.score == expected.score
    assert found.calibration == expected.calibration
    assert (found.accuracy, found.loss) == (found.score.accuracy, found.score.loss)


def test_the_test_split_is_read_again_when_asked_for(trained: Trained) -> None:
    evaluator = trained.evaluator(split="test")
    found = evaluator()
    assert evaluator.reads_test_again
    assert trained.result.test is not None
    assert found.score == trained.result.test.score
    assert found.calibration == trained.result.test.calibration
    assert found.data.sha256 == found.trained_on


def test_views_are_told_beside_the_plain_result(trained: Trained) -> None:
    plain, flipped = trained.evaluator()(), trained.evaluator(views="flip")()
    assert flipped.score == plain.score
    assert list(flipped.augmented) == ["flip"]
    assert flipped.augmented["flip"].images == plain.score.images
    assert flipped.augmented["flip"].loss != plain.loss
    assert "mirror image" in evaluate_text(flipped)


def test_other_images_are_tested_and_no_temperature_is_fitted_on_them(
    trained: Trained, tree: Path
) -> None:
    evaluator = trained.evaluator(data=str(tree))
    found = evaluator()
    assert (found.score.split, found.score.images) == ("test", 10)
    assert not evaluator.reads_test_again
    assert found.data.sha256 != found.trained_on == trained.run.document["data"]["sha256"]
    assert found.calibration is not None
    assert found.calibration.temperature is None
    assert "other images" in evaluate_text(found)


def test_other_images_have_no_validation_split(trained: Trained, tree: Path) -> None:
    with pytest.raises(ConfigError, match="--split validation belongs to the images"):
        trained.evaluator(data=str(tree), split="validation")


def test_weights_whose_images_are_not_here_ask_for_others(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the images of speednet: .*; or name others with --data"):
        Evaluator("speednet", str(tmp_path), Asked())


def test_a_stored_endpoint_that_is_not_taken_any_more_is_left_to_the_environment(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = origin(trained.name, trained.store)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert opened(replace(found, s3={"endpoint": "http://minio.corp.example:9000"})).classes
    refused = replace(found, s3={"endpoint": "http://169.254.169.254"})
    with pytest.raises(ConfigError, match="set AWS_ENDPOINT_URL"):
        opened(refused)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://s3.corp.example")
    assert opened(refused).classes


def test_other_classes_are_refused(trained: Trained, tmp_path: Path) -> None:
    first, renamed = f"/{CLASSES[0]}/", "/aardvark/"
    files = {path.replace(first, renamed): content for path, content in TREE.items()}
    with pytest.raises(DataError, match=r"has the class 'aardvark' where .* knows 'airplane'"):
        trained.evaluator(data=str(write_tree(tmp_path / "tree", files)))


def test_a_run_without_validation_has_none_to_evaluate(tmp_path: Path, tiny_data: Dataset) -> None:
    job = make_job(store=str(tmp_path / "store"), recipe__epochs=1, recipe__validation_fraction=0)
    run = Trained(job, tiny_data)
    with pytest.raises(ConfigError, match=r"there is no validation split; .* --split test"):
        run.evaluator()
    assert run.evaluator(split="test")().score.images == 500


@pytest.mark.parametrize(("views", "count"), [("flip", 2), ("multi_crop", 10)])
def test_views_are_averaged_as_probabilities(views: str, count: int) -> None:
    model, images = make_learner().model.eval(), pictures(4)
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        found = Averaged(model, views)(normalize(images.pixels))  # type: ignore[arg-type]
        shares = [model(view).double().softmax(1) for view in list(seen)]
    assert len(shares) == count
    assert all(view.shape == (4, 3, 32, 32) for view in seen)
    assert torch.allclose(found.exp(), torch.stack(shares).mean(0))
    assert len({view.numpy().tobytes() for view in seen}) == count


def test_a_symmetric_image_gains_nothing_from_its_mirror_image() -> None:
    model, images = make_learner().model.eval(), normalize(pictures(4).pixels)
    even = images + images.flip(-1)
    with torch.no_grad():
        found = Averaged(model, "flip")(even)
        expected = model(even).double().log_softmax(1)
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_command_prints_one_document(trained: Trained, program: Program) -> None:
    ended = program("evaluate", trained.name, "--store", trained.store, "--json")
    found = document("evaluate", ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert found["schema"] == "cifar-dist/evaluate/1"
    for name in ("accuracy", "loss", "per_class", "macro", "confusion_matrix", "calibration"):
        assert found[name] is not None
    assert found["seed"] == 0


def test_the_command_says_that_it_reads_the_test_split_again(
    trained: Trained, program: Program
) -> None:
    ended = program("evaluate", trained.name, "--store", trained.store, "--split", "test")
    assert ended.code == 0
    assert ended.err.startswith("this reads the test split again")
    assert len(ended.err.splitlines()) == 1
    for words in ("10-class accuracy", "95 % interval", "top-2", "calibration error", "taken for"):
        assert words in ended.out


def test_a_sweeps_winner_is_scored_and_kept_as_its_run_would_be(
    trained: Trained, tiny_data: Dataset
) -> None:
    before = kept(trained.run)
    validation, test = score_winner(trained.run, trained.job, tiny_data)
    assert (validation, test) == (trained.result.validation, trained.result.test)
    after = kept(trained.run)
    for split, predictions in before.predictions.items():
        assert np.array_equal(after.predictions[split].logits, predictions.logits)


def test_evidence_and_a_later_evaluation_are_one(trained: Trained) -> None:
    test: Predictions = kept(trained.run).predictions["test"]
    found = trained.evaluator(split="test")()
    assert found.score.correct == test.is_correct.sum()
