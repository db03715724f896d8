"""A sink with a drop folder at work: its folder, its key, and the grant that it serves."""

import time
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial

import structlog

from exchange.connect.folders import Folder
from exchange.errors import ExchangeError
from exchange.faults.log import Faults
from exchange.handover.decode import Decoder
from exchange.handover.files.chain import Chain, Remembered
from exchange.handover.files.folder import DropFolder
from exchange.handover.files.line import DropFolderLine, Pace, Steps
from exchange.handover.granted import GrantedSink, Run
from exchange.handover.grants import ActiveGrant, GrantFinder, Watch
from exchange.handover.patience import Patience
from exchange.handover.report import Receipts, Reporter
from exchange.kafka.client.connection import Connection
from exchange.kafka.client.producer import IdempotentProducer
from exchange.signing import SigningKey

_ASK_SECONDS = 5.0
_log = structlog.get_logger("exchange.handover")


def serve_files(granted: GrantedSink, into: Folder, run: Run) -> bool:
    """Deliver until told to stop (False), or until the grant goes on in another share (True).

    Raises ExchangeError: E_SETTINGS without folder or key, E_FILES_FOLDER when the folder is not as it was left,
    E_GRANT_REFUSED when the grant ends.
    """
    own, connection = granted.settings.connector, Connection.of(granted.settings.kafka)
    connector, owner = granted.connector, granted.owner
    if own.signing_key_file is None:
        raise ExchangeError("E_SETTINGS", "the key that signs files (EXCHANGE_CONNECTOR__SIGNING_KEY_FILE) is not set")
    key = SigningKey.read(own.signing_key_file)
    with ExitStack() as stack:
        path = into.path(own)
        patience = Patience(granted.health, run.stop)
        folder = patience.until(lambda: DropFolder(path, make=True))
        if folder is None:
            return False
        stack.enter_context(closing(folder))
        folder.lock()
        layout = patience.until(granted.layout)
        if layout is None:
            return False
        producer = stack.enter_context(closing(IdempotentProducer(connection)))
        moved = Watch(granted.grant, granted.finder)
        steps = Steps(
            partial(granted.open_reader, connection),
            Chain(folder, key, Remembered(own.state_folder / f"{connector.name}.files.json")),
            layout,
            Decoder(granted.finder.schema),
            Reporter(owner, Faults(connector.name, owner.record_type), producer),
            Receipts(owner, producer),
            run.clock,
            Pace(every=timedelta(seconds=own.delivery_seconds)),
            moved,
            _Asked(granted.grant, granted.finder),
            granted.health,
        )
        DropFolderLine(owner, steps).run(run.stop, run.once)
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
