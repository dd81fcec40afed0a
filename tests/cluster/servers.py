"""Temporary PostgreSQL and Redis servers for tests, each with its own folder, port and password."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.needs import message, program
from tests.processes.airflow_processes import free_port

__all__ = ["postgres", "redis"]


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL with one empty database, and yield its address for SQLAlchemy."""
    # Not in the folder of the test: root starts PostgreSQL as another user, who cannot enter that folder.
    folder = Path(tempfile.mkdtemp(prefix="hfspaces-postgres-"))
    password, port, user = secrets.token_hex(16), free_port(), _unprivileged_user()
    try:
        pwfile, data = folder / "password", folder / "data"
        pwfile.write_text(password)
        pwfile.chmod(0o600)
        if user:
            for path in (folder, pwfile):
                shutil.chown(path, user["user"], user["group"])
        _run(
            [
                _required_program("initdb"),
                f"--pgdata={data}",
                "--username=airflow",
                "--auth=scram-sha-256",
                f"--pwfile={pwfile}",
                "--encoding=UTF8",
                "--locale=C",
            ],
            folder,
            user,
        )
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "300",
            "fsync": "off",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [_required_program("postgres"), "-D", str(data), "-p", str(port), *settings]
        with _server(command, folder / "postgres.out", user):
            address = f"postgresql://airflow:{password}@127.0.0.1:{port}"
            _until_it_answers(lambda: _make_database(address))
            yield f"postgresql+psycopg2://airflow:{password}@127.0.0.1:{port}/airflow"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a Redis without persistence, and yield its address."""
    password, port = secrets.token_hex(16), free_port()
    command = [
        *(
            _required_program("redis-server"),
            "--bind",
            "127.0.0.1",
            "--port",
            str(port),
            "--dir",
            str(folder),
        ),
        *("--save", "", "--appendonly", "no", "--requirepass", password),
    ]
    address = f"redis://:{password}@127.0.0.1:{port}"
    with _server(command, folder / "redis.out", {}):
        import redis as client

        _until_it_answers(lambda: client.Redis.from_url(address).ping())
        yield address


def _make_database(address: str) -> None:
    import psycopg2

    connection = psycopg2.connect(f"{address}/postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE airflow")
    finally:
        connection.close()


def _unprivileged_user() -> dict[str, Any]:
    """The user that runs PostgreSQL, since PostgreSQL refuses to run as root; empty for any other user."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise RuntimeError(
        "PostgreSQL refuses to run as root, and this host has neither a user postgres nor a user nobody."
    )


def _required_program(name: str) -> str:
    path = program(name)
    if path is None:
        raise RuntimeError(message())
    return path


def _run(command: list[str], folder: Path, user: dict[str, Any]) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, **user)
    assert result.returncode == 0, result.stdout + result.stderr


@contextmanager
def _server(command: list[str], log: Path, user: dict[str, Any]) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=log.parent, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, **user
        )
    try:
        yield
    except BaseException:
        print(log.read_text(errors="replace")[-3000:])
        raise
    finally:
        # On a SIGTERM, PostgreSQL would wait for its clients to disconnect.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _until_it_answers(ask: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not _answers(ask, last=time.monotonic() > end):
        time.sleep(0.2)


def _answers(ask: Callable[[], object], *, last: bool) -> bool:
    try:
        ask()
    except Exception:
        if last:
            raise
        return False
    return True
