from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environments import FORKS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

KINDS = (
    *("prefork", "fork in a thread", "fork of a fork", "thread of a fork", "new word", "fork beside a busy thread"),
    *("fork", "spawn", "forkserver", "map", "threads of asyncio", "processes of asyncio", "parent"),
)

# A forked child prints its answer, and is ended if it hangs.
PRELUDE = """
import gc, os, signal, subprocess, sys, threading, time
from kgloss_hf.runtime import java, okt
started, popen = [], subprocess.Popen
subprocess.Popen = lambda *words, **options: started.append(popen(*words, **options)) or started[-1]

def forked(work):
    child = os.fork()
    if child == 0:
        signal.alarm(90)
        try:
            print(work(), flush=True)
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
        os._exit(0)
    return child

def lemma(text):
    return okt.analyze([text])[0][0].lemma

def ends(process):
    for _ in range(600):
        if not os.path.exists(f'/proc/{process}') or 'State:\\tZ' in open(f'/proc/{process}/status').read():
            return True
        time.sleep(0.05)
    return False
"""


def _python(code: str, **environment: str) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-W", FORKS, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "KGLOSS_OKT_TABLE": "", **environment},
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.splitlines()


DEEP = """
import json
okt.analyze(['전시'])
for read, text in ((json.loads, '[' * 9_999), (lambda text: compile(text, '', 'eval'), '(' * 9_999)):
    try:
        read(text)
    except (RecursionError, SyntaxError) as error:
        print(type(error).__name__)
"""


def test_python_can_use_the_stack_of_a_thread_that_started_java() -> None:
    assert _python(DEEP) == ["RecursionError", "SyntaxError"]


@pytest.mark.slow
def test_pipeline_answers_in_every_kind_of_process(checkpoint: str) -> None:
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("processes.py")), checkpoint],
        capture_output=True,
        text=True,
        timeout=400,
        env={
            **{name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
            "TOKENIZERS_PARALLELISM": "true",  # otherwise, the library itself switches its threads off in a child
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        },
    )
    reports = [line for line in result.stdout.splitlines() if line.endswith(("True", "False"))]
    assert reports == [f"{kind} True" for kind in KINDS], result.stderr


def test_runtime_of_java_and_okt_needs_no_torch() -> None:
    assert _python("print('torch' in sys.modules)") == ["False"]


def test_fork_while_another_thread_starts_java() -> None:
    printed = _python(
        "thread = threading.Thread(target=lemma, args=('전시',))\n"
        "thread.start()\n"
        "while 'jpype' not in sys.modules:\n"
        "    time.sleep(0.001)\n"
        "os.waitpid(forked(lambda: lemma('박물관')), 0)\n"
        "thread.join()\n"
        "print(lemma('그릇'))\n"
    )
    assert printed == ["박물관", "그릇"]


@pytest.mark.slow
def test_fork_while_another_thread_is_in_okt_and_collects_garbage() -> None:
    printed = _python(
        "lemma('전시')\n"
        "done, rows = threading.Event(), [f'{i}번째 전시' for i in range(2000)]\n"
        "def work():\n"
        "    while not done.is_set():\n"
        "        okt._newer.clear(), okt._older.clear(), okt.analyze(rows), gc.collect()\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start()\n"
        "for _ in range(2):\n"
        "    time.sleep(0.1)\n"
        "    os.waitpid(forked(lambda: (lemma('아름다운'), gc.isenabled())), 0)\n"
        "done.set()\n"
        "thread.join()\n"
        "print(gc.isenabled())\n"
    )
    assert printed == ["('아름답다', True)"] * 2 + ["True"]


def test_fork_while_another_thread_uses_the_cache_file(tmp_path: Path) -> None:
    printed = _python(
        "okt.analyze_words = lambda words: [((w,), (w,), ('Noun',), (0,), (len(w),)) for w in words]\n"
        "done = threading.Event()\n"
        "def work():\n"
        "    number = 0\n"
        "    while not done.is_set():\n"
        "        number += 1\n"
        "        lemma(f'{number}번')\n"
        "        time.sleep(0.002)\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start()\n"
        "for number in range(12):\n"
        "    time.sleep(0.003)\n"
        "    os.waitpid(forked(lambda: lemma(f'{number}회')), 0)\n"
        "done.set()\n"
        "thread.join()\n",
        KGLOSS_OKT_CACHE=str(tmp_path / "okt.sqlite"),
    )
    assert printed == [f"{number}회" for number in range(12)]


@pytest.mark.slow
def test_fork_while_another_thread_asks_the_helper() -> None:
    printed = _python(
        "lemma('전시')\n"
        "def child():\n"
        "    answers, texts = [], [f'{i}번째 전시' for i in range(5000)]\n"
        "    thread = threading.Thread(target=lambda: answers.extend(okt.analyze(texts)))\n"
        "    lemma('박물관')\n"
        "    thread.start()\n"
        "    time.sleep(0.05)\n"
        "    os.waitpid(forked(lambda: lemma('아름다운')), 0)\n"
        "    thread.join()\n"
        "    return [morphemes[0].surface for morphemes in answers] == [f'{i}' for i in range(5000)], len(started)\n"
        "os.waitpid(forked(child), 0)\n"
    )
    assert printed == ["아름답다", "(True, 1)"]


def test_helper_outlives_signals_to_all_of_a_service_and_ends_with_its_process() -> None:
    printed = _python(
        "lemma('전시')\n"
        "read, write = os.pipe()\n"
        "def worker():\n"
        "    os.setpgid(0, 0)\n"
        "    lemma('박물관')\n"
        "    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
        "        signal.signal(number, signal.SIG_IGN)\n"
        "        os.killpg(0, number)\n"  # as a terminal does
        "        os.kill(started[-1].pid, number)\n"  # as systemd does
        "    print(lemma('그릇'), len(started), flush=True)\n"
        "    sibling = os.fork()\n"
        "    if sibling == 0:\n"
        "        time.sleep(100)\n"
        "        os._exit(0)\n"
        "    os.write(write, f'{started[-1].pid} {sibling}'.encode())\n"
        "    time.sleep(100)\n"
        "child = forked(worker)\n"
        "helper, sibling = map(int, os.read(read, 99).split())\n"
        "os.kill(child, signal.SIGKILL)\n"
        "os.waitpid(child, 0)\n"
        "print(ends(helper), os.kill(sibling, 0))\n"  # the copies of its pipes keep no helper alive
        "os.kill(sibling, signal.SIGKILL)\n"
    )
    assert printed == ["그릇 1", "True None"]


def test_helper_ends_in_the_middle_of_a_batch_with_its_process() -> None:
    printed = _python(
        "lemma('전시')\n"
        "read, write = os.pipe()\n"
        "def worker():\n"
        "    lemma('박물관')\n"
        "    os.write(write, str(started[-1].pid).encode())\n"
        "    okt.analyze([f'{i}번째{i}전시품입니다' for i in range(9000)])\n"
        "child = forked(worker)\n"
        "helper = int(os.read(read, 99))\n"
        "time.sleep(0.2)\n"
        "os.kill(child, signal.SIGKILL)\n"
        "os.waitpid(child, 0)\n"
        "print(ends(helper))\n"
    )
    assert printed == ["True"]


@pytest.mark.slow
def test_interrupted_question_gives_no_answer_to_the_next() -> None:
    printed = _python(
        "lemma('전시')\n"
        "class Late(Exception): pass\n"
        "def late(*_): raise Late\n"
        "def worker():\n"
        "    lemma('박물관')\n"
        "    signal.signal(signal.SIGALRM, late)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "    try:\n"
        "        okt.analyze([f'{i}번째{i}전시품입니다' for i in range(9000)])\n"
        "        return 'not interrupted'\n"
        "    except Late:\n"
        "        return lemma('그릇'), len(started)\n"
        "os.waitpid(forked(worker), 0)\n"
    )
    assert printed == ["('그릇', 2)"]
