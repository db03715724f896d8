"""Preparing a fresh cluster: the ledger's topics, the exchange's own principals, the key of the ledger."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from exchange import names
from exchange import settings as settings_module
from exchange.broker.enforcement.reconciler import bootstrap
from exchange.kafka.admin.admin import Admin
from exchange.kafka.client.connection import Connection
from exchange.settings import KafkaSettings
from exchange.signing import SigningKey

_SECRET_BYTES = 32
LEDGER_KEY, LEDGER_PUBLIC_KEY = "ledger.key.pem", "ledger.pub.pem"
OWN_PRINCIPALS = (names.ADMISSION, names.DELIVERY, names.BROKER)
"""The exchange's own Kafka principals."""


def admin_connection(settings: KafkaSettings) -> Connection:
    """The connection of the super user. Raises ExchangeError(E_SETTINGS) without its secret."""
    password = settings_module.secret(SecretStr(""), settings.admin_password_file, "the super user's secret")
    return Connection.as_principal(settings, settings.admin_username, password)


def prepare(settings: KafkaSettings, folder: Path) -> None:
    """Prepare a fresh cluster: ledger topics, our principals with secrets, their rights, the key of the ledger.

    folder: holds a file `<principal>.secret` for each of our principals, and LEDGER_KEY; one that is missing is made,
    readable by its owner only. May be run again: what is there stays.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    own = {principal: _kept_secret(folder / f"{principal}.secret") for principal in OWN_PRINCIPALS}
    _keep_ledger_key(folder)
    bootstrap(Admin(admin_connection(settings)), own, settings.replication)


def _keep_ledger_key(folder: Path) -> None:
    """The key that signs snapshots of the ledger, and its public half beside it, made where they are missing."""
    file = folder / LEDGER_KEY
    key = SigningKey.read(file) if file.exists() else SigningKey.make(file)
    (folder / LEDGER_PUBLIC_KEY).write_bytes(key.public.pem)


def _kept_secret(file: Path) -> str:
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_urlsafe(_SECRET_BYTES))
    return file.read_text().strip()
