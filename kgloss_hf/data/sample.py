"""The warning that comes with the demonstration sample of `mcksg`."""

from __future__ import annotations

import functools
import warnings


class SampleWarning(UserWarning):
    """Warn that rows are those of the demonstration sample, which no model for signers should rest on.

    Example:
        >>> import warnings
        >>> import kgloss_hf
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", kgloss_hf.SampleWarning)
    """


@functools.cache
def warn_of_sample() -> None:
    """Warn of the sample, once per process whatever the filters of warnings are."""
    warnings.warn(
        "mcksg/sample: 357 pairs written for demonstration: not the MCKSG corpus, and not reviewed by KSL signers",
        SampleWarning,
        stacklevel=2,
    )
