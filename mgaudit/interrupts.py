"""Signals that end a command in order, as Ctrl-C does."""

import signal
import threading
from types import FrameType

SIGNALS = ("SIGTERM", "SIGHUP")  # of schedulers and containers, and of a terminal that is closed

KEPT = "the models trained so far are kept, and the same command goes on from there"
NOTHING_KEPT = "nothing is kept, and the same command begins anew"


class Interrupted(KeyboardInterrupt):
    """Raised by a signal other than that of Ctrl-C; `name` is its name, such as SIGTERM."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def interrupt_on_signals() -> None:
    """Makes SIGTERM and SIGHUP raise `Interrupted` in the main thread.

    A signal that is ignored stays ignored, such as SIGHUP under nohup. In another thread nothing
    happens, because only the main thread can handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for name in SIGNALS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def exit_code(interruption: BaseException | None) -> int:
    """Returns the exit code of a command that was interrupted: 128 and the number of the signal.

    >>> exit_code(KeyboardInterrupt()), exit_code(Interrupted("SIGTERM"))
    (130, 143)
    """
    name = interruption.name if isinstance(interruption, Interrupted) else "SIGINT"
    return 128 + int(signal.Signals[name])


def described_interruption(interruption: BaseException | None) -> str:
    """Returns the interruption in words.

    >>> described_interruption(KeyboardInterrupt()), described_interruption(Interrupted("SIGTERM"))
    ('interrupted', 'interrupted by SIGTERM')
    """
    if isinstance(interruption, Interrupted):
        return f"interrupted by {interruption.name}"
    return "interrupted"


def say_what_is_kept(interruption: KeyboardInterrupt, sentence: str) -> None:
    """Adds to an interruption what remains of the work; the first sentence stays.

    Python shows it below the traceback.
    """
    if not what_is_kept(interruption):
        interruption.add_note(sentence)


def what_is_kept(interruption: BaseException) -> str:
    """Returns what remains of the work after an interruption, in words; "" where nothing says it.

    >>> interruption = KeyboardInterrupt()
    >>> say_what_is_kept(interruption, "nothing is kept")
    >>> what_is_kept(interruption), what_is_kept(KeyboardInterrupt())
    ('nothing is kept', '')
    """
    return next(iter(getattr(interruption, "__notes__", ())), "")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(signal.Signals(number).name)
