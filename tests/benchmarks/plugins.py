"""What plugins cost: finding that there are none, in milliseconds, in a fresh process.

python -m tests.benchmarks.plugins --json
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

RUNS = 9

CODE = """
import asyncio, sys, time
from engine.events import Events
from engine.plugin_finder import Plugins
from engine.tools import built_in_tools
async def main():
    plugins = Plugins(built_in_tools(), Events())
    before = time.perf_counter()
    await plugins.load()
    print(1000 * (time.perf_counter() - before))
asyncio.run(main())
"""


def main() -> None:
    times = [
        float(subprocess.check_output([sys.executable, "-c", CODE], text=True)) for _ in range(RUNS)
    ]
    print(json.dumps({"find_plugins_ms": round(statistics.median(times), 1), "runs": RUNS}))


if __name__ == "__main__":
    main()
