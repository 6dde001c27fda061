"""Optional libraries: check that they are installed, name the command that installs them, and read versions."""

from __future__ import annotations

import importlib.metadata
from importlib.util import find_spec

from .version import __version__


def require(extra: str, *modules: str, purpose: str) -> None:
    """Check that modules are installed, without importing more than their parent packages.

    Args:
        extra: Extra of kgloss-hf that installs them.
        modules: Import names of the modules.
        purpose: Description of what needs them, for the message.

    Raises:
        ImportError: A module is missing.

    Examples:
        >>> require("train", "json", "no_such_module", purpose="plots")
        Traceback (most recent call last):
        ImportError: plots: expected the module no_such_module, found none; run: pip install "kgloss-hf[train]"
    """
    for module in modules:
        try:
            missing = find_spec(module) is None
        except ModuleNotFoundError:  # its parent package is missing
            missing = True
        if missing:
            raise ImportError(f"{purpose}: expected the module {module}, found none; run: {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that installs an extra.

    Args:
        extra: Extra of kgloss-hf.

    Examples:
        >>> install_command("train")
        'pip install "kgloss-hf[train]"'
    """
    return f'pip install "kgloss-hf[{extra}]"'


def versions(*distributions: str) -> dict[str, str]:
    """Return the versions of installed distributions. The version of kgloss-hf is known even if it is not installed.

    Args:
        *distributions: Names of the distributions.

    Raises:
        importlib.metadata.PackageNotFoundError: A distribution is not installed.

    Examples:
        >>> list(versions("kgloss-hf", "torch"))
        ['kgloss-hf', 'torch']
    """
    return {name: __version__ if name == "kgloss-hf" else importlib.metadata.version(name) for name in distributions}
