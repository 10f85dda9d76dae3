"""The whole app under a pilot that does everything at random while models, servers and disks fail.

    make soak ARGS='--minutes 10 --seed 7'

The pilot (`pilot.py`) types, sends, stops, edits, branches, searches, researches, deletes, opens
panes and resizes. A model server (`parrot.py`) and the services that research asks (`services.py`)
fail in every way, and so does what is around the app (`faults.py`). In the end nothing may be lost
or doubled (`ledger.py`), nor left behind (`checks.py`). The seed decides on what is done and on
every fault, in order (`schedule.py`); how they meet in time is the machine's.
"""
