"""Draws deploy/dashboard.png from a gateway under load. deploy/draw-dashboard runs this file."""

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

import budget_store
import drawing
import grafana
import manifests
import monitored
import traffic

INTERVAL = 5  # seconds between scrapes


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=10, help="how long the load lasts (10)")
    arguments.add_argument(
        "--output", type=Path, default=manifests.DEPLOY / "dashboard.png", help="the file (deploy/dashboard.png)"
    )
    given = arguments.parse_args()
    programs = Path(os.environ["PRESENCE_GATEWAY_BIN"]), Path(os.environ["PROMETHEUS_BIN"])
    with (
        tempfile.TemporaryDirectory() as directory,
        budget_store.serving(Path(directory)) as store,
        monitored.monitored(
            *programs,
            Path(directory),
            f"{INTERVAL}s",
            traffic.SETTINGS | {"PRESENCE_GATEWAY_BUDGET_STORE": store.url},
            traffic.SANDBOX,
        ) as stack,
    ):
        print(f"calling a gateway for {given.minutes:g} minutes")
        start = time.time()
        statuses = asyncio.run(traffic.run(stack.address, given.minutes * 60, stack, store))
        end = time.time()
        print("calls:", ", ".join(f"{count} {status}" for status, count in statuses.most_common()))
        caption = (
            f"Drawn by deploy/draw-dashboard with matplotlib from {given.minutes:g} minutes of real data: Prometheus' answers to the "
            "panels' queries, of one gateway on its sandbox under a load with faults. Not a screenshot of Grafana."
        )
        drawn = drawing.draw(grafana.load(), stack, start, end, INTERVAL, caption, given.output)
    empty = [title for title, series in drawn.items() if series == 0]
    assert not empty, f"these panels have no data: {', '.join(empty)}"
    print(f"{given.output}: {given.output.stat().st_size // 1024} KiB")


main()
