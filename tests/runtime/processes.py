"""Call one pipeline in every kind of process, after using it here with two threads, and print a line for each kind.

python processes.py MODEL
"""

import asyncio
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import datasets
import torch
from transformers import pipeline

import kgloss_hf  # noqa: F401 - registers the pipeline

TEXTS = ["이 토기는 4세기에 만들어졌습니다.", "높이 12m 폭 6m 의 괘불 미디어아트가 펼쳐집니다."] * 8
KINDS = ("fork", "spawn", "forkserver")


def glosses(answers):
    return [answer["generated_text"] for answer in answers]


def in_children(ask, expected, count=1):
    """Return the exit statuses of forked children: 0 if the answer was as expected."""
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            status = 2
            try:
                status = int(ask() != expected)
            finally:
                os._exit(status)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def main():
    torch.set_num_threads(2)
    text_to_gloss = pipeline("text-to-gloss", model=sys.argv[1])
    expected = glosses(text_to_gloss(TEXTS))
    assert torch.get_num_threads() == 2

    def ask():
        return glosses(text_to_gloss(TEXTS))

    def tell(kind, right):
        print(kind, right, flush=True)

    tell("prefork", in_children(ask, expected, 3) == [0, 0, 0])
    with ThreadPoolExecutor(1) as pool:
        tell("fork in a thread", pool.submit(in_children, ask, expected).result() == [0])
    tell("fork of a fork", in_children(lambda: in_children(ask, expected), [0]) == [0])
    tell("thread of a fork", in_children(lambda: ThreadPoolExecutor(1).submit(ask).result(), expected) == [0])
    new = ["처음 보는 낱말"]
    tell("new word", in_children(lambda: len(text_to_gloss(new)), 1) == [0])

    done = threading.Event()

    def work():
        while not done.is_set():
            ask()

    thread = threading.Thread(target=work)
    thread.start()
    tell("fork beside a busy thread", in_children(ask, expected, 3) == [0, 0, 0])
    done.set()
    thread.join()

    for kind in KINDS:
        with multiprocessing.get_context(kind).Pool(1) as workers:
            tell(kind, glosses(workers.map(text_to_gloss, TEXTS[:2])) == expected[:2])

    rows = datasets.Dataset.from_dict({"text": TEXTS})
    answered = rows.map(lambda part: {"glosses": glosses(text_to_gloss(part["text"]))}, batched=True, num_proc=2)
    tell("map", answered["glosses"][:] == expected)

    async def in_executors():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2) as processes:
            for kind, executor in (("threads of asyncio", threads), ("processes of asyncio", processes)):
                asked = [loop.run_in_executor(executor, text_to_gloss, TEXTS) for _ in range(4)]
                tell(kind, [glosses(answers) for answers in await asyncio.gather(*asked)] == [expected] * 4)

    asyncio.run(in_executors())
    tell("parent", ask() == expected and torch.get_num_threads() == 2)


if __name__ == "__main__":
    main()
