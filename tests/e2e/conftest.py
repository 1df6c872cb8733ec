# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests that need a running daemon."""

import pytest

import server


def pytest_configure(config):
    config.addinivalue_line("markers", "server: runs the daemon")
    config.addinivalue_line("markers", "slow: left out by --quick")


def pytest_collection_modifyitems(items):
    """Who imports the daemon's module (or one that does) runs it."""
    for item in items:
        if {"server", "control"} & set(vars(item.module)):
            item.add_marker(pytest.mark.server)


@pytest.fixture
def start(tmp_path):
    """start(fill, options) -> Daemon: with what fill(folder) puts into its
    repository, ready; stopped and checked at the end."""
    running = []

    def run(fill=None, options="", flags=(), wait=True, folder=None):
        home = tmp_path / f"daemon{len(running)}"
        home.mkdir()
        models = folder or home / "models"
        models.mkdir(exist_ok=True)
        if fill is not None:
            fill(models)
        daemon = server.Daemon(home, models, options, flags)
        running.append(daemon)
        return daemon.wait_ready() if wait else daemon

    yield run
    for daemon in running:
        if daemon.process.returncode is None:
            daemon.stop()
