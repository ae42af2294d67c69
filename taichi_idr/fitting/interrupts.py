"""Signals that ask a fit to end: remembered until the step is over, so that a checkpoint is written first."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from ..errors import ExitCode, Stopped

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Batch systems send the last one some time before they kill."""
_CAUGHT = tuple(getattr(signal, name) for name in STOPPING if hasattr(signal, name))


class Interrupts:
    """`with Interrupts() as interrupts:` and ask `interrupts.pending` between steps.

    A second SIGINT raises KeyboardInterrupt at once. SIGHUP stays ignored where it was (nohup). Outside the
    main thread, where Python allows no handlers, nothing is caught.
    """

    def __init__(self) -> None:
        self.pending: signal.Signals | None = None
        self._former: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _CAUGHT:
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._former:
            number, handler = self._former.popitem()
            signal.signal(number, handler or signal.SIG_DFL)  # pyright: ignore[reportArgumentType]

    def stopped(self, where: object, todo: str = "run the same command again to go on") -> Stopped:
        """The error that ends the command with 128 + the signal's number, once a checkpoint is on disk."""
        if self.pending is None:
            raise ValueError("no signal is pending")
        what = f"stopped by {self.pending.name}, checkpoint written"
        return Stopped(what, where=where, todo=todo, exit_code=ExitCode(128 + self.pending))

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.pending == signal.SIGINT:
            raise KeyboardInterrupt
        self.pending = self.pending or signal.Signals(number)
