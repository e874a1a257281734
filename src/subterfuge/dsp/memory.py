"""Keep freed memory, so that each gradient step does not fetch its arrays from the system again."""

from __future__ import annotations

from functools import lru_cache

import torch


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Teach glibc's allocator, once a process, to reuse blocks of up to 32 MB and not to return them.

    It takes the largest block that was ever freed, up to 32 MB, for the size to keep (mallopt(3),
    M_MMAP_THRESHOLD). The block is never touched, so it costs nothing. Without it every array of a clip is fresh
    from the system and zeroed page by page, which makes a gradient step half as long again. Elsewhere than on
    glibc nothing happens.
    """
    torch.empty(31 << 20, dtype=torch.uint8)
