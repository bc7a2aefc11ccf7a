"""Rules of the report's charts: they hold what they were given, and nothing that isn't finite."""

import json
import re
from datetime import date, timedelta
from math import inf, nan
from xml.etree import ElementTree as ET

import pytest

from ctr_retrain.models.charts.charts import (
    CostCurve,
    RatioDay,
    cost_chart,
    freshness_chart,
    loss_chart,
    ratio_chart,
    reliability_chart,
    trend_chart,
    weight_chart,
)
from ctr_retrain.models.charts.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Plot
from ctr_retrain.models.documents.comparison_documents import DifferencePart, FreshnessPoint
from ctr_retrain.models.documents.evaluation_documents import ReliabilityBin
from ctr_retrain.models.number_format import compact, fixed, number, percent, signed

FIRST = date(2026, 3, 2)
CURVE = CostCurve(
    thresholds=[0.001, 0.01, 0.1],
    curves={"challenger": [-4, -9, 0], "champion": [-4, -8, nan]},
    threshold=0.01,
    at_threshold={"challenger": -9.25, "champion": None},
    send_all=-4,
    send_none=0,
)


def marks(svg, kind):
    """Classes of a kind of element, in order; that it parses as XML shows that it is whole."""
    return [element.get("class", "") for element in ET.fromstring(svg).iter(kind)]


def points(svg, number_of_line=0):
    line = list(ET.fromstring(svg).iter("polyline"))[number_of_line]
    return [tuple(map(float, point.split(","))) for point in line.get("points").split()]


def seen_bin(probability, rate, rows=100):
    return ReliabilityBin(rows=rows, mean_probability=probability, rate=rate, low=rate / 2, high=rate * 2)


def ratio_days(ratios, **rest):
    return [RatioDay(FIRST + timedelta(days=i), ratio, **rest) for i, ratio in enumerate(ratios)]


def test_a_logarithmic_axis_gives_each_decade_the_same_room_and_keeps_strays_on_its_edge():
    axis = Axis(0.001, 0.1, "p", percent, log=True)
    assert axis.share(0.01) == pytest.approx(0.5)
    assert axis.share(0) == 0
    assert axis.share(7) == 1
    assert axis.ticks() == pytest.approx([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1])


def test_ticks_are_round_figures():
    assert Axis(0, 10, "", number).ticks() == [0, 2, 4, 6, 8, 10]
    assert Axis(-0.07, 0.13, "", number).ticks() == pytest.approx([-0.05, 0, 0.05, 0.1])
    assert Axis(-0.6, 2.4, "", number, whole=True).ticks() == [0, 1, 2]
    wide = Axis(1e-6, 1, "", number, log=True).ticks()
    assert wide == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1])


def test_the_corners_of_the_frame_are_the_ends_of_the_axes():
    plot = Plot("t", Axis(0, 10, "", number), Axis(-1, 1, "", number))
    assert plot.at(0, -1) == (LEFT, HEIGHT - BOTTOM)
    assert plot.at(10, 1) == (WIDTH - RIGHT, TOP)


def test_reliability_shows_each_bin_of_each_model_with_its_interval():
    svg = reliability_chart(
        {"challenger": [seen_bin(0.01, 0.012), seen_bin(0.05, 0.04)], "champion": [seen_bin(0.02, 0.03)]}
    )
    assert marks(svg, "g") == ["point challenger"] * 2 + ["point champion"] + ["point challenger", "point champion"]
    assert marks(svg, "path").count("interval challenger") == 2
    assert marks(svg, "path").count("interval champion") == 1
    assert "challenger: predicted 5 %, seen 4 % of 100" in svg


def test_a_bin_without_a_positive_stays_within_the_frame_and_one_without_a_probability_is_left_out():
    svg = reliability_chart(
        {"challenger": [ReliabilityBin(rows=50, mean_probability=0.01, rate=0, low=0, high=0.07), seen_bin(nan, 0.01)]}
    )
    circle = next(ET.fromstring(svg).iter("circle"))
    assert float(circle.get("cy")) == HEIGHT - BOTTOM
    assert marks(svg, "g").count("point challenger") == 2  # the bin and the legend's sample
    assert "nan" not in reliability_chart({"challenger": [seen_bin(nan, nan)]})


def test_cost_marks_the_threshold_the_models_there_and_the_two_levels():
    svg = cost_chart("ad", CURVE)
    middle = (LEFT + WIDTH - RIGHT) / 2  # 0.01 on an axis from 0.001 to 0.1
    assert f'<path class="line upright" d="M{middle} {HEIGHT - BOTTOM}.0V{TOP}.0"/>' in svg
    assert marks(svg, "path").count("line level") == 2
    for words in ("t* = 1 %", "send all", "send none", "challenger at t*: −9.25 per 1,000 impressions"):
        assert words in svg
    assert "champion at t*" not in svg
    assert [len(points(svg, i)) for i in (0, 1)] == [3, 2]  # NaN left out


def test_ratio_shows_a_point_a_day_with_impressions_and_marks_alerts():
    days = [
        *ratio_days([0.02, None, 0.021], low=0.015, high=0.025),
        RatioDay(FIRST + timedelta(days=3), 0.005, 0.015, 0.025, alert=True),
    ]
    svg = ratio_chart("ad", days)
    assert marks(svg, "g")[:3] == ["point challenger", "point challenger", "point alert"]
    assert "2026-03-05: 0.5 %, expected 1.5 % to 2.5 %" in svg
    assert len(points(svg)) == 3
    assert "no alert within" in svg


def test_the_band_has_a_gap_where_days_have_none_and_is_absent_without_history():
    days = ratio_days([0.02, 0.02, 0.02], low=0.01, high=0.03)
    days[1] = RatioDay(days[1].day, 0.02)
    assert marks(ratio_chart("ad", days), "polygon") == ["area band", "area band"]
    without = ratio_chart("ad", ratio_days([0.02]))
    assert "band" not in without
    assert "alert" not in without


def test_a_band_without_an_upper_end_does_not_flatten_the_ratios():
    svg = ratio_chart("ad", ratio_days([0.02, 0.02], low=0.0, high=1.0))
    _, y = points(svg)[0]
    assert (HEIGHT - BOTTOM - y) / (HEIGHT - BOTTOM - TOP) > 0.4
    ratio_chart("ad", ratio_days([0.0, 0.0]))
    ratio_chart("ad", ratio_days([None, None]))


def test_weight_shows_a_bar_a_day_the_newest_at_the_right_and_what_recency_alone_gives():
    svg = weight_chart([3, 1, 0], [0.2, 0.3, 0.5], [0.125, 0.5, 1.0])
    bars = [e for e in ET.fromstring(svg).iter("rect") if e.get("height") != "10"]
    assert len(bars) == 3
    assert float(bars[2].get("x")) > float(bars[0].get("x"))
    assert float(bars[2].get("height")) == pytest.approx(2.5 * float(bars[0].get("height")), rel=0.02)
    assert len(points(svg)) == 3
    assert "age 3 days: 20 % of the weight" in svg


def test_loss_shows_every_reading_that_is_a_number():
    assert len(points(loss_chart([(4096, 0.5), (8192, 0.4), (12_288, nan)]))) == 2
    assert len(points(loss_chart([(4096, 0.5)]))) == 1


def test_trend_leaves_out_days_without_a_figure():
    svg = trend_chart([FIRST, FIRST + timedelta(days=1)], {"challenger": [-8.5, -9], "champion": [None, -8]})
    assert marks(svg, "g")[:3] == ["point challenger", "point challenger", "point champion"]
    trend_chart([FIRST], {"challenger": [None], "champion": [None]})


def freshness_point(age, value, half_width):
    delta = DifferencePart(value=value, low=value - half_width, high=value + half_width, p=0.5)
    ends = {"low": 0.3 + delta.limits[0], "high": 0.3 + delta.limits[1]}
    return FreshnessPoint(age_days=age, log_loss=0.3 + value, **ends, delta=delta if age else None)


def test_a_difference_of_the_freshness_curve_without_an_interval_is_drawn_to_the_edges():
    endless = freshness_point(2, 0.02, inf)
    assert (endless.low, endless.high) == (None, None)  # JSON has no infinity
    assert json.loads(json.dumps(endless.to_json(), allow_nan=False))["delta"]["low"] is None
    svg = freshness_chart([freshness_point(0, 0.0, 0.0), freshness_point(1, 0.01, 0.004), endless])
    assert [title.text for title in ET.fromstring(svg).iter("title")][-2:] == [
        "1 days old: 0.01 (0.006 to 0.014)",
        "2 days old: 0.02 (−inf to inf)",
    ]


def test_texts_are_escaped():
    hostile = '<script>"&'
    for svg in (
        ratio_chart(hostile, ratio_days([0.1])),
        cost_chart(hostile, CURVE),
        reliability_chart({hostile: [seen_bin(0.1, 0.1)]}),
    ):
        ET.fromstring(svg)
        assert "<script" not in svg


def test_charts_refer_to_nothing_outside_and_stay_small():
    svg = cost_chart("ad", CURVE)
    assert not re.search(r"https?:|href|url\(|style=", svg)
    assert len(svg) < 5000


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (percent(0.0123), "1.23 %"),
        (percent(0), "0 %"),
        (number(-0.0569), "−0.0569"),
        (number(-6.91e-05), "−0.0000691"),
        (number(1e-6), "0.000001"),
        (number(0.0), "0"),
        (number(12_345.6), "12,346"),
        (fixed(0.69789, 4), "0.6979"),
        (fixed(None, 4), "–"),
        (signed(-0.064, 2), "−0.06"),
        (signed(0.5, 2), "+0.50"),
        (signed(None, 2), "–"),
        (compact(250_000), "250 k"),
        (compact(1_500_000), "1.5 M"),
        (compact(20), "20"),
        (number(inf), "inf"),
    ],
)
def test_figures_are_written_for_people(shown, expected):
    assert shown == expected
