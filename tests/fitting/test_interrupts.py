"""Signals wait for the end of a step."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from taichi_idr.errors import ExitCode
from taichi_idr.fitting.interrupts import Interrupts

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGUSR1: 138}
CAUGHT = tuple(CODES)


@pytest.fixture(autouse=True)
def not_under_nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in CAUGHT]


@pytest.mark.parametrize("number", CAUGHT, ids=lambda number: number.name)
@pytest.mark.fault(67)
def test_a_signal_is_remembered_and_ends_the_command_with_its_code(number: signal.Signals) -> None:
    before = handlers()
    with Interrupts() as interrupts:
        assert interrupts.pending is None
        os.kill(os.getpid(), number)
        assert interrupts.pending == number
        stopped = interrupts.stopped("runs/skull")
    assert stopped.exit_code == ExitCode(CODES[number])
    assert str(stopped) == (
        f"stopped by {number.name}, checkpoint written (runs/skull): run the same command again to go on"
    )
    assert handlers() == before


@pytest.mark.fault(67)
def test_a_second_sigint_does_not_wait() -> None:
    before = handlers()
    with pytest.raises(KeyboardInterrupt), Interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    assert handlers() == before


def test_sigint_after_sigterm_does_not_cut_the_checkpoint() -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.pending == signal.SIGTERM


def test_nohup_stays_in_force() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            assert interrupts.pending is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_nothing_is_caught() -> None:
    seen: list[object] = []
    before = handlers()

    def work() -> None:
        with Interrupts() as interrupts:
            seen.extend((handlers() == before, interrupts.pending))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True, None]


def test_nothing_was_stopped() -> None:
    with pytest.raises(ValueError, match="no signal is pending"):
        Interrupts().stopped("runs/skull")
