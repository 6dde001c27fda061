from __future__ import annotations

from pathlib import Path

import pytest

from tests.prose import main

PYTHON = '''"""Read what people hold.

Rows are there; words a second are counted beside the one of
them. Code is not prose: `a stranger`.
"""

# A number, as it
# is.


class Cell:
    """What a table holds."""

    @property
    def text(self) -> str:
        """The text of the cell."""
        raise ValueError(f"expected text, found {len(self.rows)} empty rows")

    def read(self) -> str:
        """The text, once more.

        Examples:
            >>> "whoever"
        """
        return f"{len(self.rows)} of the rows"
'''
OF_PYTHON = """\
3: 'are there'
3: 'beside'
3: 'the one of'
3: 'words a second'
7: 'as it is'
12: a docstring that begins with 'what'
17: a number that may be 1 before empty rows
20: a docstring of a function that begins with 'the'"""

MARKDOWN = """---
text: so many strangers
---
# So many

```sh
echo 1 pairs, beside
```

Each line is said, 1 pairs of 21 pairs too, and in release 0.1 lines; `1 pairs`
are what it holds.
"""
OF_MARKDOWN = """\
4: 'So many'
10: '1 pairs'
10: 'is said'"""


@pytest.mark.parametrize(("name", "text", "expected"), [("a.py", PYTHON, OF_PYTHON), ("a.md", MARKDOWN, OF_MARKDOWN)])
def test_places(name: str, text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    assert main([str(path)]) == 1
    lines = capsys.readouterr().out.replace(f"{path}:", "").splitlines()
    assert [line.rpartition(": ")[0] for line in lines] == expected.splitlines()


def test_what_is_well_written_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.md").write_text("There are 21 pairs. Besides, what is there to say in 1 line?\n", "utf-8")
    assert (main([str(tmp_path)]), capsys.readouterr().out) == (0, "")
