from __future__ import annotations

import subprocess
import sys


def test_commands_that_load_no_encoder_start_without_torch() -> None:
    command = [sys.executable, "-c", "import sys, model_store.cli; sys.exit('torch' in sys.modules)"]
    assert subprocess.run(command, check=False).returncode == 0
