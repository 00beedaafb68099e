"""Walking a document: each value knows where it is."""

import re
from functools import lru_cache
from typing import Any, NamedTuple

from .limits import MAX_POINTER


def plain_name(key):
    """Return a key as names are compared: without case, `_`, `-` and spaces."""
    return re.sub(r"[\s_-]", "", str(key)).casefold()


@lru_cache(maxsize=2048)
def steps_of(path):
    """Return the steps of a dotted path, each as it is written and as names are compared."""
    return tuple((step, plain_name(step)) for step in path.split(".") if step)


class Node(NamedTuple):
    """A value of the document, and where it is: its pointer is made when it is told, as most are not."""

    value: Any
    parent: "Node | None" = None
    key: Any = None

    def child(self, key):
        return Node(self.value[key], self, key)

    @property
    def pointer(self):
        """The RFC 6901 pointer; of one that is longer than `MAX_POINTER` the steps that fit, and "/…"."""
        steps, node = [], self
        while node.parent is not None:
            steps.append(node.key)
            node = node.parent
        pointer = ""
        for key in reversed(steps):
            step = str(key).replace("~", "~0").replace("/", "~1")
            if len(pointer) + len(f"/{step}") > MAX_POINTER:
                return f"{pointer}/…"
            pointer += f"/{step}"
        return pointer

    def children(self):
        keys = range(len(self.value)) if isinstance(self.value, list) else self.value
        return [self.child(key) for key in keys] if self.is_container else []

    @property
    def is_container(self):
        return isinstance(self.value, dict | list)

    @property
    def is_blank(self):
        """Whether this counts as absent; so does an empty list, which is how PHP writes an empty object."""
        if isinstance(self.value, str):
            return not self.value or self.value.isspace()
        return self.value is None or (self.is_container and not self.value)


def pointer_of(node):
    return "" if node is None else node.pointer
