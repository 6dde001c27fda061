"""Build a corpus repeatedly, killing each run after a random time; begin another corpus whenever one is complete.

python interrupted.py DATA_DIR OUTPUT_DIR KILLS
"""

import json
import os
import random
import signal
import sys
import time

from kgloss_hf.back_translation.corpus import BackTranslationArguments, build_corpus

from .stand_ins import Drawer, WordSwapper


def build(data_dir: str, output_dir: str) -> None:
    arguments = BackTranslationArguments(
        ["question_pair"], output_dir=output_dir, data_dir=data_dir, chunk_size=40, seed=7
    )
    build_corpus(arguments, engines=[(WordSwapper(seconds=0.002), 2), (Drawer(seconds=0.002), 1)])


def main() -> None:
    data_dir, output_dir, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
    draw = random.Random(0)  # noqa: S311 - moments to kill at, no secrets
    folders, killed = [f"{output_dir}-0"], 0
    while killed < kills:
        # A fork begins the build at once; imports take longer than the work.
        child = os.fork()
        if child == 0:
            build(data_dir, folders[-1])
            os._exit(0)
        time.sleep(draw.uniform(0, 1))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.WEXITSTATUS(status):
            sys.exit("a build failed")
        else:
            folders.append(f"{output_dir}-{len(folders)}")
    build(data_dir, folders[-1])
    print(json.dumps({"killed": killed, "folders": folders}))


if __name__ == "__main__":
    main()
