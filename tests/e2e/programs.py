# SPDX-License-Identifier: Apache-2.0
"""Where the programs under test are: the build folder, from QUANTD_BUILD."""

import os
import pathlib

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("QUANTD_BUILD", TOP / "build")).resolve()
QUANTCTL = BUILD / "quantctl"
QUANTD = BUILD / "quantd"
