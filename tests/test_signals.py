"""Signals end waits; domains are sound afterwards."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from threads import HELD, PATIENCE, Holder, beside, eventually


class Signalled(Exception):
    pass


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no signals between threads")
def test_a_signal_handler_that_raises_ends_the_wait(domain):
    def handle(*_):
        raise Signalled

    def send():
        eventually(lambda: domain.stats().heavy_barriers)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with Holder(domain) as reader:
            with beside(send), pytest.raises(Signalled):
                domain.synchronize()
            assert domain.stats().grace_periods == 0
            with pytest.raises(TimeoutError):
                domain.synchronize(timeout=0)
            reader.leave()
            domain.synchronize(PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no signals between threads")
def test_a_signal_handler_that_returns_does_not(domain):
    handled = []

    def send(reader):
        eventually(lambda: domain.stats().heavy_barriers)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        eventually(lambda: handled)
        reader.leave()

    before = signal.signal(signal.SIGUSR1, lambda *_: handled.append(domain.stats().grace_periods))
    try:
        with Holder(domain) as reader, beside(send, reader):
            domain.synchronize()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled == [0]
    assert domain.stats().grace_periods == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to all of a console")
@pytest.mark.usefixtures("signals")
def test_ctrl_c():
    code = (
        HELD
        + """
try:
    print("waits", flush=True)
    domain.synchronize()
except KeyboardInterrupt:
    leave.set()
    worker.join()
    domain.synchronize(timeout=10)
    print("interrupted", flush=True)
"""
    )
    with subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "waits\n"
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "interrupted\n")
