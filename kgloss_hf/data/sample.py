"""Warning about the demonstration sample of `mcksg`."""

from __future__ import annotations

import functools
import warnings


class SampleWarning(UserWarning):
    """Warning that rows come from the demonstration sample, on which no model for signers should be based.

    Examples:
        >>> import warnings
        >>> import kgloss_hf
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", kgloss_hf.SampleWarning)
    """


@functools.cache
def warn_of_sample() -> None:
    """Warn of the sample, once per process regardless of the warning filters."""
    warnings.warn(
        "mcksg/sample: 357 pairs written for demonstration: not the MCKSG corpus, and not reviewed by KSL signers",
        SampleWarning,
        stacklevel=2,
    )
