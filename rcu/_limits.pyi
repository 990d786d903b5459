from typing import SupportsFloat, SupportsIndex, overload

from rcu.diagnostics import GarbageStats

@overload
def set_garbage_limit(limits: None, /) -> None: ...
@overload
def set_garbage_limit(
    *,
    number: SupportsIndex | None = 100_000,
    nbytes: SupportsIndex | None = 67_108_864,
    age: SupportsFloat | SupportsIndex | None = 60.0,
) -> None: ...
def garbage_stats() -> GarbageStats: ...
