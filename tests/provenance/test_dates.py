"""Capture times as intervals: precision, zones, and dates that are none."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.dates import interval


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2021-12-31T23:59:59Z", at(2021, 12, 31, 23, 59, 59)),
        ("2021-12-31t23:59:59z", at(2021, 12, 31, 23, 59, 59)),
        (" 2021-12-31 23:59:59Z ", at(2021, 12, 31, 23, 59, 59)),
        ("2021-12-31T23:59:59.5Z", at(2021, 12, 31, 23, 59, 59, 500_000)),
        ("2021-12-31T23:59:59.123456789Z", at(2021, 12, 31, 23, 59, 59, 123_456)),
        ("2021-12-31T23:59:59+02:00", at(2021, 12, 31, 21, 59, 59)),
        ("2021-12-31T23:59:59-0530", at(2022, 1, 1, 5, 29, 59)),
        ("2016-12-31T23:59:60Z", at(2017, 1, 1)),
        ("2021-12-31T24:00:00Z", at(2022, 1, 1)),
        ("20211231235959", at(2021, 12, 31, 23, 59, 59)),
        ("20211231235959123", at(2021, 12, 31, 23, 59, 59, 123_000)),
    ],
)
def test_precise_times_are_one_instant(text: str, instant: datetime) -> None:
    assert interval(text) == (instant, instant)


TICK = timedelta(microseconds=1)
HALF_DAY = timedelta(hours=12)


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2021-12-31T23:59Z", at(2021, 12, 31, 23, 59), at(2022, 1, 1)),
        ("202112312359", at(2021, 12, 31, 23, 59), at(2022, 1, 1)),
        ("2021-12-31T23:59:59", at(2021, 12, 31, 11, 59, 59), at(2022, 1, 1, 11, 59, 59) + TICK),
        ("2021-12-31T01:02", at(2021, 12, 30, 13, 2), at(2021, 12, 31, 13, 3)),
        ("2021-12-31", at(2021, 12, 31) - HALF_DAY, at(2022, 1, 1) + HALF_DAY),
        ("20211231", at(2021, 12, 31) - HALF_DAY, at(2022, 1, 1) + HALF_DAY),
        ("2021-02", at(2021, 2, 1) - HALF_DAY, at(2021, 3, 1) + HALF_DAY),
        ("2021-12", at(2021, 12, 1) - HALF_DAY, at(2022, 1, 1) + HALF_DAY),
        ("2020", at(2020, 1, 1) - HALF_DAY, at(2021, 1, 1) + HALF_DAY),
        ("2021-12-31Z", at(2021, 12, 31), at(2022, 1, 1)),
    ],
)
def test_what_is_left_out_widens_the_interval(text: str, first: datetime, after: datetime) -> None:
    assert interval(text) == (first, after - TICK)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "yesterday",
        "2021-13-01T00:00:00Z",
        "2021-02-29T00:00:00Z",
        "20080462204825",
        "2021-01-01T25:00:00Z",
        "2021-01-01T24:00:01Z",
        "2021-01-01T00:00:61Z",
        "2021-01-01T00:00:00+99:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01",
        "9999-12-31",
        "9999",
        "9999-12-31T23:59:60Z",
        "9999-12-31T24:00:00Z",
        "1995-12-31T23:59:59Z",
        "Fri, 31 Dec 2021 23:59:59 GMT",
        "２０２１-12-31T23:59:59Z",
        "2021-12-31T23:59:59Z" + " " * 100,
    ],
)
def test_dates_that_are_none(text: str | None) -> None:
    assert interval(text) is None


def test_the_future_is_relative_to_a_given_now() -> None:
    now = at(2022, 6, 1)
    assert interval("2022-06-01T00:00:01Z", now) is None
    assert interval("2022-06-01T00:00:00Z", now) is not None
    assert interval("2022-06-01T00:00:01Z") is not None


def test_only_web_captures_begin_in_1996() -> None:
    assert interval("1890-05-01T00:00:00Z", web=False) == (at(1890, 5, 1), at(1890, 5, 1))
    assert interval("1890-05-01T00:00:00Z") is None


@given(
    st.datetimes(at(1996, 1, 2).replace(tzinfo=None), at(2100, 1, 1).replace(tzinfo=None)),
    st.sampled_from([4, 7, 10, 16, 19, 26]),
    st.sampled_from(["", "Z"]),
)
def test_the_instant_lies_in_the_interval_of_its_own_writing(moment: datetime, length: int, zone: str) -> None:
    moment = moment.replace(tzinfo=UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:length] + zone
    found = interval(text)
    assert found is not None and found[0] - timedelta(seconds=1) < moment < found[1] + timedelta(seconds=1)


@given(st.text(alphabet="0123456789-T:Z+. ", max_size=30))
def test_no_text_raises(text: str) -> None:
    found = interval(text)
    assert found is None or found[0] <= found[1]
