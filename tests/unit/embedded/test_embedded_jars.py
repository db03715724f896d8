"""Jars are fetched once, resumed, verified, shared; what is wrong is said with its code."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from exchange.backoff import Backoff
from exchange.embedded.kafka import jars as jars_module
from exchange.embedded.kafka.jar_lock import LOCK_FILE, LockedJar, kafka_version, read_lock, write_lock
from exchange.embedded.kafka.jars import JarCache
from exchange.errors import ExchangeError


class Repository(ThreadingHTTPServer):
    """A Maven repository on loopback that can lose connections, ignore ranges and give wrong bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.cut_after: list[int] = []
        self.statuses: list[int] = []
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/maven"

    def add(self, artifact: str, content: bytes) -> LockedJar:
        jar = LockedJar("org.example", artifact, "1.0", hashlib.sha256(content).hexdigest(), len(content))
        self.files[f"/maven/{jar.path}"] = content
        return jar


class _Handler(BaseHTTPRequestHandler):
    server: Repository

    def log_message(self, format: str, *args: Any) -> None:
        """The test asserts on `requests` instead."""

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        content = self.server.files.get(self.path)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if content is None or status != 200:
            self.send_error(status if content is not None else 404)
            return
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        cut = self.server.cut_after.pop(0) if self.server.cut_after else len(content)
        self.wfile.write(content[first : first + cut])


@pytest.fixture
def repository() -> Iterator[Repository]:
    server = Repository()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars_module, "_BACKOFF", Backoff(first=0.01, longest=0.04))


def test_an_empty_cache_is_filled_and_nothing_is_fetched_twice(repository: Repository, tmp_path: Path) -> None:
    wanted = [repository.add(f"part{number}", bytes([number]) * 5000) for number in range(6)]
    seen: list[tuple[int, int]] = []
    cache = JarCache(tmp_path / "cache", wanted, repository.url)
    assert cache.fetch(lambda done, total: seen.append((done, total))) == 6
    assert seen[-1] == (30_000, 30_000)
    assert cache.missing() == []
    assert cache.fetch() == 0
    assert len(repository.requests) == 6
    assert cache.class_path().count(":") == 5


def test_an_interrupted_fetch_goes_on_where_it_stopped(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("large", bytes(range(256)) * 4000)
    repository.cut_after = [300_000]
    JarCache(tmp_path, [jar], repository.url).fetch()
    first, second = (wanted for _, wanted in repository.requests)
    assert first is None
    assert second is not None and second != "bytes=0-"
    assert hashlib.sha256((tmp_path / jar.file_name).read_bytes()).hexdigest() == jar.sha256


def test_a_part_of_an_earlier_run_is_used(repository: Repository, tmp_path: Path) -> None:
    content = bytes(range(256)) * 100
    jar = repository.add("large", content)
    (tmp_path / f"{jar.file_name}.part").write_bytes(content[:20_000])
    JarCache(tmp_path, [jar], repository.url).fetch()
    assert [wanted for _, wanted in repository.requests] == ["bytes=20000-"]


def test_a_repository_without_ranges_starts_anew(repository: Repository, tmp_path: Path) -> None:
    content = bytes(range(256)) * 100
    jar = repository.add("large", content)
    repository.ranges = False
    (tmp_path / f"{jar.file_name}.part").write_bytes(content[:20_000])
    cache = JarCache(tmp_path, [jar], repository.url)
    cache.fetch()
    assert cache.missing() == []


def test_a_wrong_part_is_thrown_away_and_fetched_anew(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("large", bytes(range(256)) * 100)
    (tmp_path / f"{jar.file_name}.part").write_bytes(b"x" * 20_000)
    cache = JarCache(tmp_path, [jar], repository.url)
    cache.fetch()
    assert cache.missing() == []


def test_a_damaged_jar_is_fetched_again(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("good", b"good" * 100)
    cache = JarCache(tmp_path, [jar], repository.url)
    cache.fetch()
    (tmp_path / jar.file_name).write_bytes(b"evil" * 100)
    assert cache.missing() == [jar]
    assert cache.fetch() == 1
    assert (tmp_path / jar.file_name).read_bytes() == b"good" * 100


def test_wrong_bytes_never_become_a_jar(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("forged", b"good" * 100)
    repository.files[f"/maven/{jar.path}"] = b"evil" * 100
    with pytest.raises(ExchangeError, match="SHA-256") as caught:
        JarCache(tmp_path, [jar], repository.url).fetch()
    assert caught.value.code == "E_JARS"
    assert not (tmp_path / jar.file_name).exists()


def test_more_bytes_than_locked_are_not_taken(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("endless", b"good" * 100)
    repository.files[f"/maven/{jar.path}"] = b"good" * 1_000_000
    with pytest.raises(ExchangeError, match="SHA-256"):
        JarCache(tmp_path, [jar], repository.url).fetch()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 200_000


def test_a_busy_repository_is_asked_again(repository: Repository, tmp_path: Path) -> None:
    jar = repository.add("late", b"good" * 100)
    repository.statuses = [503, 429]
    JarCache(tmp_path, [jar], repository.url).fetch()
    assert len(repository.requests) == 3


def test_a_repository_that_lacks_a_jar_is_named(repository: Repository, tmp_path: Path) -> None:
    jar = LockedJar("org.example", "absent", "1.0", "0" * 64, 10)
    with pytest.raises(ExchangeError, match=f"{repository.url} does not have absent-1.0.jar") as caught:
        JarCache(tmp_path, [jar], repository.url).fetch()
    assert caught.value.code == "E_JARS"
    assert len(repository.requests) == 1


def test_an_unreachable_repository_is_named(tmp_path: Path) -> None:
    jar = LockedJar("org.example", "absent", "1.0", "0" * 64, 10)
    with pytest.raises(ExchangeError, match=r"absent-1.0.jar from http://127.0.0.1:1") as caught:
        JarCache(tmp_path, [jar], "http://127.0.0.1:1/").fetch()
    assert "EXCHANGE_MAVEN_URL" in caught.value.entry.advice


def test_fetchers_at_the_same_time_bring_every_jar_once(repository: Repository, tmp_path: Path) -> None:
    wanted = [repository.add(f"part{number}", bytes([number]) * 50_000) for number in range(4)]
    brought: list[int] = []

    def fetch() -> None:
        brought.append(JarCache(tmp_path, wanted, repository.url).fetch())

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(brought) == [0, 0, 0, 4]
    assert len(repository.requests) == 4


def test_the_lock_names_a_kafka_of_4_3_or_later() -> None:
    jars = read_lock()
    major, minor = kafka_version(jars).split(".")[:2]
    assert (int(major), int(minor)) >= (4, 3)
    assert len({jar.file_name for jar in jars}) == len(jars)


def test_the_lock_file_names_no_address() -> None:
    assert "://" not in LOCK_FILE.read_text(encoding="ascii")


def test_a_written_lock_reads_the_same(tmp_path: Path) -> None:
    jars = read_lock()
    write_lock(reversed(jars), tmp_path / "lock")
    assert read_lock(tmp_path / "lock") == jars
    assert (tmp_path / "lock").read_bytes() == LOCK_FILE.read_bytes()


def test_a_lock_line_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("org.example thing 1.0 abc 12\n")
    with pytest.raises(ExchangeError, match="E_JARS"):
        read_lock(tmp_path / "lock")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ExchangeError, match=r"E_JARS: .*file/cache cannot be used"):
        JarCache(tmp_path / "file" / "cache").fetch()
