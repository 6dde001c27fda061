"""Publishing that is killed, terminated or interrupted, and done again."""

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
    """Publishes a data set and a tokenizer."""
    assert main(["export-dataset", "mcksg", "--output_dir", str(tmp_path / "mcksg")]) == 0
    options = ["--corpus_column", "text", "--dataset", "mcksg", "--vocab_size", "400"]
    assert main(["train-tokenizer", *options, "--output_dir", str(tmp_path / "tokenizer")]) == 0
    (_, dataset), (_, tokenizer) = REPOSITORIES
    sources = {"--dataset": (dataset, "mcksg"), "--tokenizer": (tokenizer, "tokenizer")}
    words = [word for option, (name, folder) in sources.items() for word in (option, name, str(tmp_path / folder))]
    return ["kgloss", "publish", *words]


def _published(hub: LocalHub) -> dict[str, tuple[int, dict[str, bytes]]]:
    """The commits and the files of each repository that is there."""
    there = [(kind, name) for kind, name in REPOSITORIES if (kind, name) in hub.repos]
    return {name: (len(hub.commits(kind, name)), hub.files(kind, name)) for kind, name in there}


@pytest.mark.slow
def test_ended_at_a_random_moment(command: list[str], tmp_path: Path, forks: Forks, shared_hub: LocalHub) -> None:
    """A repository is as it was made, or whole; the same command leaves what an undisturbed one leaves."""
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
    assert [commits for commits, _ in expected.values()] == [2, 2]  # that of the new repository, and ours
    for seed, how, moment in moments("publish", seconds):
        hub.repos.clear()
        while publish(moment, how) == 0:  # it was done before
            hub.repos.clear()
            moment *= 0.9
        for name, found in _published(hub).items():
            assert found == expected[name] or (found[0], list(found[1])) == (1, [".gitattributes"]), f"{seed}: {name}"
        assert publish() == 0, seed
        assert _published(hub) == expected, seed
