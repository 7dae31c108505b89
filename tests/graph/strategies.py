"""Any JSON, and JSON that looks like Graph's until one looks closely."""

from hypothesis import strategies as st

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
json_values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)

TIMES = st.sampled_from(
    ["2018-09-09T03:15:08Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon"]
)
MEMBERS = st.sampled_from(
    ["id", "name", "address", "emailAddress", "content", "contentType", "value", "reason", "@odata.type", "size"]
)
almost = st.recursive(
    leaves | TIMES | st.sampled_from(["html", "text", "true", "false"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=8,
)


def almost_an(*names: str) -> st.SearchStrategy[dict[str, object]]:
    """An object that has some of the members, holding anything."""
    return st.dictionaries(st.sampled_from(names), almost)
