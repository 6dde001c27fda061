"""Publishing that is killed, terminated or interrupted, and repeated."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from kgloss_hf.cli import main
from tests.command_server import Forks
from tests.local_hub import LocalHub

from .conftest import moments

REPOSITORIES = [("dataset", "tester/mcksg"), ("model", "tester/vocabulary")]


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Return a command that publishes a data set and a tokenizer."""
    assert main(["export-dataset", "mcksg", "--output_dir", str(tmp_path / "mcksg")]) == 0
    options = ["--corpus_column", "text", "--dataset", "mcksg", "--vocab_size", "400"]
    assert main(["train-tokenizer", *options, "--output_dir", str(tmp_path / "tokenizer")]) == 0
    (_, dataset), (_, tokenizer) = REPOSITORIES
    sources = {"--dataset": (dataset, "mcksg"), "--tokenizer": (tokenizer, "tokenizer")}
    words = [word for option, (name, folder) in sources.items() for word in (option, name, str(tmp_path / folder))]
    return ["kgloss", "publish", *words]


def _published(hub: LocalHub) -> dict[str, tuple[int, dict[str, bytes]]]:
    """Return the number of commits and the files of each existing repository."""
    existing = [(kind, name) for kind, name in REPOSITORIES if (kind, name) in hub.repos]
    return {name: (len(hub.commits(kind, name)), hub.files(kind, name)) for kind, name in existing}


@pytest.mark.slow
def test_ended_at_a_random_moment(command: list[str], tmp_path: Path, forks: Forks, shared_hub: LocalHub) -> None:
    """Check that a repository is new or complete, and that repeating the command gives an undisturbed result."""
    hub = shared_hub
    hub.clear()
    folder = tmp_path / "here"
    folder.mkdir()

    def publish(seconds: float = 300, how: signal.Signals = signal.SIGKILL) -> int:
        return forks.run(command, folder, seconds, how)[0]

    begun = time.monotonic()
    assert publish() == 0
    seconds = time.monotonic() - begun
    expected = _published(hub)
    assert [commits for commits, _ in expected.values()] == [2, 2]  # the commit that creates the repository, and ours
    for seed, how, moment in moments("publish", seconds):
        hub.repos.clear()
        while publish(moment, how) == 0:  # the command finished before the signal
            hub.repos.clear()
            moment *= 0.9
        for name, state in _published(hub).items():
            assert state == expected[name] or (state[0], list(state[1])) == (1, [".gitattributes"]), f"{seed}: {name}"
        assert publish() == 0, seed
        assert _published(hub) == expected, seed
