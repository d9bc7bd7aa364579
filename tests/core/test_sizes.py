"""Numbers of bytes as people read them, the same on every screen."""

from littoral.sizes import mib, size


def test_a_size_is_said_in_the_unit_that_reads_best() -> None:
    counts = (0, 12, 999, 1_000, 54_000, 999_499, 999_999, 5_400_000, 10**9, 4 * 10**12)
    assert [size(count) for count in counts] == [
        "0 B",
        "12 B",
        "999 B",
        "1 kB",
        "54 kB",
        "999 kB",
        "1 MB",
        "5.4 MB",
        "1 GB",
        "4 TB",
    ]


def test_what_a_board_tells_in_mib_is_said_in_the_same_units() -> None:
    assert [mib(64), mib(812.4), mib(3792)] == ["67.1 MB", "852 MB", "3.98 GB"]
