"""What a scrape costs, and what it costs others: `python -m tests.bench.bench_scrape`.

Starts a Kafka and an `exchange serve`. With 200 demands in the ledger, then with 20,000: how long a scrape takes that
is made anew, and how long commands take (as `bench_commands` offers and measures them) while nobody scrapes and while
45 callers in another process scrape without a pause.

Ends with status 1 when a scrape costs more than 3 times as much with 20,000 demands as with 200, or when of 100
commands one takes more than 100 ms longer because of the scrapes.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx

from exchange.embedded.ports import HOST
from tests.bench.bench_commands import Bench, bench, told

FEW, MANY = 200, 20_000
CALLERS = 45
RATE = 50.0
SECONDS = 10.0
SCRAPES = 11
WORST_RATIO = 3.0
WORST_DELAY_SECONDS = 0.1
_FRESH_SECONDS = 1.1
"""After so long a scrape is made anew."""


def scrape_without_pause(port: int, stop: Event) -> None:
    """In a process of its own: CALLERS threads that ask for the metrics all the time."""

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=60.0) as http:
            while not stop.is_set():
                try:
                    http.get(f"http://{HOST}:{port}/metrics")
                except httpx.TransportError:
                    stop.wait(0.01)

    threads = [threading.Thread(target=ask) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def scrape_seconds(port: int) -> float:
    """The median time of a scrape that is made anew."""
    times = []
    with httpx.Client(trust_env=False, timeout=60.0) as http:
        for _ in range(SCRAPES):
            time.sleep(_FRESH_SECONDS)
            begin = time.perf_counter()
            http.get(f"http://{HOST}:{port}/metrics").raise_for_status()
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


def delay_seconds(running: Bench, rate: float, demands: int) -> float:
    """How much longer the slowest of 100 commands takes while the callers scrape."""
    count = int(rate * SECONDS)
    alone = running.offer(count, rate)
    told(f"commands beside {demands} demands, nobody scrapes", alone)
    stop = multiprocessing.get_context("spawn").Event()
    arguments = (running.metrics_port, stop)
    scraping = multiprocessing.get_context("spawn").Process(target=scrape_without_pause, args=arguments)
    scraping.start()
    try:
        scraped = running.offer(count, rate)
    finally:
        stop.set()
        scraping.join()
    told(f"commands beside {demands} demands, {CALLERS} callers scrape", scraped)
    return _slowest(scraped) - _slowest(alone)


def _slowest(answers: list[tuple[float, int]]) -> float:
    """Within which 99 of 100 were answered, in seconds."""
    times = sorted(seconds for seconds, _ in answers)
    return times[int(len(times) * 0.99)]


def main() -> int:
    """Print all figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--demands", type=int, default=MANY, help="in the ledger in the second round")
    arguments.add_argument("--rate", type=float, default=RATE, help="commands a second")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name, bench(Path(name)) as running:
        running.offer(FEW, 0.0)
        few = scrape_seconds(running.metrics_port)
        print(f"a scrape with {FEW} demands: {few * 1000:.1f} ms", flush=True)
        delay = delay_seconds(running, asked.rate, FEW)
        running.offer(asked.demands - FEW, 0.0)
        many = scrape_seconds(running.metrics_port)
        print(
            f"a scrape with {asked.demands} demands: {many * 1000:.1f} ms, {many / few:.1f} times as long", flush=True
        )
        delay = max(delay, delay_seconds(running, asked.rate, asked.demands))
    return int(many > WORST_RATIO * few or delay > WORST_DELAY_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
