"""Which texts are copies of one story.

Retweets and syndicated copies differ in prefix, links, mentions, case and punctuation; what is
left without those is the story, and its 64-bit hash the signature.
"""

from __future__ import annotations

import base64
import hashlib
import re
from bisect import bisect_left, insort

from model.text import clean

_PREFIX = re.compile(r"^(?:rt|via)\s+@\w+:?\s*", re.IGNORECASE)
_MENTION = re.compile(r"@\w+")
_NOT_WORD = re.compile(r"[\W_]+")


def signature(text: str) -> str:
    """64 bits of the normalised text, in 11 URL-safe characters.

    A text of links and punctuation alone is its own story.
    """
    bare = _PREFIX.sub("", clean(text))
    bare = _NOT_WORD.sub(" ", _MENTION.sub(" ", bare)).strip().casefold()
    digest = hashlib.blake2b((bare or text).encode("utf-8", "replace"), digest_size=8).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class NoveltyIndex:
    """In which panes a story was seen, and in which of them it counts.

    A pane owns a story when no pane of the horizon before it holds the same one. That depends on
    the set of panes alone, not on the order in which copies arrive, so live and replay agree.
    """

    def __init__(self, horizon: int) -> None:
        """Horizon: seconds within which a copy is not new."""
        self.horizon = horizon
        self._seen: dict[str, list[int]] = {}

    def insert(self, story: str, pane: int) -> list[tuple[int, int]]:
        """Note the story in the pane (its start); returns ``(pane, change of its count)`` pairs."""
        seen = self._seen.setdefault(story, [])
        at = bisect_left(seen, pane)
        if at < len(seen) and seen[at] == pane:
            return []
        before = seen[at - 1] if at else None
        after = seen[at] if at < len(seen) else None
        insort(seen, pane)
        changes = []
        if before is None or pane - before > self.horizon:
            changes.append((pane, 1))
        if after is not None and after - pane <= self.horizon:
            if before is None or after - before > self.horizon:
                changes.append((after, -1))
        return changes

    def forget(self, story: str, pane: int) -> None:
        """Drop the pane, which has expired, without touching any count."""
        seen = self._seen.get(story)
        if seen is None:
            return
        at = bisect_left(seen, pane)
        if at < len(seen) and seen[at] == pane:
            del seen[at]
        if not seen:
            del self._seen[story]
