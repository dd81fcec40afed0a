"""Airflow sends the metrics of this package, to a StatsD or an OpenTelemetry server on localhost."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.metrics import METRICS
from tests.docs.pages import DOCS, table

SENT = {
    "hf_spaces.requests.ok",
    "hf_spaces.requests.not_found",
    "hf_spaces.requests.rejected",
    "hf_spaces.requests.server_error",
    "hf_spaces.request_duration.ok",
    "hf_spaces.request_delays.retry",
    "hf_spaces.request_delay_duration.retry",
    "hf_spaces.quota_remaining",
    "hf_spaces.quota_limit",
    "hf_spaces.waits.reached",
    "hf_spaces.waits.failed",
    "hf_spaces.wait_duration.reached",
    "hf_spaces.lease_waits.taken",
    "hf_spaces.lease_wait_duration.taken",
    "hf_spaces.billed_seconds",
    "hf_spaces.cost_usd",
    "hf_spaces.runs_at_unknown_price",
}
"""What the script of these tests sends, among others."""

NAMES = {
    f"{name}.{variant}" if variant else name
    for name, metric in METRICS.items()
    for variant in metric.variants or ("",)
}


@pytest.fixture
def fleet(hub: HubEmulator) -> HubEmulator:
    for name in ("whisper", "forbidden", "once-unavailable"):
        hub.add_space(f"acme/{name}")
    hub.add_space("acme/broken", stage="RUNTIME_ERROR")
    hub.faults.add(kind="status", status=403, path="/acme/forbidden/")
    hub.faults.add(kind="status", status=503, path="/acme/once-unavailable/", times=1)
    return hub


def run_script(**settings: str) -> None:
    environment = {f"AIRFLOW__METRICS__{name.upper()}": value for name, value in settings.items()}
    subprocess.run(
        [sys.executable, "-m", "tests.airflow.metrics_script"],
        env={**os.environ, **environment, "AIRFLOW__CORE__UNIT_TEST_MODE": "False"},
        check=True,
        timeout=120,
    )


@contextmanager
def statsd_server() -> Iterator[tuple[int, list[str]]]:
    """Receives StatsD's datagrams: its port, and the lines."""
    lines: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))

        def receive() -> None:
            while datagram := receiver.recv(65536):
                lines.extend(datagram.decode().splitlines())

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield receiver.getsockname()[1], lines
        finally:
            # An empty datagram comes behind all others.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", receiver.getsockname())
            thread.join()


def test_statsd_receives_every_metric_under_its_documented_name(fleet: HubEmulator) -> None:
    pytest.importorskip("statsd", reason="Airflow sends StatsD metrics with its extra 'statsd'")
    with statsd_server() as (port, lines):
        run_script(statsd_on="True", statsd_host="127.0.0.1", statsd_port=str(port))
    line_of = {line.partition(":")[0].removeprefix("airflow."): line for line in lines}
    ours = {name for name in line_of if name.startswith("hf_spaces")}
    assert ours >= SENT
    assert ours <= NAMES
    assert line_of["hf_spaces.billed_seconds"].endswith(":60|c")
    assert any(line.endswith(":120|c") for line in lines)
    assert re.search(r":0\.01333\d*\|c$", line_of["hf_spaces.cost_usd"])
    assert line_of["hf_spaces.lease_wait_duration.taken"].endswith(":12000.000000|ms")


@pytest.mark.slow
def test_tags_name_method_and_hardware_but_no_space(fleet: HubEmulator) -> None:
    pytest.importorskip("statsd", reason="Airflow sends StatsD metrics with its extra 'statsd'")
    with statsd_server() as (port, lines):
        run_script(
            statsd_on="True", statsd_host="127.0.0.1", statsd_port=str(port), statsd_influxdb_enabled="True"
        )
    ours = [line for line in lines if "hf_spaces" in line]
    assert any(line.startswith("airflow.hf_spaces.cost_usd,hardware=t4-small:") for line in ours)
    assert any(line.startswith("airflow.hf_spaces.requests.ok,method=POST:") for line in ours)
    assert [line for line in ours if "whisper" in line or "acme" in line] == []


@contextmanager
def otlp_server() -> Iterator[tuple[int, dict[str, dict[str, Any]]]]:
    """Receives OpenTelemetry's metrics over HTTP: its port, and the last value of each metric by its tags."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    metrics: dict[str, dict[str, Any]] = {}

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            message = ExportMetricsServiceRequest.FromString(body)
            for resource in message.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        data = getattr(metric, metric.WhichOneof("data"))
                        for point in data.data_points:
                            tags = ",".join(
                                f"{each.key}={each.value.string_value}" for each in point.attributes
                            )
                            value = getattr(point, "as_double", None) or getattr(point, "as_int", None)
                            metrics.setdefault(metric.name, {})[tags] = value
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, metrics
        finally:
            server.shutdown()
            thread.join()


def test_opentelemetry_receives_every_metric_with_its_tags(fleet: HubEmulator) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="Airflow's extra 'otel'")
    with otlp_server() as (port, metrics):
        run_script(otel_on="True", otel_host="127.0.0.1", otel_port=str(port))
    names = {name.removeprefix("airflow."): tags for name, tags in metrics.items()}
    ours = {name for name in names if name.startswith("hf_spaces")}
    assert ours >= SENT
    assert ours <= NAMES
    assert names["hf_spaces.cost_usd"]["hardware=t4-small"] == pytest.approx(0.013334, abs=1e-5)
    assert names["hf_spaces.billed_seconds"]["hardware=t4-small"] == 120


def test_the_page_lists_exactly_the_metrics_of_the_code() -> None:
    documented = {}
    for name, kind, tags, _ in table(DOCS / "metrics.md", "The metrics"):
        stem, brace, variants = name.strip("`").partition(".{")
        documented[stem] = (
            kind,
            tuple(re.findall(r"`(\w+)`", tags)),
            tuple(variants.rstrip("}").split(",")) if brace else (),
        )
    assert documented == {
        name: (metric.kind, metric.tags, metric.variants) for name, metric in METRICS.items()
    }


def test_every_name_is_valid_for_airflows_checks_and_short() -> None:
    assert [name for name in NAMES if not re.fullmatch(r"[a-z_.]{1,60}", name)] == []
