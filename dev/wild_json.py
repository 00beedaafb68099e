"""Strategies of Hypothesis for JSON that is long, wide, deep or oddly spelled, for the tests of what reads it."""

import json

from hypothesis import strategies as st

# Characters that cost: four bytes each, escapes in JSON, spaces, combining marks, what no database takes.
LETTERS = st.sampled_from(["x", "_", " ", "\n", "\\", '"', "é", "\U0001f600", "\u2003", "\u0301\u0316", "\x01", "~/"])
LONG_KEYS = st.builds(
    lambda letter, length: letter * length, LETTERS, st.integers(120, 255) | st.sampled_from([255, 256, 20_000])
)
HUGE_TEXTS = st.builds(lambda letter, length: letter * length, LETTERS, st.integers(0, 100_000))
SMALL = st.sampled_from([0, 1.5, "", "ab", [], {}, [0], {"": 0}, {"a": {"b": []}}, None])


def spelled(names):
    """Return a strategy of other spellings of known names, as long as one likes: `l____ines`, `LINES`, `order - id`."""

    def spell(name, place, separator, times, upper):
        name = name[:place] + separator * times + name[place:]
        return name.upper() if upper else name

    return st.builds(
        spell,
        st.sampled_from(names),
        st.integers(0, 12),
        st.sampled_from(["_", "-", " ", "- ", "\u2003"]),
        st.integers(0, 3) | st.integers(200, 256),
        st.booleans(),
    )


def wide(values, most):
    """Return a strategy of lists and objects of up to so many of one value."""
    sizes = st.integers(0, most)
    return st.builds(lambda value, size: [value] * size, values, sizes) | st.builds(
        lambda value, size, prefix: {f"{prefix}{number:x}": value for number in range(size)},
        values,
        sizes,
        st.sampled_from(["", "_K", "\U0001f600"]),
    )


@st.composite
def deep(draw, values, keys, most=40):
    """Return values far within lists and objects."""
    value = draw(values)
    for key in draw(st.lists(st.none() | keys, max_size=most)):
        value = [value] if key is None else {key: value}
    return value


def repeated(documents, size):
    """Return a strategy of bodies of up to `size` bytes: one document over and over in a list, or in an object."""

    def repeat(document, share, before, after):
        piece = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
        number = int(share * (size - len(before) - len(after)) / (len(piece) + 1))
        return before + b",".join([piece] * number) + after

    around = st.sampled_from(
        [(b"[", b"]"), (b'{"order_id":"A","lines":[', b"]}"), (b"[[", b'],"\\u0041"]'), (b"[", b"")]
    )
    shares = st.floats(0, 0.1) | st.floats(0, 1) | st.just(1)
    return st.builds(lambda document, share, ends: repeat(document, share, *ends), documents, shares, around)
