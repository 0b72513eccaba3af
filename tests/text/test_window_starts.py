"""Texts that are too long, in overlapping windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertblocks.errors import ConfigError
from bertblocks.text import load_tokenizer
from bertblocks.text.windows import default_stride, window_starts


@settings(derandomize=True, max_examples=300)
@given(st.integers(0, 2000), st.integers(1, 200), st.data())
def test_windows_hold_every_token_and_nothing_twice_for_nothing(num_tokens, room, data):
    stride = data.draw(st.integers(1, room))
    starts = window_starts(num_tokens, room=room, stride=stride)
    ends = [min(start + room, num_tokens) for start in starts]
    assert starts[0] == 0 and ends[-1] == num_tokens
    assert all(0 < after - before <= stride for before, after in pairwise(starts))
    assert all(after <= end for after, end in zip(starts[1:], ends, strict=False))
    assert len(starts) == 1 or all(end - start == room for start, end in zip(starts, ends, strict=True))
    assert (num_tokens <= room) == (len(starts) == 1)


def test_by_hand():
    assert window_starts(10, room=4, stride=3) == [0, 3, 6]
    assert window_starts(11, room=4, stride=3) == [0, 3, 6, 7]
    assert window_starts(4, room=4, stride=1) == window_starts(0, room=4, stride=1) == [0]
    assert default_stride(510) == 382 and default_stride(1) == 1


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("english-uncased", sequence_length=16)


def test_a_text_that_fits_is_what_it_was(tokenizer):
    texts = ["a short text", "", "word " * 14]
    plain, sliding = tokenizer.encode(texts), tokenizer.with_windows("slide").encode(texts)
    assert sliding.windows == tuple((len(row),) for row in plain.ids) and max(map(len, plain.ids)) == 16
    for before, after in zip(plain.ids, sliding.ids, strict=True):
        assert np.array_equal(before, after)


def test_a_long_text_is_read_whole_and_counted_once(tokenizer):
    text = " ".join(f"word {number}" for number in range(30)) + " \u4e01\ue000"
    whole = tokenizer.with_sequence_length(512).encode([text])
    found = tokenizer.with_windows("slide", 5).encode([text])
    assert found.num_tokens[0] == whole.num_tokens[0] and not found.truncated[0]
    assert found.num_unknown[0] == whole.num_unknown[0] > 0
    windows = np.split(found.ids[0], np.cumsum(found.windows[0])[:-1])
    assert all(window[0] == 101 and window[-1] == 102 and len(window) == 16 for window in windows)
    content = whole.ids[0][1:-1]
    for number, window in enumerate(windows[:-1]):
        assert np.array_equal(window[1:-1], content[5 * number : 5 * number + 14])
    assert np.array_equal(windows[-1][1:-1], content[-14:])


@pytest.mark.parametrize("stride", [0, -1, 15, 2.5, True])
def test_a_stride_that_would_leave_text_out(tokenizer, stride):
    with pytest.raises(ConfigError, match="whole number from 1 to 14"):
        tokenizer.with_windows("slide", stride)


def test_pairs_do_not_slide(tokenizer):
    with pytest.raises(ConfigError, match="windows='truncate', which cuts the longer text first"):
        tokenizer.with_windows("slide").encode(["a"], ["b"])
