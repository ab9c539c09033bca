"""The data card."""

from cifar_dist.documents import DataDocument, DataOrigin
from cifar_dist.report.data_card import data_card
from tests.result_documents import facts


def test_a_card_has_the_origin_the_whole_hashes_and_whom_to_cite() -> None:
    origin = DataOrigin(kind="cifar10", files={"test_batch": "b" * 64}, resized_images=1_234)
    document = DataDocument(data=facts(), splits=[], cache="here", origin=origin, citation="A. K.")
    lines = dict(line.rsplit("  ", 1) for line in data_card(document).splitlines() if "  " in line)
    found = {name.strip(): value.strip() for name, value in lines.items()}
    assert found["made from"] == "cifar10"
    assert found["resized to 32×32"] == "1,234 images"
    assert found["data SHA-256"] == "d" * 64
    assert found["cite"] == "A. K."
    assert "file test_batch" + " " * 5 + "b" * 64 in data_card(document)


def test_a_card_of_an_older_document_leaves_out_what_it_lacks() -> None:
    text = data_card(DataDocument(data=facts(), splits=[], cache="here"))
    assert "made from" not in text
    assert "cite" not in text


def test_a_card_fits_a_terminal_and_cannot_steer_it() -> None:
    origin = DataOrigin(kind="tar", files={"\x1b[2Ja.tar": "b" * 64})
    source = facts().model_copy(update={"source": "a\x1b[2J.tar"})
    text = data_card(DataDocument(data=source, splits=[], cache="here", origin=origin))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
