"""A file window at work: its folder, its key, and the grant that it serves."""

import time
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from exchange.connect.declare import Sink
from exchange.connect.find import Connector
from exchange.connect.folders import Folder
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.handover.apply import patiently
from exchange.handover.decode import Decoder
from exchange.handover.files.chain import Chain, Remembered
from exchange.handover.files.folder import DropFolder
from exchange.handover.files.line import DropFolderLine, Pace, Parts
from exchange.handover.files.signing import SigningKey
from exchange.handover.grants import ActiveGrant, GrantFinder, Watch
from exchange.handover.layout import Layout
from exchange.handover.line import Begin, Owner
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.kafka.client.share_reader import ShareReader
from exchange.settings import Settings

if TYPE_CHECKING:
    from exchange.handover.start import Run

_ASK_SECONDS = 5.0
_log = structlog.get_logger("exchange.handover")


def serve_files(
    connector: Connector,
    sink: Sink,
    settings: Settings,
    granted: tuple[ActiveGrant, GrantFinder, tuple[str, ...]],
    run: "Run",
) -> bool:
    """Deliver until told to stop (False), or until the grant goes on in another share (True).

    granted: the grant, whom to ask about it, and the natural key of its record type. Raises ExchangeError: E_SETTINGS
    without folder or key, E_FILES_FOLDER when the folder is not as it was left, E_GRANT_REFUSED when the grant ends.
    """
    assert isinstance(sink.into, Folder)
    grant, finder, natural_key = granted
    own, connection = settings.connector, Connection.of(settings.kafka)
    key = SigningKey.read(own.signing_key_file)
    with ExitStack() as stack:
        path = sink.into.path(own)
        folder = patiently(lambda: DropFolder(path, make=True), run.stop.wait, run.stop)
        if folder is None:
            return False
        stack.enter_context(closing(folder))
        folder.lock()
        producer = stack.enter_context(closing(IdempotentProducer(connection)))

        def open_reader(begin: Begin) -> ShareReader:
            return ShareReader(connection, grant.topic, grant.group, settings.worker_id, begin)

        moved = Watch(grant, finder)
        parts = Parts(
            open_reader,
            Chain(folder, key, Remembered(own.state_folder / f"{connector.name}.files.json")),
            Layout.of(finder.schema(grant.schema_id), natural_key, grant.pseudonymous),
            Decoder(finder.schema),
            producer,
            Faults(connector.name, sink.record_type),
            run.clock,
            Pace(every=timedelta(seconds=own.delivery_seconds)),
            moved,
            _Asked(grant, finder),
        )
        owner = Owner(connector.department, sink.record_type, grant)
        DropFolderLine(owner, parts, grant.schema_id).run(run.stop, run.once)
        return moved.moved


class _Asked:
    """Asks now and then whether the grant is active: while nothing is read, Kafka does not say it."""

    def __init__(self, grant: ActiveGrant, finder: GrantFinder) -> None:
        self._grant = grant
        self._finder = finder
        self._at = time.monotonic()

    def __call__(self) -> None:
        """Raises ExchangeError(E_GRANT_REFUSED) when it is not."""
        if time.monotonic() - self._at < _ASK_SECONDS:
            return
        self._at = time.monotonic()
        try:
            active = self._finder.is_active(self._grant)
        except ExchangeError as error:
            _log.info("handover.grant_unknown", stage="handover.receive", code=error.code)
            return
        if not active:
            raise ExchangeError("E_GRANT_REFUSED", f"grant {self._grant.grant} is not active")
