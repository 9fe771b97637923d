from __future__ import annotations

import asyncio
import json
from pathlib import Path

from service.cache.store import QueryScores, opened_cache
from service.settings import ServiceSettings
from tests.support.service.command_line import Shop


async def fill(folder: Path, *products: str) -> None:
    settings = ServiceSettings(_env_file=None, cache_folder=folder / "cache")
    async with opened_cache(settings) as cache:
        built = await cache.generations.create("us", 1, "fill", "building")
        await cache.merge(built, [QueryScores("tea", dict.fromkeys(products, 0.9))])
        await cache.generations.activate(built, 1, len(products))


def test_the_commands_on_the_cache(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path, "a", "b"))
    asyncio.run(fill(tmp_path, "a", "b", "c"))
    shop = Shop.in_folder(tmp_path, tmp_path / "no-store")
    market = ("--marketplace", "us")
    listed = json.loads(shop.run("cache", "generations", *market, "--json").output)
    assert [(one["number"], one["active"]) for one in listed] == [(2, True), (1, False)]
    assert "read now" in shop.run("cache", "generations", *market).output
    assert shop.run("cache", "purge-product", "b", *market).output == "us: taken out of 2 entries\n"
    assert shop.run("lookup", "tea", *market).output == "0.9000\tc\n0.9000\ta\n"
    assert shop.run("lookup", "tea", *market, "--limit", "1").output == "0.9000\tc\n"
    refused = shop.run("cache", "purge-generation", "2", *market)
    assert (refused.code, "is the one that is read" in refused.errors) == (2, True)
    assert shop.run("cache", "purge-generation", "1", *market).output == "us: generation 1 is removed\n"
    assert shop.run("cache", "restore-product", "b", *market).code == 0
    assert shop.run("cache", "purge-query", "TEA", *market).output == "us: removed from 1 generations\n"
    assert shop.run("lookup", "tea", *market).output == "never scored\n"


def test_case_does_not_matter_in_a_marketplace(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path, "a"))
    asyncio.run(fill(tmp_path, "a", "b"))
    shop = Shop.in_folder(tmp_path, tmp_path / "no-store")
    assert shop.run("lookup", "te\u00ada", "--marketplace", "US").output == "0.9000\tb\n0.9000\ta\n"
    assert (
        shop.run("cache", "purge-product", "b", "--marketplace", " Us").output == "us: taken out of 1 entries\n"
    )
    back = shop.run("rollback", "--marketplace", "US").output
    assert back == "us: generation 1 (model version 1) is read now\n"
    refused = shop.run("lookup", "tea", "--marketplace", "u s")
    assert (refused.code, "'u s' is no marketplace name" in refused.errors) == (2, True)
    blank = shop.run("lookup", "\u200b", "--marketplace", "us")
    assert (blank.code, "empty or only white space" in blank.errors) == (2, True)
