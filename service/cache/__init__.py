"""The offline cache of highly relevant products, in Redis or Valkey.

What search engineers use: `OfflineCache` reads it, `AsyncOfflineCache` does with asyncio.
"""

from __future__ import annotations

from service.cache.client import AsyncOfflineCache, OfflineCache
from service.cache.look_ups import CacheAnswer, CachedProduct, Status

__all__ = ["AsyncOfflineCache", "CacheAnswer", "CachedProduct", "OfflineCache", "Status"]
