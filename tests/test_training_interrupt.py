import os
import signal
import threading

import pytest

from course_lib.training.interrupt import interruptible


def test_the_first_signal_is_noted_and_the_second_raises():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interruptible() as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("signals", "expected", "status"),
    [
        ([signal.SIGINT], KeyboardInterrupt, None),
        ([signal.SIGTERM], SystemExit, 143),
        ([signal.SIGTERM, signal.SIGTERM], SystemExit, 143),
        ([signal.SIGTERM, signal.SIGINT], KeyboardInterrupt, None),
        ([signal.SIGINT, signal.SIGTERM], SystemExit, 143),
    ],
)
def test_the_last_signal_says_how_the_program_ends(signals, expected, status):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(expected) as ended, interruptible() as interrupt:
        for number in signals:
            os.kill(os.getpid(), number)
        assert len(signals) == 1 and interrupt.asked  # a second signal does not wait
        interrupt.stop()
    assert status is None or ended.value.code == status
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("own", [signal.SIG_IGN, lambda number, frame: None])
def test_a_program_that_handles_sigterm_itself_keeps_its_handler(own):
    before = signal.signal(signal.SIGTERM, own)
    try:
        with interruptible() as interrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            assert not interrupt.asked and signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)


def test_outside_the_main_thread_nothing_is_installed():
    def body():
        with interruptible() as interrupt:
            seen.append((signal.getsignal(signal.SIGINT), interrupt.asked))

    seen = []
    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [(signal.getsignal(signal.SIGINT), False)]
