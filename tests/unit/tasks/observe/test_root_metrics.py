"""Rules of metrics: they are in Prometheus' format, say what the status says, and the dashboard asks for no others."""

import json
import re
from datetime import UTC, date, datetime
from typing import get_args

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ctr_retrain.models.documents.command_documents import OpenIncident
from ctr_retrain.models.documents.day_documents import Counts, RejectedDay
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.incidents.night_ref import NightEnd
from ctr_retrain.models.incidents.status_answer import (
    AttemptState,
    DiskSpace,
    LandedCounts,
    LeaseState,
    NextRun,
    Problem,
    RunAttempt,
    StatusAnswer,
)
from ctr_retrain.tasks.observe.export_metrics import RememberedLook, metrics_written, write_metrics
from ctr_retrain.tasks.observe.root_metrics import STATES, RootMetrics, registry_of
from tests.support.repository import REPOSITORY

DAY = date(2026, 3, 7)
RECIPE = 'shop "A"\nof \\ all'  # every sign that the format has to escape
# The format's own rules: https://prometheus.io/docs/instrumenting/exposition_formats/
SAMPLE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="([^"\\\n]|\\["\\n])*",?)*\})? [-+.\dEeInfNa]+')
DASHBOARD = REPOSITORY / "infra" / "grafana" / "ctr_retrain.json"
RULES = REPOSITORY / "infra" / "prometheus" / "ctr_retrain_rules.yml"


def attempt(state="done", **changes):
    given = {"date": DAY, "state": state, "began": "2026-03-08T04:00:00+00:00", "ended": "2026-03-08T04:20:00+00:00"}
    given |= {"host": "h", "process": 1, "decision": "hold", "error": "", "seconds": 1200.0, "log": ""}
    return RunAttempt(**{**given, "stages": {"ingest_day": 2.5, "train_challenger": 900.0}, **changes})


def status(**changes):
    """A status in which everything stands that metrics are made of."""
    counts = Counts(received=10, kept=6, duplicates=3, quarantined=1)
    incident = OpenIncident(kind="slide", subject="ad", level="warning", since=DAY, message="It slides.")
    given = {
        "root": "r",
        "recipe": "shop",
        "champion": "2026-03-05-ab",
        "champion_data_through": DAY,
        "newest_day": DAY,
        "champion_data_age_days": 2,
        "champion_calendar_age_days": 3,
        "incidents": (incident, incident.model_copy(update={"kind": "disk_low", "subject": ""})),
        "rejected_days": (RejectedDay(date=DAY, reason="rows"),),
        "runs": (),
        "landed": LandedCounts(impressions=counts, outcomes=counts),
        "verdicts": {"promote": 3, "hold": 5},
        "attempts": (attempt(),),
        "problems": (Problem(message="m", command="c"),),
        "next_run": NextRun(at="2026-03-09T04:00:00+00:00", day=DAY),
        "lease": LeaseState(
            command="daily",
            who="eva",
            host="h",
            process=7,
            since="2026-03-08T04:00:00+00:00",
            beat_age_seconds=3.5,
            alive=True,
        ),
        "disk": DiskSpace(folder="/data", free_gib=2.5, low=True),
    }
    return StatusAnswer(**{**given, **changes})


def text_of(look, recipe="shop"):
    return generate_latest(registry_of(RootMetrics(recipe, look))).decode()


def samples(look, recipe="shop"):
    """Metric → values of its labels but the recipe, in the order of the labels' names → value."""
    found = {}
    for family in text_string_to_metric_families(text_of(look, recipe)):
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "recipe"}
            assert sample.labels["recipe"] == recipe
            found.setdefault(sample.name.removeprefix("ctr_retrain_"), {})[tuple(labels.values())] = sample.value
    return found


def test_metrics_say_what_the_status_says():
    found = samples(status)
    assert found["root_readable"] == {(): 1}
    assert found["rows"]["quarantined", "impressions"] == found["rows"]["quarantined", "outcomes"] == 1
    assert found["runs"] == {("promote",): 3, ("hold",): 5, ("reject",): 0}
    assert found["run_state"] == {(state,): float(state == "done") for state in STATES}
    assert found["stage_duration_seconds"] == {("ingest_day",): 2.5, ("train_challenger",): 900}
    assert found["run_duration_seconds"] == {(): 1200}
    assert found["run_done_timestamp_seconds"] == {(): datetime(2026, 3, 8, 4, 20, tzinfo=UTC).timestamp()}
    assert (found["champion_data_age_days"], found["champion_calendar_age_days"]) == ({(): 2}, {(): 3})
    assert found["incidents_open"] == {("notice",): 0, ("warning",): 2, ("critical",): 0}
    assert found["incident"].keys() == {("slide", "warning", "ad"), ("disk_low", "warning", "")}
    assert (found["lease_held"], found["lease_beat_age_seconds"]) == ({(): 1}, {(): 3.5})
    assert found["disk_free_bytes"] == {("/data",): 2.5 * 2**30}


def test_the_newest_run_with_a_verdict_is_timed_where_a_later_one_failed():
    failed = attempt("failed", decision=None, seconds=5.0, stages={"ingest_day": 5.0})
    found = samples(lambda: status(attempts=(failed, attempt())))
    assert found["run_state"]["failed",] == 1
    assert found["run_duration_seconds"] == {(): 1200}


def test_each_line_keeps_the_formats_rules_whatever_names_hold():
    lines = text_of(status, RECIPE).splitlines()
    helped = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert len(helped) == len(set(helped)) > 12
    for line in lines:
        assert line.startswith(("# HELP ctr_retrain_", "# TYPE ctr_retrain_")) or SAMPLE.fullmatch(line), line
    assert samples(status, RECIPE)["root_readable"] == {(): 1}


def test_a_root_that_can_not_be_read_is_a_metric_and_nothing_old_is_shown():
    def fail():
        raise StorageError("no answer")

    assert samples(fail) == {"root_readable": {(): 0}}


def test_a_new_root_has_metrics_too():
    nothing = {"champion": None, "champion_data_age_days": None, "champion_calendar_age_days": None, "attempts": ()}
    found = samples(lambda: status(**nothing, landed=None, incidents=(), disk=None, next_run=None, verdicts={}))
    assert not {"champion_info", "champion_data_age_days", "run_state", "rows", "runs"} & found.keys()
    assert found["incidents_open"] == {("notice",): 0, ("warning",): 0, ("critical",): 0}


def test_every_state_of_a_run_has_its_series():
    states = [state for part in get_args(AttemptState) for state in (get_args(part) or (part,))]
    assert set(STATES) == set(states) >= set(get_args(NightEnd))


def test_the_file_is_whole_or_the_one_before_and_nothing_lies_beside_it(tmp_path):
    path = write_metrics(tmp_path, "shop/a b", status)
    assert path.name == "ctr_retrain_shop_a_b.prom"
    assert path.read_text(encoding="utf-8").startswith("# HELP ctr_retrain_root_readable ")
    write_metrics(tmp_path, "shop/a b", lambda: status(champion="other"))
    assert 'version="other"' in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [StorageError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["", "none/there"])
def test_metrics_are_written_however_a_run_ends_and_what_fails_there_costs_it_nothing(tmp_path, error, place):
    with pytest.raises(type(error)), metrics_written(tmp_path / place, "shop", status):
        raise error
    with metrics_written(tmp_path / place, "shop", lambda: 1 // 0), metrics_written(None, "shop", status):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ([] if place else ["ctr_retrain_shop.prom"])


def test_a_root_is_looked_at_once_however_often_its_metrics_are_asked_for():
    looks = []
    remembered = RememberedLook(lambda: looks.append(1) or status(), seconds=3600)
    assert remembered() is remembered()
    assert len(looks) == 1


def asked_for(page):
    """The metrics that a page of queries names."""
    return set(re.findall(r"\bctr_retrain_\w+", page))


def queries_of(dashboard):
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


def test_each_query_of_the_dashboard_and_of_the_rules_asks_for_metrics_that_there_are():
    there = {f"ctr_retrain_{name}" for name in samples(status)}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = queries_of(dashboard)
    assert len(queries) > 10
    for query in (*queries, *re.findall(r"expr: (.*)", RULES.read_text(encoding="utf-8"))):
        assert asked_for(query), query
        assert asked_for(query) <= there, query
    shown = set().union(*map(asked_for, queries))
    assert there - shown <= {"ctr_retrain_looked_timestamp_seconds"}  # the rules ask for it


def test_the_docs_name_each_metric():
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    there = {f"ctr_retrain_{name}" for name in samples(status)}
    assert set(re.findall(r"^\| `(ctr_retrain_\w+)`", text, re.MULTILINE)) == there
