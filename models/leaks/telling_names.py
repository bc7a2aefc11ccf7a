"""Names of columns that sound as if they were filled in after the decision. A hint: no figure stands behind it."""

from __future__ import annotations

import re

# Words of what happens to an impression, or of when.
AFTERWARDS = frozenset(
    """
    actual after afterwards arrived assigned attributed attribution bounce bounced cancel canceled cancelled changes
    churned click clicked closed completed completion conversion converted delay delayed delivered dismissed duration
    dwell engagement final finished label landed liked next opened outcome outcomes played purchase purchased read
    refunded response result returned revenue scroll scrolled shared skipped status target unsubscribed viewed waiting
    watch watched watchtime
    """.split()  # noqa: SIM905 - forty quoted words are no easier to read
)
# Beside one of these, such a word tells of earlier impressions, or of what was planned.
BEFOREHAND = frozenset(
    """
    account avg average before count ctr customer earlier employment estimated expected historical history last login
    marital mean median member membership past planned predicted prev previous prior rate recent sched scheduled since
    total
    """.split()  # noqa: SIM905
)
# Of one of these a duration is its length, whoever watches or hears it.
LASTING = frozenset({"audio", "clip", "content", "film", "item", "movie", "music", "show", "song", "track", "video"})


def telling_words(name: str) -> list[str]:
    """Return the words of a name that sound like what is known only afterwards; none where others say the contrary."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]
    if BEFOREHAND & set(words):
        return []
    length = {"duration"} if LASTING & set(words) else set()
    return [word for word in words if word in AFTERWARDS - length]
