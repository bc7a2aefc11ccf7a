"""The folder of log files that tests write, which is none of the repository's."""

import tempfile
from pathlib import Path

LOG_FOLDER = str(Path(tempfile.gettempdir()) / "ctr-retrain-tests-log")
