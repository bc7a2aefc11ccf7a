"""A click logger that loses 70 % of push clicks from one day on: one alert, by three ways, once.

Ten days of about 10,000 impressions, 3,000 of them pushes, of whose clicks some 100 are known by the end of the day.
Losing 70 % of them is, with the seeds 1 to 12, a change by 6 to 10 standard errors, where an alert takes 4; no healthy
day or channel came to 3. No day trains a model, which saves the time.
"""

import shutil
import time
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.settings import PREFECT_API_URL, temporary_settings

import ctr_retrain.flows.daily  # noqa: F401 - before a server is named
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.signal import Signal
from ctr_retrain.models.simulation.scenarios import BrokenClickLogger
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.alerts.delivery import Delivery
from ctr_retrain.tasks.alerts.report_signals import report_signals
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.alert_receivers import Webhook
from tests.support.command_line import run
from tests.support.flow_answers import daily
from tests.support.small_world import RECIPE

DAYS = 10
FIRST_DAY = date(2026, 3, 2)
BROKEN_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
DAY_BEFORE, DAY_AFTER = BROKEN_DAY - timedelta(days=1), BROKEN_DAY + timedelta(days=1)
RESOURCES = "ctr-retrain.broken-logger."


def write_recipe(folder, change):
    """The small recipe under a name of its own, whose window is so long that all ten days are read, and one change."""
    own = [('"small"', '"broken-logger"'), ("window_days = 3", "window_days = 8")]
    recipe = RECIPE
    for old, new in (*own, change):
        assert recipe.count(old) == 1
        recipe = recipe.replace(old, new)
    path = folder / "recipe.toml"
    path.write_text(recipe, encoding="utf-8")
    return path


NOTHING_IS_TRAINED = ("min_positives = 50\n[weights]", "min_positives = 100000\n[weights]")
ALERTS_HOLD_TRAINING = ("min_effect = 0.4", "min_effect = 0.4\nholds_training = true")


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    broken = BrokenClickLogger("push", BROKEN_DAY, DAY_AFTER, lost_share=0.7)
    world = World(seed=3, rows_per_day=10_000, ad_ctr=0.06, push_ctr=0.05, incidents=(broken,))
    simulate(world, FIRST_DAY, DAYS + 1, folder)
    return str(folder / "landing")


@pytest.fixture(scope="module")
def named_server(prefect_server):
    """The Prefect server, named for these tests; the flows themselves were imported before, and are plain."""
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: prefect_server}):
        patch.setenv("PREFECT_API_URL", prefect_server)
        yield prefect_server


@pytest.fixture(scope="module")
def runs(named_server, great_expectations, landing, tmp_path_factory):
    """The day before, the broken day, and that once more: the documents, and what the webhook had by then."""
    folder = tmp_path_factory.mktemp("runs")
    recipe, root = write_recipe(folder, NOTHING_IS_TRAINED), folder / "root"
    found = SimpleNamespace(root=root, recipe=recipe)
    with Webhook() as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTR_RETRAIN_WEBHOOK_URL", receiver.url)
        patch.setenv("CTR_RETRAIN_SPOOL", str(folder / "spool"))
        for name, day in (("healthy", DAY_BEFORE), ("broken", BROKEN_DAY), ("again", BROKEN_DAY)):
            document = daily(day, recipe, str(root), landing)
            received = [dict(sent) for sent in receiver.received]
            setattr(found, name, SimpleNamespace(document=document, received=received))
    return found


def arrived(name):
    """Events of this name about this recipe, at the session's Prefect server."""
    wanted = EventFilter(event=EventNameFilter(name=[name]), resource=EventResourceFilter(id_prefix=[RESOURCES]))
    with get_client(sync_client=True) as client:
        return client.read_events(wanted, limit=50).events  # the server refuses more


def wait_for(name):
    """Events of this name, as soon as there is one: the server writes them down in batches, every few seconds."""
    while not (events := arrived(name)):
        time.sleep(0.2)
    return events


def test_a_healthy_day_raises_no_alert(runs):
    assert runs.healthy.document["alerts"] == []
    assert runs.healthy.received == []


def test_a_broken_click_logger_raises_one_alert_naming_channel_expected_and_received(runs):
    (alert,) = runs.broken.document["alerts"]
    low, high = alert["expected"]
    assert (alert["name"], alert["level"], alert["channel"]) == ("positive_ratio", "warning", "push")
    assert 0 < alert["received"] < low < high < 1
    assert alert["received"] == pytest.approx(0.3 * 0.5 * (low + high), rel=0.5)
    assert "fell by" in alert["cause"]
    assert "outcome logger lost events" in alert["cause"]


def test_an_alert_rejects_no_day_by_itself(runs):
    assert runs.broken.document["validation"]["passed"] is True
    assert runs.broken.document["verdict"]["reason"].startswith("Held, nothing was trained. Effective positives")


def test_the_webhook_gets_the_alert_of_the_document(runs):
    (alert,), (document,) = runs.broken.document["alerts"], runs.broken.received
    told = {**alert, "cause": alert["cause"].partition(". ")[0] + "."}  # what to check first is said below it
    assert {**document, "alerts": [told]} == document
    assert (document["recipe"], document["date"]) == ("broken-logger", str(BROKEN_DAY))
    assert document["text"].startswith(
        "WARNING broken-logger, push, since 11 March 2026: The odds of a positive fell by"
    )


def test_the_alert_arrives_at_the_prefect_server_as_an_event(runs):
    (event,) = wait_for("ctr-retrain.alert")
    (document,) = runs.broken.received
    assert event.resource.id == RESOURCES + "push"
    message = {key: value for key, value in document.items() if key != "alerts"}
    assert event.payload == {**message, **document["alerts"][0]}


def test_the_same_day_run_again_shows_the_alert_and_sends_nothing(runs):
    assert runs.again.document["alerts"] == runs.broken.document["alerts"]
    assert runs.again.received == runs.broken.received
    emit_event("test.after-the-runs", {"prefect.resource.id": RESOURCES + "test"})
    wait_for("test.after-the-runs")  # events arrive in the order in which they were sent
    assert len(arrived("ctr-retrain.alert")) == 1


def test_the_incident_is_open_in_the_report_and_on_the_list_of_runs(runs):
    for page in (runs.root / "index.html", *runs.root.glob(f"runs/{BROKEN_DAY}-*/report.html")):
        text = page.read_text(encoding="utf-8")
        assert 'id="incidents"' in text
        assert f"open since {BROKEN_DAY}" in text
        assert "ratio changed, push" in text


def test_where_the_recipe_says_so_the_days_that_an_incident_touches_are_left_out_with_the_reason(
    runs, landing, tmp_path
):
    root = shutil.copytree(runs.root, tmp_path / "root")
    summary = "Clicks of android were missing."
    down = Signal(kind="logger_down", subject="push", level="notice", since=FIRST_DAY, summary=summary)
    for day, found in ((FIRST_DAY, [down]), (FIRST_DAY + timedelta(days=2), [])):
        report_signals(
            LocalStore(root),
            found,
            looked_at=["logger_down"],
            day=day,
            now=datetime.now(UTC),
            delivery=Delivery("broken-logger", Alerts(), (), tmp_path / "spool", ""),
        )
    recipe = write_recipe(tmp_path, NOTHING_IS_TRAINED)
    kept_out = '\n[alerts]\nholds_training = ["logger_down"]\n'
    recipe.write_text(recipe.read_text(encoding="utf-8") + kept_out, encoding="utf-8")
    document = daily(BROKEN_DAY, recipe, str(root), landing)
    touched = [str(FIRST_DAY), str(FIRST_DAY + timedelta(days=1))]
    assert document["excluded"].keys() & {*touched, str(FIRST_DAY + timedelta(days=2))} == set(touched)
    assert document["excluded"][touched[1]] == f"kept out by alerts.holds_training: {summary}"


def test_where_the_recipe_says_so_an_alert_holds_training_and_is_the_reason(runs, landing, tmp_path):
    root = shutil.copytree(runs.root, tmp_path / "root")
    document = daily(BROKEN_DAY, write_recipe(tmp_path, ALERTS_HOLD_TRAINING), str(root), landing)
    (alert,) = document["alerts"]
    assert document["verdict"]["decision"] == "hold"
    assert document["verdict"]["reason"].startswith("Held, nothing was trained. Positive ratio")
    assert alert["cause"] in document["verdict"]["reason"]
    assert [check["name"] for check in document["verdict"]["checks"]] == ["drift"]
    assert document["training"] is None
    assert document["metrics"]["challenger"] is None


ON_NO_TOUCHED_DAY = '\n[alerts]\nholds_training = ["ratio_changed"]\n'


@pytest.fixture
def next_night(runs, landing, tmp_path):
    """The night after the broken day, by a recipe that keeps what an incident touches out, once a person has spoken."""
    root = shutil.copytree(runs.root, tmp_path / "root")
    recipe = write_recipe(tmp_path, NOTHING_IS_TRAINED)
    recipe.write_text(recipe.read_text(encoding="utf-8") + ON_NO_TOUCHED_DAY, encoding="utf-8")

    def make(*said):
        at_root = ("--root", root, "--recipe", recipe, "--json")
        run("alerts", "ack", "ratio_changed", "push", *said, "--reason", "the button has gone", *at_root)
        document = daily(DAY_AFTER, recipe, str(root), landing)
        return document, run("alerts", "list", *at_root).document

    return make


def test_a_loss_that_was_meant_is_no_fault_of_the_next_night_and_its_days_are_used(next_night):
    document, incidents = next_night("--normal")
    assert document["alerts"] == []
    assert document["days"]["validate"] == [str(BROKEN_DAY)]
    assert "ratio_changed" not in [one["kind"] for one in incidents["open"]]
    assert "ratio_changed" in [one["kind"] for one in incidents["past"]]


def test_a_loss_that_somebody_looks_after_stays_a_fault_whose_days_are_not_used(next_night):
    with pytest.raises(DataRejectedError, match=f"{BROKEN_DAY}: kept out by alerts.holds_training: The odds"):
        next_night()


def test_a_test_reaches_the_prefect_server_too(runs):
    answer = run("alerts", "test", "--root", runs.root, "--recipe", runs.recipe, "--json")
    assert answer.document["receivers"] == [
        {"name": "the Prefect server (prefect)", "level": "warning", "taken": True, "words": "took the message"}
    ]
