# SPDX-License-Identifier: Apache-2.0
"""Speech of Debian's espeak-ng, the same on each machine."""

import io
import shutil
import subprocess
import wave

import numpy
import pytest

RATE = 16000


def samples(text):
    """16-bit samples of text, at 16 kHz, as espeak-ng's usual voice says it."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: nobody to speak")
    done = subprocess.run(["espeak-ng", "--stdout", text],
                          capture_output=True, check=True, timeout=60)
    with wave.open(io.BytesIO(done.stdout)) as f:
        rate = f.getframerate()
        # The length in the header of what comes from a pipe is made up.
        sound = numpy.frombuffer(done.stdout[44:], numpy.int16)
    at = numpy.arange(int(len(sound) * RATE / rate)) * rate / RATE
    return numpy.interp(at, numpy.arange(len(sound)), sound)


def between_silence(text, before_s=2.0, after_s=1.0):
    return numpy.concatenate([
        numpy.zeros(int(before_s * RATE)), samples(text),
        numpy.zeros(int(after_s * RATE))]).astype(numpy.float32)
