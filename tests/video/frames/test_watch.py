import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.support.optionals import present
from vmz.video.faults import DecodingError
from vmz.video.frames.watch import DecodingThreads, Watch, watched


def test_a_watch_counts_from_the_last_progress():
    watch = Watch(0.2)
    assert not watch.is_over()  # it has not begun
    watch.begin()
    watch.reached(100)
    assert not watch.is_over()
    time.sleep(0.3)
    assert watch.is_over() and not watch.is_over(grace=5)
    watch.reached(100)  # it had been before
    assert watch.is_over()
    watch.reached(101)
    assert not watch.is_over()
    endless = Watch(0)
    endless.begin()
    time.sleep(0.01)
    assert not endless.is_over()
    assert Watch(90).reason.startswith("it gave no new frame for 90 seconds")


@pytest.mark.long
def test_time_in_which_the_process_is_stopped_does_not_count():
    """As after Ctrl-Z and fg, or where a batch system sets a job aside: no video is bad for that."""
    program = """
import os, signal, sys, time
from vmz.video.frames.watch import DecodingThreads, Watch
watch, threads = Watch(3), DecodingThreads(1)
def slow():
    watch.begin()
    print("begun", flush=True)
    time.sleep(1)
    return "read"
import vmz.video.frames.watch as module
module.LONGEST_STEP = 1.5
print(threads.result(threads.submit(slow), watch))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert present(process.stdout).readline() == "begun\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(6)  # more than the timeout and the grace
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=60)[0] == "read\n"


def test_what_does_not_come_back_is_left_behind():
    gate = threading.Event()

    def stuck(watch):
        watch.begin()
        gate.wait()

    begun = time.monotonic()
    with pytest.raises(DecodingError, match=r"it gave no new frame for 0\.5 seconds"):
        watched(stuck, 0.5)
    assert time.monotonic() - begun < 10
    gate.set()


def test_watched_gives_results_and_errors():
    assert watched(lambda watch: watch.timeout, 7) == 7
    with pytest.raises(ZeroDivisionError):
        watched(lambda watch: 1 // 0)


def test_threads_work_in_order_and_one_that_is_stuck_is_replaced():
    gate, watch = threading.Event(), Watch(0.1)

    def stuck():
        watch.begin()
        gate.wait()

    threads = DecodingThreads(1)
    first, others = threads.submit(stuck), [threads.submit(pow, number, 2) for number in range(5)]
    with pytest.raises(DecodingError):
        threads.result(first, watch)
    assert [threads.result(other, Watch(5)) for other in others] == [0, 1, 4, 9, 16]
    waiting = threading.Event()
    last = threads.submit(waiting.wait, 0.2)
    dropped = threads.submit(pow, 2, 2)
    while not last.running():
        time.sleep(0.01)
    threads.close()  # waits for what has begun
    assert last.done() and dropped.cancelled()
    gate.set()
