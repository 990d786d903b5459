"""How long reads took: a histogram of fixed size, exact to one part in 16."""

from collections.abc import Iterable, Iterator

# A bucket is what a number's leading five bits and its length say about it.
_PARTS = 16
_LONGEST_BITS = 48
_BUCKETS = _PARTS * (_LONGEST_BITS - 3)


class ReadTimes:
    """A histogram of durations in nanoseconds, for one thread to write."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.longest = 0

    def add(self, duration: int) -> None:
        """Count one more read."""
        shift = max(duration.bit_length() - 5, 0)
        self._counts[min(shift * _PARTS + (duration >> shift), _BUCKETS - 1)] += 1
        if duration > self.longest:
            self.longest = duration

    @classmethod
    def merged(cls, parts: Iterable["ReadTimes"]) -> "ReadTimes":
        """All of them in one."""
        whole = cls()
        for part in parts:
            whole._counts = [a + b for a, b in zip(whole._counts, part._counts, strict=True)]
            whole.longest = max(whole.longest, part.longest)
        return whole

    def percentile(self, share: float) -> int:
        """The duration that this share of all reads (0 to 1) did not exceed; 0 if there were none."""
        wanted = share * sum(self._counts)
        for duration, reads in self.curve():
            if reads >= wanted:
                return duration
        return 0

    def curve(self) -> Iterator[tuple[int, int]]:
        """Durations that occurred, ascending, each with the number of reads that did not exceed it."""
        reads = 0
        for bucket, count in enumerate(self._counts):
            if count:
                reads += count
                # The last bucket has no upper end of its own.
                highest = _highest(bucket) if bucket < _BUCKETS - 1 else self.longest
                yield min(highest, self.longest), reads


def _highest(bucket: int) -> int:
    shift = max(bucket // _PARTS - 1, 0)
    return ((bucket - shift * _PARTS + 1) << shift) - 1
