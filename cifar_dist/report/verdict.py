"""What a result means, in two or three sentences made from its numbers."""

from collections import Counter
from collections.abc import Callable

from cifar_dist.documents import (
    Evaluation,
    Overfitting,
    Score,
    TrainDocument,
    TrialRow,
    TuneDocument,
)
from cifar_dist.report.attempts import resumptions
from cifar_dist.report.columns import printable
from cifar_dist.report.confirmation import confirmed_sentences
from cifar_dist.report.evaluation import interval, most_confused, noise
from cifar_dist.report.formats import counted, decimal, percent, points, thousands
from cifar_dist.report.savings import savings

Named = Callable[[str], str]
_UNSETTLED = (
    "Warning: the first and the second cannot be told apart by one seed and one validation split; "
    "to train both again with other seeds, add --confirm 2 --seeds 5 to the sweep's command."
)


def run_verdict(document: TrainDocument, named: Named = printable) -> list[str]:
    """Say how good the model is, which weights are kept and what is hardest for it.

    `named` writes what comes from outside: by itself as a terminal may show it.
    """
    sentences = [_reached(document, named), *resumptions(document.attempts)]
    if document.state != "finished":
        asked = document.job.get("recipe", {}).get("epochs", len(document.history))
        sentences.insert(
            0,
            f"The run {'was interrupted' if document.state == 'interrupted' else 'failed'} "
            f"after {len(document.history)} of {counted(asked, 'epoch')}.",
        )
    diverged = [record.epoch for record in document.history if record.train_loss is None]
    if diverged:
        sentences.append(f"The training loss stopped being finite in epoch {diverged[0]}.")
    if document.history:
        sentences.append(_kept(document))
    return sentences + (_hardest(document.test, named) if document.test else [])


def sweep_verdict(document: TuneDocument, named: Named = printable) -> list[str]:
    """Say who won and by how much, what pruning saved and how sure the order is.

    `named` writes what comes from outside: by itself as a terminal may show it.
    """
    total = len(document.trials)
    winner = next((trial for trial in document.trials if trial.trial == document.best), None)
    if winner is None:
        reasons = Counter(trial.reason or "no reason given" for trial in document.trials)
        reason, times = reasons.most_common(1)[0]
        return [
            f"No winner: {document.failed} of {counted(total, 'trial')} failed.",
            f"The most frequent reason ({counted(times, 'trial')}): {named(reason)}.",
        ]
    sentences = [
        f"Trial {winner.trial} won among {counted(total, 'trial')} with a validation accuracy of "
        f"{percent(winner.validation_accuracy)}{_tested(document)}."
    ]
    cost = document.cost
    if not document.space.get("asha"):
        sentences.append(
            f"Nothing was pruned, {document.failed} failed: "
            f"{counted(cost.epochs_run, 'epoch')} were run."
        )
    elif cost.epochs_without_pruning:
        saved = 1 - cost.epochs_run / cost.epochs_without_pruning
        again = cost.epochs_replaced
        short = f", {thousands(again)} of them in trainings that a longer one replaced"
        sentences.append(
            f"ASHA pruned {counted(document.pruned, 'trial')}, {document.failed} failed: "
            f"{thousands(cost.epochs_run)} of {thousands(cost.epochs_without_pruning)} epochs "
            f"were run{short if again else ''}, {percent(saved, 0)} saved, and "
            f"{percent(savings(document).share, 0)} of the training time."
        )
    if document.ended_by:
        sentences.append(
            f"Not everything was tried, as {named(document.ended_by)}; "
            f"`cifar-dist resume {document.sweep} --max-hours N` goes on."
        )
    return [*sentences, *_lead(document, winner), *confirmed_sentences(document)]


def described(score: Score) -> str:
    """Write an accuracy with what it was measured on and its 95 % interval."""
    low, high = interval(score.correct, score.images)
    return (
        f"{percent(score.accuracy)} of the {thousands(score.images)} {score.split} images "
        f"(95 % interval {100 * low:.1f}–{percent(high, 1)})"
    )


def ranked(document: TuneDocument) -> list[TrialRow]:
    """Sort trials by score: the winner first, those without a score last."""

    def order(trial: TrialRow) -> tuple[bool, float, int]:
        accuracy = trial.validation_accuracy
        return trial.trial != document.best, 1.0 if accuracy is None else -accuracy, trial.trial

    return sorted(document.trials, key=order)


def _reached(document: TrainDocument, named: Named) -> str:
    model = document.job.get("recipe", {}).get("model", {}).get("name", "The model")
    name = (
        f"{named(model)} ({thousands(document.parameters)} parameters), trained on "
        f"{counted(document.data.train_images, 'image')} of {named(document.data.source)},"
    )
    if document.test:
        return f"{name} classifies {described(document.test.score)} correctly."
    if document.validation:
        text = described(document.validation)
        return f"{name} classifies {text} correctly; the test split was not evaluated."
    return f"{name} was evaluated on neither the validation nor the test split."


def _kept(document: TrainDocument) -> str:
    best = next((r for r in document.history if r.epoch == document.best_epoch), None)
    if best is None or best.validation_accuracy is None:
        return f"The weights of epoch {document.best_epoch} are kept; no validation split chose it."
    text = (
        f"The weights of epoch {best.epoch} are kept, which has the lowest validation loss "
        f"({decimal(best.validation_loss)})"
    )
    gap = best.train_accuracy - best.validation_accuracy
    side = "above" if gap >= 0 else "below"
    judged = _judged(document.overfitting) if document.overfitting else ""
    return f"{text}; training accuracy lies {points(abs(gap))} {side} validation{judged}."


def _judged(found: Overfitting) -> str:
    gap = f"{points(abs(found.final_gap))} {'above' if found.final_gap >= 0 else 'below'} it"
    return {
        "kept": ", a sign of over-fitting",
        "later": f"; training went on to over-fit and ended {gap}",
        "none": ", no sign of over-fitting",
    }[found.verdict]


def _hardest(test: Evaluation, named: Named) -> list[str]:
    if not test.per_class:
        return []
    index = min(range(len(test.per_class)), key=lambda i: test.per_class[i].recall)
    row, other = test.per_class[index], most_confused(test, index)
    taken = ""
    if other:
        taken = f", most often taken for {named(other[0])} ({counted(other[1], 'image')})"
    return [
        f"The hardest class is {named(row.name)}: {percent(row.recall, 1)} recognized{taken}"
        f"{_most_frequent(test, row.name, named)}."
    ]


def _most_frequent(test: Evaluation, hardest: str, named: Named) -> str:
    if not test.confused or test.confused[0].true == hardest:
        return ""
    pair = test.confused[0]
    images = counted(pair.images, "image")
    true, predicted = named(pair.true), named(pair.predicted)
    return f"; the most frequent mistake is {true} taken for {predicted} ({images})"


def _tested(document: TuneDocument) -> str:
    if document.test is None:
        return "; the test split was not evaluated"
    return f"; its model classifies {described(document.test.score)} correctly"


def _lead(document: TuneDocument, winner: TrialRow) -> list[str]:
    rivals = [trial for trial in ranked(document) if trial is not winner]
    images, first = document.data.validation_images, winner.validation_accuracy
    second = rivals[0].validation_accuracy if rivals else None
    if not images or first is None or second is None:
        return []
    width = noise(first, second, images)
    is_inside = first - second <= width
    sentence = (
        f"Its lead over trial {rivals[0].trial} is {points(first - second)}, "
        f"{'inside' if is_inside else 'outside'} the noise of {thousands(images)} validation "
        f"images (± {points(width)})"
    )
    if document.confirmed is not None:
        return [f"{sentence}."]
    if is_inside:
        return [f"{sentence}.", _UNSETTLED]
    return [f"{sentence}; what other seeds would add to it was not measured."]
