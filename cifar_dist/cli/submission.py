"""What `submit tune` and `submit train` say of a submission."""

from typing import TYPE_CHECKING

from cifar_dist.cli.output import say
from cifar_dist.cli.submitted import NAMESPACE

if TYPE_CHECKING:
    from cifar_dist.documents import SubmissionDocument


def tell_checks(document: "SubmissionDocument") -> None:
    """Print what checks found wrong, a line each."""
    for row in document.checks:
        if row.verdict in ("warning", "failed"):
            remedy = f"; {row.remedy}" if row.remedy else ""
            say(f"{row.verdict:<7}  {row.name}: {row.found}{remedy}")


def manifest_text(document: "SubmissionDocument") -> str:
    """Write the RayJob as YAML."""
    from cifar_dist.config import dump_yaml

    return dump_yaml(document.manifest).rstrip("\n")


def standing(document: "SubmissionDocument") -> str:
    """Say in one line what became of it."""
    name, place = document.name, f"in namespace {document.namespace}"
    if document.namespace is None:
        place = "on the Ray cluster"
    match document.state:
        case "created" | "submitted":
            return f"{name} is submitted {place}"
        case "found":
            stands = f" ({document.outcome})" if document.outcome else ""
            again = "; --fresh runs it again beside it" if document.namespace else ""
            return f"{name} was submitted before {place}{stands}{again}"
        case "ended":
            return f"{name}: {document.outcome}: {document.reason}"
    return f"{name} is not created: see the failed checks"


def summary(document: "SubmissionDocument", where: str | None = None) -> str:
    """Say what became of it and which three commands come next; `where` are their flags."""
    lines = [standing(document)]
    place = flags_to(document) if where is None else where
    if document.state == "found" and document.exit_code:
        lines.append(f"it ended with: {document.reason}")
    if document.state in ("found", "ended") and document.exit_code:
        first = (
            f"`cifar-dist submit stop {document.name}{place}`, then " if document.namespace else ""
        )
        lines.append(f"resume: {first}the same command; it goes on from the store")
    if document.state not in ("refused", "ended"):
        lines += [
            f"status: cifar-dist submit status {document.name}{place}",
            f"log:    cifar-dist submit logs {document.name} --follow{place}",
            f"stop:   cifar-dist submit stop {document.name}{place}",
        ]
    lines.append(f"store:  {document.store}")
    return "\n".join(lines)


def flags_to(document: "SubmissionDocument") -> str:
    """Repeat the flags that lead to the same place."""
    context = f" --on {document.context}" if document.context else ""
    namespace = f" --namespace {document.namespace}" if document.namespace != NAMESPACE else ""
    return f"{context}{namespace}"
