"""A report says how often a run was resumed, on how many workers, and what storage took."""

from typing import Any

import pytest

from cifar_dist.documents import AttemptRecord, StorageCost, TrainDocument
from cifar_dist.report.attempts import resumptions
from cifar_dist.report.page import run_page
from cifar_dist.report.results import run_results
from cifar_dist.report.verdict import run_verdict
from tests.result_documents import run_document

CHANGED = (
    "The run was resumed at step 120 with 1 worker after 2: same batches and images, not bit for "
    "bit."
)
COST = StorageCost(committed=1234, superseded=2, sent_bytes=5_000_000, waited_seconds=0.25)


def lives(*facts: tuple[int, int | None]) -> tuple[AttemptRecord, ...]:
    """Give attempts with these workers, resumed at these steps."""
    return tuple(
        AttemptRecord(number=number, workers=workers, resumed_step=step)
        for number, (workers, step) in enumerate(facts, 1)
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], []),
        ([(2, None)], []),
        ([(2, None), (2, None)], ["The run was resumed once, from its beginning."]),
        ([(2, None), (1, 120)], ["The run was resumed once, at step 120.", CHANGED]),
        (
            [(2, None), (1, 120), (1, 1500)],
            ["The run was resumed 2 times, the last one at step 1,500.", CHANGED],
        ),
    ],
)
def test_a_verdict_tells_of_resumptions_and_other_workers(
    facts: list[tuple[int, int | None]], expected: list[str]
) -> None:
    assert resumptions(lives(*facts)) == expected
    sentences = run_verdict(run_document(attempts=lives(*facts)))
    assert sentences[1 : 1 + len(expected)] == expected


def flat(text: str) -> str:
    """Undo line breaks and unbreakable spaces."""
    return " ".join(text.replace("\u00a0", " ").split())


@pytest.mark.parametrize("written", [run_results, run_page])
def test_every_report_tells_of_attempts_and_of_storage(written: Any) -> None:
    text = flat(written(run_document(attempts=lives((2, None), (1, 120)), storage=COST)))
    assert CHANGED in text
    assert "1 from the beginning with 2 workers" in text
    assert "2 from step 120 with 1 worker" in text
    cost = "1,234 checkpoints of 5.0 MB in all, 2 overtaken by newer ones; training waited 0.25 s"
    assert cost in text


@pytest.mark.parametrize("written", [run_results, run_page])
def test_the_time_of_all_attempts_is_no_share_of_the_last_ones(written: Any) -> None:
    resumed = run_document(attempts=lives((2, None), (1, 120)), total_seconds=5.0)
    text = flat(written(resumed))
    assert "of the last attempt" in text
    assert "of the total" not in text and "7.5 s of 5 s" not in text


@pytest.mark.parametrize("written", [run_results, run_page])
def test_a_run_that_was_never_resumed_says_nothing_of_it(written: Any) -> None:
    text = flat(written(run_document(attempts=lives((1, None)))))
    assert "resumed" not in text
    assert "checkpoints of" not in text


def test_a_document_of_before_attempts_were_told_is_still_read() -> None:
    document = run_document().model_dump(mode="json")
    del document["attempts"], document["storage"]
    assert TrainDocument.model_validate(document) == run_document()
