"""A broker service at work, its hostile callers in processes of their own: commands are done, health is told."""

import multiprocessing
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from exchange.embedded.ports import HOST
from tests.bench.bench_commands import bench
from tests.bench.bench_scrape import scrape_without_pause
from tests.harness.hostile_client import hostile

pytestmark = pytest.mark.kafka
HELD = 64
WAYS = ("half-open", "slow-headers", "slow-body", "no-continue", "slow-reader")
DEMANDS = 40


def test_commands_are_done_while_45_scrape_and_five_hold_64_connections_each(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    with bench(tmp_path) as running, ExitStack() as siege:
        stop = spawn.Event()
        scraping = spawn.Process(target=scrape_without_pause, args=(running.metrics_port, stop))
        scraping.start()
        siege.callback(scraping.join)
        siege.callback(stop.set)
        targets = {"slow-reader": "/openapi.json"}
        slow = [
            siege.enter_context(hostile(running.port, way, HELD, targets.get(way, "/v1/demands"), renewed=True))
            for way in WAYS
        ]
        answers = running.offer(DEMANDS, 0.0)
        assert [status for _, status in answers] == [201] * DEMANDS
        with httpx.Client(trust_env=False, timeout=60.0) as http:
            assert http.get(f"http://{HOST}:{running.port}/readyz").json() == {"status": "ready", "role": "leader"}
            assert http.get(f"http://{HOST}:{running.port}/healthz").status_code == 200
            shown = http.get(f"http://{HOST}:{running.metrics_port}/metrics")
        assert "exchange_demands{" in shown.text
        assert [client.left() for client in slow] == [HELD] * len(WAYS)
