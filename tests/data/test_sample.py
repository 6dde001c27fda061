from __future__ import annotations

import warnings

import pytest
from datasets import load_dataset

import kgloss_hf
from kgloss_hf.data.sample import SampleWarning, warn_of_sample


@pytest.mark.usefixtures("cache")
def test_the_sample_warns_once_whatever_the_filters_are() -> None:
    warn_of_sample.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            load_dataset("mcksg", split="train")
    assert [found.category for found in caught if found.category is SampleWarning] == [kgloss_hf.SampleWarning]
    message = next(str(found.message) for found in caught if found.category is SampleWarning)
    assert "357 pairs" in message
    assert "not reviewed by KSL signers" in message


@pytest.mark.usefixtures("cache")
def test_the_warning_can_be_an_error_and_can_be_silenced() -> None:
    warn_of_sample.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error", SampleWarning)
        with pytest.raises(SampleWarning):
            load_dataset("mcksg", split="train")
        warnings.simplefilter("ignore", SampleWarning)
        assert load_dataset("mcksg", split="train").num_rows == 249
