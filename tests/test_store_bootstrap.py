"""A store's bucket is made once, and never changed by making it again."""

import boto3
import pytest

from cifar_dist.store.bootstrap import ensure_bucket, main

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


def test_the_job_of_the_chart_tells_in_one_line_and_by_its_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["s3://bootstrap-told", "0"]) == 0
    assert capsys.readouterr().err.count("\n") == 1
    for arguments in (["file:///tmp", "3"], ["s3://bucket"], ["s3://bucket", "9999"], []):
        assert main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
