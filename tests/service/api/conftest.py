from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.service.running import RunningService, running_service, settings_for


@pytest.fixture
async def service(tiny_store: Path, tmp_path: Path) -> AsyncIterator[RunningService]:
    settings = settings_for(tiny_store, tmp_path, max_pairs=50, max_body_bytes=200_000, max_text_characters=1000)
    async with running_service(settings) as running:
        yield running
