"""A real Dask cluster on loopback: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent.parent

START_SECONDS = 60


class DaskCluster:
    """A scheduler, and workers of one thread each.

    Attributes:
        address: Of the scheduler.
        workers: Their processes.
    """

    def __init__(self, workers: int = 1) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dask-")
        self._file = Path(self._folder.name, "scheduler.json")
        self.workers: list[subprocess.Popen[bytes]] = []
        self._scheduler = self._run("dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        try:
            self.address = self._wait_for_address()
            for _ in range(workers):
                self.add_worker()
            if workers:
                self.wait_for(workers)
        except BaseException:
            self.stop()
            raise

    def add_worker(self) -> None:
        """Start one more."""
        alone = ("--nworkers", "1", "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")
        self.workers.append(self._run("dask_worker", *alone))

    def wait_for(self, workers: int) -> None:
        """Wait until the scheduler knows so many."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=START_SECONDS)

    def kill_worker(self) -> None:
        """End one without giving it a chance to say so."""
        worker = self.workers.pop()
        worker.kill()
        worker.wait()

    def kill_scheduler(self) -> None:
        """End the scheduler likewise."""
        self._scheduler.kill()
        self._scheduler.wait()

    def stop(self) -> None:
        """End all of it."""
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()
        self._folder.cleanup()

    def _wait_for_address(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while not (self._file.exists() and self._file.read_text().rstrip().endswith("}")):
            assert time.monotonic() < deadline, "Dask's scheduler did not start"
            time.sleep(0.05)
        address: str = json.loads(self._file.read_text())["address"]
        return address

    def _run(self, module: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}"]
        command += ["--scheduler-file", str(self._file), "--no-dashboard", *options]
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
        return subprocess.Popen(
            command,
            cwd=self._folder.name,
            env=os.environ | threads | {"PYTHONPATH": str(HERE)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
