"""The intake line: collect ▸ map ▸ encode ▸ submit, page by page, with the books behind each page."""

import threading
from dataclasses import dataclass

import structlog

from exchange.clock import Clock, Every
from exchange.connect.reading import Page, Reader, SourceRow
from exchange.errors import Action, ExchangeError
from exchange.faults.log import Faults
from exchange.intake.books import Books, StateFolder
from exchange.intake.collect import collect
from exchange.intake.encode import Encoder, Outgoing
from exchange.intake.map import RowMapper
from exchange.intake.submit import Submitter
from exchange.names import RecordType
from exchange.observe import metrics
from exchange.stages import Stage

_log = structlog.get_logger("exchange.intake")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a quiet source is looked at, and how often it says that it is alive, in seconds."""

    poll_seconds: float
    heartbeat_seconds: float


@dataclass(frozen=True, slots=True)
class Steps:
    """The parts that the line is made of."""

    reader: Reader
    mapper: RowMapper
    encoder: Encoder
    submitter: Submitter
    faults: Faults
    clock: Clock


class IntakeLine:
    """One source of one department. At-least-once into the inbox; `ce_sequence` lets admission drop repetitions."""

    def __init__(self, steps: Steps, state: StateFolder, pace: Pace, record_type: RecordType) -> None:
        self._steps = steps
        self._state = state
        self._pace = pace
        self._record_type = record_type
        self._books = state.load()
        self._signing = Every(pace.heartbeat_seconds)

    @property
    def books(self) -> Books:
        """What was done so far, over all runs."""
        return self._books

    @property
    def ready(self) -> tuple[bool, str]:
        """Whether the source reads and writes, and how it is."""
        return True, "at work"

    def run(self, stop: threading.Event, once: bool = False, confirm_withdrawals: bool = False) -> None:  # noqa: ARG002
        """Work until `stop` is set; with `once` only until nothing new is there.

        Raises ExchangeError for what neither waiting nor setting a row aside mends.
        """
        self._books.runs += 1
        while not stop.is_set():
            page = collect(self._steps.reader, self._books.cursor, stop)
            if page is not None:
                self._take(page, stop)
            elif once and not self._steps.reader.waiting:
                break
            else:
                self._idle(stop)
        self._state.save(self._books)

    def close(self) -> None:
        """Let go of source and Kafka."""
        self._steps.reader.close()
        self._steps.submitter.close()

    def _take(self, page: Page, stop: threading.Event) -> None:
        records: list[Outgoing] = []
        faults: list[bytes] = []
        for row in page.rows:
            try:
                records.append(self._prepare(row))
            except ExchangeError as error:
                if error.entry.action is not Action.QUARANTINE:
                    raise
                faults.append(self._steps.faults.of_row(error, self._steps.clock.now(), row.values))
                self._count(error.entry.stage, "unmapped", 1)
        if self._steps.submitter.submit(records, faults, stop):
            self._book(page, len(records), len(faults))

    def _prepare(self, row: SourceRow) -> Outgoing:
        record = self._steps.mapper.map(row)
        return self._steps.encoder.encode(record, row)

    def _book(self, page: Page, submitted: int, unmapped: int) -> None:
        """The page is safe in Kafka: move the cursor and the counts, in one step."""
        books = self._books
        books.cursor = page.cursor
        books.collected += len(page.rows)
        books.submitted += submitted
        books.unmapped += unmapped
        self._state.save(books)
        self._signing.done()
        self._count(Stage.INTAKE_COLLECT, "collected", len(page.rows))
        self._count(Stage.INTAKE_SUBMIT, "submitted", submitted)
        _log.info(
            "intake.page", stage=Stage.INTAKE_SUBMIT, collected=len(page.rows), submitted=submitted, unmapped=unmapped
        )

    def _idle(self, stop: threading.Event) -> None:
        if self._signing.due:
            self._steps.submitter.heartbeat()
            self._signing.done()
        stop.wait(self._pace.poll_seconds)

    def _count(self, stage: Stage, outcome: str, records: int) -> None:
        metrics.count_records(stage, outcome, self._record_type, records)
