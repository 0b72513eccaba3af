from __future__ import annotations

import threading

import pytest
import torch

from bertblocks.assembly.lanes import lanes, lanes_of


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_keep_the_order_of_the_items():
    late = threading.Event()

    def compute(item):
        if item == 0:
            # The second item is done before the first.
            assert late.wait(10)
        if item == 1:
            late.set()
        return item * 10

    with lanes(compute, range(6), 2) as results:
        assert list(results) == [0, 10, 20, 30, 40, 50]


def test_each_lane_computes_with_one_thread_and_the_caller_keeps_its_own():
    with lanes(lambda _: torch.get_num_threads(), range(4), 2) as results:
        assert list(results) == [1, 1, 1, 1]
    assert torch.get_num_threads() == 3
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [3]


def test_threads_that_begin_meanwhile_are_not_told_to_work_alone():
    seen, go_on = [], threading.Event()
    with lanes(lambda _: go_on.wait(10), range(2), 2) as results:
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        go_on.set()
        assert list(results) == [True, True]
    assert seen == [3]


@pytest.mark.parametrize(("items", "num_lanes"), [(range(3), 1), (range(1), 2), (range(0), 2)])
def test_one_lane_or_item_is_computed_by_the_caller(items, num_lanes):
    with lanes(lambda _: threading.current_thread(), items, num_lanes) as results:
        assert set(results) <= {threading.current_thread()}


def test_an_error_comes_out_and_no_lane_is_left():
    done, nobody = [], threading.Event()

    def compute(item):
        if item == 1:
            raise ValueError("item 1")
        # So long that all of them would take 5 s, in which the caller hears of item 1.
        nobody.wait(0.05)
        done.append(item)
        return item

    with pytest.raises(ValueError, match="item 1"), lanes(compute, range(200), 2) as results:
        list(results)
    assert len(done) < 199
    assert not any(thread.name.startswith("lane") for thread in threading.enumerate())
    assert torch.get_num_threads() == 3


def test_a_cpu_has_a_lane_for_each_thread_and_a_gpu_one():
    assert lanes_of(torch.device("cpu")) == 3
    assert lanes_of(torch.device("cuda")) == 1
