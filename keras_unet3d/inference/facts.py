"""What decides a segmentation, compared with what one was begun with."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any


def difference(begun: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How a segmentation was begun otherwise: a sentence but for its subject, empty where it was not.

    Args:
        begun: its facts, ready for JSON.
        now: those of this call.
    """
    differing = [name for name in now if begun.get(name) != now[name]]
    if not differing:
        return ""
    first = differing[0]
    return f"was begun with another {' and '.join(differing)} ({_values(begun.get(first), now[first])})"


def digest(facts: Mapping[str, Any]) -> str:
    """All facts, ready for JSON, as one number."""
    return sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()


def _values(begun: Any, now: Any) -> str:
    """What was another; of files only the names, as their sizes and times say nothing to people."""
    before, after = (
        ", ".join(str(each[0]) for each in fact)
        if isinstance(fact, list) and fact and isinstance(fact[0], list)
        else str(fact[0] if isinstance(fact, list) and fact else fact)
        for fact in (begun, now)
    )
    return f"{after} has changed since" if before == after else f"{before}; now {after}"
