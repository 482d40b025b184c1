"""The first Ctrl-C is a request, the second one an interrupt."""

import os
import signal
import threading

import pytest

from keras_unet3d.training.interrupt import ends_early


def test_the_first_interrupt_is_a_request_and_the_second_interrupts():
    usual = signal.getsignal(signal.SIGINT)
    with ends_early() as requested:
        assert not requested()
        os.kill(os.getpid(), signal.SIGINT)
        assert requested()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is usual


def test_the_usual_handler_is_back_after_an_error():
    usual = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), ends_early():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is usual


def test_in_another_thread_signals_are_left_alone():
    usual, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with ends_early() as requested:
            seen.extend([signal.getsignal(signal.SIGINT), requested()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [usual, False]
