from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

WITHOUT_TORCH = ("model_store.cli", "model_store.versions", "model_store.network", "model_store.encoding")


def test_commands_that_load_no_encoder_start_without_torch() -> None:
    command = [
        sys.executable,
        "-c",
        f"import sys, {', '.join(WITHOUT_TORCH)}; sys.exit('torch' in sys.modules)",
    ]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.parametrize("package", ["encoders", "encoding", "network", "versions"])
def test_a_package_says_what_it_is_and_what_others_may_use(package: str) -> None:
    module = importlib.import_module(f"model_store.{package}")
    assert module.__doc__
    assert module.__doc__.splitlines()[0].endswith(".")
    assert module.__all__
    assert all(getattr(module, name).__doc__ or name.isupper() for name in module.__all__)
