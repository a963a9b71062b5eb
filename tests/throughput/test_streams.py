import pytest

from edgesmith.errors import RuntimeUnavailableError
from edgesmith.throughput.streams import rate


def test_only_calls_while_all_streams_ran_count() -> None:
    # Both run from 1 s to 3 s; in it end two calls of the first stream and four of the second.
    assert rate([[0, 1, 2, 3], [1, 1.5, 2, 2.5, 3, 3.5]]) == 3


def test_streams_that_did_not_meet_are_refused() -> None:
    with pytest.raises(RuntimeUnavailableError, match="at the same time"):
        rate([[0, 1], [2, 3]])
