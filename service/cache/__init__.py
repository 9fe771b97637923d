"""The offline cache of highly relevant products, in Redis or Valkey.

What search engineers use: `OfflineCache` reads it, `AsyncOfflineCache` does with asyncio.
"""

from __future__ import annotations

from service.cache.answers import CacheAnswer, CachedProduct, Status
from service.cache.client import AsyncOfflineCache, OfflineCache

__all__ = ["AsyncOfflineCache", "CacheAnswer", "CachedProduct", "OfflineCache", "Status"]
