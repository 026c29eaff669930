"""A worker process: reads orders as JSON lines, runs each as a Beam pipeline, and says what it is doing.

Its standard output belongs to the protocol; whatever else prints goes to standard error. It ends at once when its
driver does, so that no orphan writes into a folder that a rerun works on.
"""

import json
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any


def _read_orders(orders: "queue.Queue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        orders.put(json.loads(line))
    os._exit(0)


def main() -> None:
    """Works until the driver closes the pipe."""
    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.ERROR)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver hears Ctrl-C, and closes the pipe
    orders: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()

    from pipelines import runner, stage

    stage.announce = lambda job: print(json.dumps({"part": job}), file=said)
    while True:
        order = orders.get()
        try:
            runner.run_pipeline(order["spec"], order["parts"], order["partitions"], order["beam_args"])
        except Exception:  # whatever a step raises is the driver's to report, with its part
            print(json.dumps({"error": traceback.format_exc()}), file=said)
        else:
            print(json.dumps({"done": True}), file=said)


if __name__ == "__main__":
    main()
