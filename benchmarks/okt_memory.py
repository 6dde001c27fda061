"""Run Okt over the 663,527 film reviews of NSMC; print one JSON line with time and peak memory along the way.

KGLOSS_DATA=FOLDER python benchmarks/okt_memory.py
"""

import json
import resource
import time
from itertools import islice

from corpora import nsmc_lines

from kgloss_hf.runtime import okt

STEP = 100_000
BATCH = 1000


def main() -> None:
    okt.analyze(["불"])  # starts Java and loads Okt's dictionaries
    lines = nsmc_lines()
    read = 0
    points = []
    started = time.perf_counter()
    while batch := list(islice(lines, BATCH)):
        okt.analyze(batch)
        read += len(batch)
        if read % STEP == 0 or len(batch) < BATCH:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            points.append({"lines": read, "seconds": round(time.perf_counter() - started, 1), "peak_rss_mib": peak})
    print(json.dumps(points))


if __name__ == "__main__":
    main()
