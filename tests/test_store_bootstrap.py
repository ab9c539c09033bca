"""A store's bucket is made once, and never changed by making it again."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from cifar_dist.config import S3
from cifar_dist.store import bootstrap
from cifar_dist.store.bootstrap import ensure_bucket, main
from cifar_dist.store.bucket import Bucket

pytestmark = pytest.mark.usefixtures("s3_environment")


def test_a_missing_bucket_is_made_with_a_rule_for_unfinished_uploads() -> None:
    told = ensure_bucket("s3://bootstrap-new/team", 3)
    assert told == "bucket bootstrap-new was made; unfinished uploads: removed after 3 days"
    rules = boto3.client("s3").get_bucket_lifecycle_configuration(Bucket="bootstrap-new")["Rules"]
    assert [rule["AbortIncompleteMultipartUpload"] for rule in rules] == [
        {"DaysAfterInitiation": 3}
    ]


def test_a_bucket_that_is_there_keeps_its_objects_and_rules() -> None:
    client = boto3.client("s3")
    ensure_bucket("s3://bootstrap-again", 3)
    client.put_object(Bucket="bootstrap-again", Key="runs/a", Body=b"x")
    told = ensure_bucket("s3://bootstrap-again", 7)
    assert (
        told == "bucket bootstrap-again is there; unfinished uploads: the bucket's own rules stay"
    )
    assert client.get_object(Bucket="bootstrap-again", Key="runs/a")["Body"].read() == b"x"


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [(403, "AccessDenied", "grant s3:GetLifecycle"), (501, "NotImplemented", "has no rules")],
)
def test_a_server_that_tells_no_rules_is_named_for_what_it_said(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, told: str
) -> None:
    _answers(monkeypatch, [(status, code)])
    assert told in ensure_bucket("s3://bootstrap-refused", 3)


def test_rules_are_asked_for_again_while_the_server_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _answers(monkeypatch, [(503, "SlowDown"), (404, "NoSuchLifecycleConfiguration")])
    assert ensure_bucket("s3://bootstrap-busy", 3).endswith("removed after 3 days")


def test_a_server_that_stays_away_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_PATIENT", S3(deadline_seconds=0.2))
    _answers(monkeypatch, [(503, "SlowDown")] * 100)
    assert main(["s3://bootstrap-away", "3"]) == 4


def _answers(monkeypatch: pytest.MonkeyPatch, given: list[tuple[int, str]]) -> None:
    """Let requests for a bucket's rules end in these faults, one after the other."""
    faults = iter(given)
    plain = Bucket._answer

    def answer(self: Bucket, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation != "get_bucket_lifecycle_configuration":
            return plain(self, operation, **parameters)
        status, code = next(faults)
        said: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(said, operation)

    monkeypatch.setattr(Bucket, "_answer", answer)


def test_the_job_of_the_chart_tells_in_one_line_and_by_its_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["s3://bootstrap-told", "0"]) == 0
    assert capsys.readouterr().err.count("\n") == 1
    for arguments in (["file:///tmp", "3"], ["s3://bucket"], ["s3://bucket", "9999"], []):
        assert main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
