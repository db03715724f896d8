"""The table of errors is whole: no row that nothing raises, none that no test has met, no code without a row."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from exchange.clock import Deadline
from exchange.errors import TABLE, ExchangeError
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.observe import logs
from exchange.settings import ApiSettings, HttpSettings
from exchange.web.app import create_app
from exchange.web.client import ApiClient
from tests.harness.memory.service import MemoryService, serving

ROOT = Path(__file__).parents[3]
CODE = re.compile(r"\bE_[A-Z0-9_]*[A-Z0-9]\b")
MADE_UP = re.compile(r"ExchangeError\(\s*[\"']E_[A-Z0-9_]+")
"""A test that makes an error itself has not met it."""
TOKEN = "operator-token-of-this-test"
SECRET = "王小明"


def codes_in(folder: str, leave_out: Path) -> set[str]:
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py") if path != leave_out)
    return {code for text in texts for code in CODE.findall(MADE_UP.sub("", text) if folder == "tests" else text)}


def test_every_error_of_the_table_is_met_by_a_test() -> None:
    assert sorted(TABLE.keys() - codes_in("tests", Path(__file__)) - met_here()) == []


def met_here() -> set[str]:
    """The codes that the tests of this file meet."""
    return {"E_INTERNAL", "E_SUBMIT", "E_SCHEMAS_ARE_CODE"}


def test_every_error_of_the_table_is_raised_by_the_product_and_every_code_has_its_row() -> None:
    raised = codes_in("exchange", ROOT / "exchange" / "errors.py")
    assert sorted(TABLE.keys() - raised) == []
    assert sorted(raised - TABLE.keys()) == []


class Sick(MemoryService):
    """A service with a fault of ours, whose text quotes what it worked on."""

    def books(self) -> list[object]:  # type: ignore[override]
        raise ValueError(SECRET)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process of the product logs."""
    stream = io.StringIO()
    handlers = logging.root.handlers
    logs.configure("info", stream)
    yield stream
    structlog.reset_defaults()
    logging.root.handlers = handlers


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    file = tmp_path / "operator"
    file.write_text(TOKEN)
    with (
        serving(create_app(Sick(), HttpSettings(operator_token_file=file))) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client,
    ):
        yield client


def test_a_fault_of_ours_is_answered_and_logged_without_its_text(http: httpx.Client, log: io.StringIO) -> None:
    answer = http.get("/v1/books")
    assert (answer.status_code, answer.json()["code"]) == (500, "E_INTERNAL")
    assert '"error": "ValueError"' in log.getvalue()
    assert SECRET not in answer.text + log.getvalue()


def test_the_registry_says_why_it_takes_no_schema(http: httpx.Client) -> None:
    answer = http.put("/config")
    assert (answer.status_code, answer.json()["error_code"]) == (403, 40301)
    assert answer.json()["message"].lower().rstrip(".") == TABLE["E_SCHEMAS_ARE_CODE"].meaning


def test_a_code_that_a_command_does_not_know_is_told_as_it_came() -> None:
    document = {"code": "E_OF_TOMORROW", "detail": "something new"}
    transport = httpx.MockTransport(lambda _: httpx.Response(409, json=document))
    with (
        ApiClient(ApiSettings(token="t"), transport) as api,  # type: ignore[arg-type]
        pytest.raises(ExchangeError, match="E_OF_TOMORROW: something new") as caught,
    ):
        api.get("/v1/books")
    assert caught.value.code == "E_INTERNAL"


def test_records_that_kafka_did_not_take_in_time_are_told() -> None:
    producer = IdempotentProducer(Connection("127.0.0.1:1", "PLAINTEXT", "", "nobody", None, ""))
    producer.send("inbox", b"k", b"v")
    with pytest.raises(ExchangeError, match="1 records") as caught:
        producer.flush(Deadline.after(0.1))
    producer.close()
    assert caught.value.code == "E_SUBMIT"
