from __future__ import annotations

from hypothesis import given, strategies

from stream.authors import digest, hashed, marked

KEY = b"key"


@given(strategies.text())
def test_an_author_is_hashed_once_on_either_way(handle):
    assert hashed(marked(handle, KEY), KEY) == hashed(handle, KEY)
    assert marked(marked(handle, KEY), KEY) == marked(handle, KEY)


def test_what_only_looks_hashed_is_hashed():
    for handle in ("hmac:ana", "hmac:0123456789abcdef0", "HMAC:0123456789abcdef", "hmac:"):
        assert hashed(handle, KEY) == digest(handle, KEY)
    assert digest("ana", KEY) != digest("ana", b"other")
