import pytest

from splai.artifacts.byte_range import RangeNotSatisfiable, resolve


@pytest.mark.parametrize(
    ("header", "size", "part"),
    [
        (None, 10, None),
        ("bytes=0-", 10, (0, 10)),
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=3-5", 10, (3, 6)),
        ("bytes=3-500", 10, (3, 10)),
        ("bytes=-4", 10, (6, 10)),
        ("bytes=-40", 10, (0, 10)),
        ("bytes=5-3", 10, None),
        ("bytes=-", 10, None),
        ("bytes=1-2,4-5", 10, None),
        ("lines=1-2", 10, None),
        ("bytes=a-b", 10, None),
        (f"bytes={'9' * 5000}-", 10, None),
    ],
)
def test_a_single_range_is_served_and_anything_else_means_the_whole(
    header: str | None, size: int, part: tuple[int, int] | None
) -> None:
    assert resolve(header, size) == part


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=0-", 0), ("bytes=-0", 10)]
)
def test_a_range_that_holds_no_byte_is_not_satisfiable(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable):
        resolve(header, size)
