"""Secrets are taken out of texts, errors and the records of every library, and nothing else is."""

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
from pydantic import BaseModel, ValidationError

from cifar_dist.cluster.channel import Channel
from cifar_dist.cluster.relay import Relay, relayed
from cifar_dist.errors import RunError
from cifar_dist.logs import ROOT, configure, protect
from cifar_dist.problems import shown
from cifar_dist.redaction import MARK, clean, is_secret, redacted
from tests.commands import Program, listed
from tests.wrong_environments import DEAD

SECRET = "wJalrXUtn/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY_ID = "ASIAIOSFODNN7EXAMPLE"

SHAPES = {
    "key id": f"by {KEY_ID} at noon",
    "query": f"GET https://host/key?X-Amz-Security-Token={SECRET}&versionId=3",
    "signature": f"GET https://host/key?a=1&X-Amz-Signature={SECRET}",
    "credential": f"https://host/key?X-Amz-Credential={SECRET}%2F20260101",
    "header": f"Authorization: AWS4-HMAC-SHA256 Credential=x, Signature={SECRET}",
    "headers": f"{{'Authorization': b'Bearer {SECRET}', 'Host': 'h'}}",
    "Ray's header": f"x-ray-authorization: Bearer {SECRET}",
    "canonical request": f"host:h\nx-amz-security-token:{SECRET}\nx-amz-date:1",
    "user in a URL": f"cannot connect to http://bob:{SECRET.replace('/', '')}@proxy:3128",
    "odd user in a URL": "cannot connect to http://bob:wJalrXUtn@K7MDENG@proxy:3128",
    "key in a URL": f"store=s3://{KEY_ID}:{SECRET}@bucket/x: it holds credentials",
    "assignment": f"export HF_TOKEN={SECRET}",
    "document": f'{{"secret_key": "{SECRET}", "b": 1}}',
    "value of a wrong type": f"s3={{'aws_secret_access_key': '{SECRET}'}}: must be text",
    "YAML": f"s3:\n  - secret_key: '{SECRET}'\n",
    "YAML in a line": f"s3: {{secret_key: {SECRET}, region: eu}}",
    "flag": f"cifar --auth-token {SECRET} --json",
    "list of arguments": f"['cifar', '--auth-token', '{SECRET}']",
    "document in a document": f'"{{\\"password\\": \\"{SECRET}\\"}}"',
    "value with blanks": f'{{"password": "two words {SECRET}", "b": 1}}',
    "password": f"mysql://h/x?password={SECRET}&tls=1",
}

PLAIN = [
    "resumed step=3 key=runs/tiny-00000000/attempts/000001/MANIFEST.json",
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE='/nosuch' does not exist",
    "run a in s3://bucket/team/x@y; see https://host:9000/path@y",
    "AWS_SECRET_ACCESS_KEY holds a line break",
    "the session token is not valid: fetch a new one",
    "name='My token': must match a-z",
    "s3.secret_key: unknown field in s3; did you mean 'checksums'?",
    "token: must be text",
]


@pytest.fixture
def _records() -> Iterator[None]:
    logger, factory = logging.getLogger(ROOT), logging.getLogRecordFactory()
    before = logger.handlers, logger.level, logger.propagate
    logger.handlers = []
    yield
    logging.setLogRecordFactory(factory)
    logger.handlers, logger.level, logger.propagate = before


@pytest.mark.parametrize("kind", SHAPES)
def test_a_secret_is_known_by_its_shape(kind: str) -> None:
    text = redacted(SHAPES[kind])
    assert MARK in text
    for part in (KEY_ID, "wJalr", "K7MDENG"):
        assert part not in text
    assert redacted(text) == text


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("AWS_SECRET_ACCESS_KEY", SECRET, f"signed with {SECRET}, badly"),
        ("AWS_SECRET_ACCESS_KEY", SECRET, "k=wJalrXUtn%2FK7MDENG%2BbPxRfiCYEXAMPLEKEY"),
        ("RAY_AUTH_TOKEN", "wJalrXUtn", "refused: 'wJalrXUtn'"),
        ("MLFLOW_TRACKING_PASSWORD", "wJalrXUtn\n", "basic wJalrXUtn"),
        ("PGPASSWORD", 'wJalrXUtn"x', '["wJalrXUtn\\"x"]'),
        ("WANDB_API_KEY", "wJalrXUtn", "wJalrXUtn"),
        ("HF_TOKEN", "wJalrXUtn\udcff", "wJalrXUtn%FF"),
        ("OPENAI_APIKEY", "wJalrXUtn", "wJalrXUtn"),
        ("MY_API_KEYS", "wJalrXUtn", "wJalrXUtn"),
        ("CI_TOKENS", "wJalrXUtn", "wJalrXUtn"),
        ("AZURE_STORAGE_CONNECTION_STRING", "A=wJalr;B=c", "by A=wJalr;B=c"),
        ("NPM_AUTH", "wJalrXUtn", r"first\nwJalrXUtn\n"),
        ("AWS_SECRET_ACCESS_KEY", SECRET, f"x{SECRET}x"),
        ("HTTPS_PROXY", "http://bob:wJalr%2FXUtn@proxy", "bob wJalr/XUtn"),
        ("HTTPS_PROXY", "http://bob:wJalr%2FXUtn@proxy", "bob wJalr%2FXUtn"),
    ],
)
def test_the_values_of_this_environments_secrets_are_known_wherever_they_stand(
    variable: str, value: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "wJalr" in redacted(text)
    monkeypatch.setenv(variable, value)
    assert "wJalr" not in redacted(text)


def test_short_values_and_paths_to_secrets_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/etc/ray/token")
    assert redacted("a test of /etc/ray/token") == "a test of /etc/ray/token"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/etc/gcp.json")
    monkeypatch.setenv("SSH_KEY", str(Path(__file__)))
    monkeypatch.setenv("STORE_KEY", "sample")
    for text in ("no /etc/gcp.json", f"no {__file__}", "of 12 samples", "subsample"):
        assert redacted(text) == text
    assert not is_secret("RAY_AUTH_MODE")
    assert not is_secret("TOKENIZERS_PARALLELISM")
    assert not is_secret("KEYBOARD_LAYOUT")


def test_a_wrong_value_is_repeated_without_its_secret() -> None:
    assert shown(KEY_ID) == f"'{MARK}'"
    assert SECRET[:9] not in shown({"password": SECRET})


@pytest.mark.parametrize("piece", ["://a:", "password: ", "authorization ", "--", '"token\\": \\"'])
def test_a_megabyte_that_is_no_secret_is_looked_through_once(piece: str) -> None:
    assert len(shown(piece * 200_000)) <= 61
    # Minutes, where each place is tried with each other.
    assert redacted(piece * 50_000).startswith(piece[:4])


def failing() -> None:
    raise RuntimeError(3, f"no answer of https://bob:{KEY_ID}@h") from KeyError(
        f"X-Amz-Signature={SECRET}"
    )


def test_an_error_and_its_causes_lose_their_secrets_and_keep_their_kind() -> None:
    with pytest.raises(RuntimeError) as caught:
        failing()
    clean(caught.value)
    assert caught.value.args == (3, f"no answer of https://{MARK}@h")
    text = "".join(traceback.format_exception(caught.value.__cause__))
    assert text == f"KeyError: 'X-Amz-Signature={MARK}'\n"


class Region(BaseModel):
    """What refuses a secret with words that cannot be changed."""

    region: int


def noted(error: Exception) -> Exception:
    error.add_note(f"by {KEY_ID}")
    return error


def invalid() -> Exception:
    with pytest.raises(ValidationError) as caught:
        Region.model_validate({"region": KEY_ID})
    return caught.value


ERRORS: dict[str, tuple[Callable[[], Exception], bool]] = {
    "reason of the system": (lambda: OSError(5, f"by {KEY_ID}", f"/{KEY_ID}"), True),
    "reason of a request": (lambda: URLError(f"by {KEY_ID}"), True),
    "error in an error": (lambda: URLError(OSError(5, KEY_ID)), True),
    "note": (lambda: noted(KeyError("a")), True),
    "nested": (lambda: ValueError(("a", [{"b": KEY_ID}])), True),
    "member of a group": (lambda: ExceptionGroup("two", [ValueError(KEY_ID), OSError()]), True),
    "name of a group": (lambda: ExceptionGroup(f"by {KEY_ID}", [ValueError("b")]), False),
    "document": (invalid, False),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_no_error_that_leaves_a_worker_tells_a_secret(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, keeps_kind = ERRORS[kind]
    monkeypatch.setattr(Relay, "open", lambda _: None)
    for error, caught in ((make(), Exception), (RunError("it broke"), RunError)):
        with pytest.raises(caught) as raised, relayed(Channel("runs/a/1"), "worker 0"):
            raise error from make()
        assert KEY_ID not in "".join(traceback.format_exception(raised.value))
        assert type(raised.value) is (
            type(error) if keeps_kind or caught is RunError else RuntimeError
        )


@pytest.mark.usefixtures("_records")
def test_no_record_of_any_library_tells_a_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wJalrXUtn")
    configure()
    protect()
    other = logging.StreamHandler()
    library = logging.getLogger("botocore.auth")
    library.addHandler(other)
    try:
        library.warning("CanonicalRequest:\n%s", f"x-amz-security-token:{SECRET}")
        logging.getLogger(f"{ROOT}.store").warning("by %(who)s", {"who": "hf_wJalrXUtn"})
        logging.getLogger(ROOT).warning("one %s two %s", "hf_wJalrXUtn")
        failing()
    except RuntimeError:
        logging.getLogger(ROOT).warning("it failed", exc_info=True)
    finally:
        library.removeHandler(other)
    shown = capsys.readouterr().err
    assert "wJalr" not in shown
    assert f"WARNING by {MARK}\n" in shown
    assert "WARNING one %s two %s\n" in shown
    assert f"KeyError: 'X-Amz-Signature={MARK}'\n" in shown


@pytest.mark.usefixtures("_records")
def test_debug_records_are_our_own_and_not_those_of_the_sdk() -> None:
    configure(logging.DEBUG)
    assert logging.getLogger(ROOT).isEnabledFor(logging.DEBUG)
    for name in ("botocore.auth", "urllib3.connectionpool", "boto3", "ray"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG), name


@pytest.mark.parametrize(
    "job",
    [
        f"s3: {{secret_key: {SECRET}}}",
        f"s3: {{region: {{secret_access_key: {SECRET}}}}}",
        f"s3: {{endpoint: 'https://bob:{SECRET}@host'}}",
        f"runtime_env: {{env_vars: {{AWS_SECRET_ACCESS_KEY: {SECRET}}}}}",
        f"store: {{AWS_SECRET_ACCESS_KEY: {SECRET}}}",
        f"recipe: {{epochs: {KEY_ID}}}",
        f"recipe: {{data: 's3://{KEY_ID}:{SECRET}@bucket/x'}}",
    ],
)
def test_a_secret_in_a_job_is_refused_and_not_repeated(
    job: str, program: Program, folder: Path
) -> None:
    (folder / "job.yaml").write_text(job)
    ended = program("train", "job.yaml", "--debug")
    assert (ended.code, ended.out) == (2, "")
    assert SECRET[:9] not in ended.err
    assert KEY_ID not in ended.err
    assert listed(folder) == ["job.yaml"]


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("AWS_ENDPOINT_URL", f"https://bob:{SECRET}@127.0.0.1:1", 2),
        ("AWS_ENDPOINT_URL", f"https://bob:{KEY_ID}@127.0.0.1:1", 2),
        ("HTTPS_PROXY", f"http://bob:{KEY_ID}@127.0.0.1:1", 4),
        ("AWS_SESSION_TOKEN", SECRET, 4),
    ],
)
def test_a_traceback_of_storage_that_is_away_tells_no_secret(
    variable: str, value: str, code: int, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = {"AWS_ENDPOINT_URL": "https://127.0.0.1:1", "NO_PROXY": "", variable: value}
    for name, setting in {**DEAD, **dead, "AWS_SECRET_ACCESS_KEY": SECRET}.items():
        if setting is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, setting)
    ended = program("artifacts", "ls", "--store", "s3://bucket/x", "--debug")
    assert (ended.code, ended.out) == (code, "")
    assert "Traceback" in ended.err
    for secret in (SECRET, SECRET[:9], KEY_ID):
        assert secret not in ended.err
