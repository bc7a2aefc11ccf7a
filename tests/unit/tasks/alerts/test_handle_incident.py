"""Rules of incidents in a root: kept, listed, acknowledged, silenced, and days that they keep out of training."""

from datetime import timedelta

import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.said_normal import said_to_be_normal
from ctr_retrain.tasks.alerts.handle_incident import acknowledge, acknowledged_incidents, list_incidents, silence
from ctr_retrain.tasks.alerts.incident_refs import held_days, load_incidents
from ctr_retrain.tasks.alerts.outbox import load_outbox
from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.operate.verify_root import verify_root
from tests.support.command_line import run
from tests.support.deliveries import NOW, delivery_to, report
from tests.support.nights import KINDS, night, signal

WHO = ("at it", "eva", NOW)


@pytest.fixture
def told(store, tmp_path):
    """A root with two open incidents and nobody to tell."""
    claim_root(store, "demo")
    report(store, delivery_to(tmp_path), signal(), signal(kind="disk_low", subject="", level="critical"))
    return store


def test_a_root_of_an_older_version_has_no_incidents(store):
    assert load_incidents(store).open == load_outbox(store).pending == ()


def test_the_gravest_comes_first(told):
    assert [one.kind for one in list_incidents(told, night(0)).open] == ["disk_low", "ratio_changed"]


def test_the_recipe_gives_a_kind_its_level(store, tmp_path):
    delivery = delivery_to(tmp_path, rules=Alerts(levels={"ratio_changed": "critical"}))
    assert report(store, delivery, signal()).open[0].level == "critical"


def test_the_same_report_again_writes_nothing(told, tmp_path):
    before = told.read_ref("incidents/all"), told.read_ref("outbox/messages")
    report(told, delivery_to(tmp_path), signal(), signal(kind="disk_low", subject="", level="critical"), hours=3)
    assert (told.read_ref("incidents/all"), told.read_ref("outbox/messages")) == before


def test_what_is_acknowledged_is_known_with_who_and_why(told):
    answer = acknowledge(told, "ratio_changed", None, *WHO)
    assert [(one.kind, one.by, one.reason) for one in answer.handled] == [("ratio_changed", "eva", "at it")]
    assert [one.kind for one in acknowledged_incidents(told)] == ["ratio_changed"]


@pytest.mark.parametrize(("kind", "subject"), [("ratio_changed", "push"), ("slide", None)])
def test_what_is_not_open_cannot_be_acknowledged_and_the_error_says_what_is(told, kind, subject):
    with pytest.raises(UsageError, match=f"expected an open incident '{kind}.*received disk_low, ratio_changed ad"):
        acknowledge(told, kind, subject, *WHO)


def test_what_is_said_to_be_normal_is_kept_and_may_be_taken_back(told):
    answer = acknowledge(told, "ratio_changed", "ad", *WHO, normal=True)
    assert answer.handled[0].new_normal
    assert said_to_be_normal(load_incidents(told).handled) == answer.handled
    acknowledge(told, "ratio_changed", None, *WHO)
    assert said_to_be_normal(load_incidents(told).handled) == ()


@pytest.mark.parametrize(
    ("kind", "subject", "words"),
    [
        ("ratio_changed", "push", "expected an open incident 'ratio_changed push'.*received .*ratio_changed ad"),
        ("disk_low", None, "expected an incident of a day's counts .*received disk_low, of which no level is learnt"),
        ("slide", None, "expected one SUBJECT of 'ad', 'push', received none"),
        ("mix_changed", "ad", "expected an incident that people are told of, received a notice about 'ad'"),
    ],
)
def test_only_one_fault_of_a_day_s_counts_can_be_said_to_be_normal(told, tmp_path, kind, subject, words):
    slides = [signal(kind="slide", subject=channel) for channel in ("ad", "push")]
    report(told, delivery_to(tmp_path), *slides, signal(kind="mix_changed", level="notice"), looked_at=(), number=1)
    before = told.read_ref("incidents/all")
    with pytest.raises(UsageError, match=words):
        acknowledge(told, kind, subject, *WHO, normal=True)
    assert told.read_ref("incidents/all") == before


def test_an_incident_that_is_over_can_t_be_said_to_be_normal(told, tmp_path):
    report(told, delivery_to(tmp_path), number=1)
    with pytest.raises(UsageError, match="expected an open incident 'ratio_changed ad'"):
        acknowledge(told, "ratio_changed", "ad", *WHO, normal=True)


def test_a_word_that_is_no_kind_is_refused_with_all_kinds(told):
    with pytest.raises(UsageError, match="KIND: expected one of ratio_changed, logger_down"):
        silence(told, "ratio", None, night(5), *WHO)


def test_a_silence_is_listed_until_its_day_and_ended_by_a_past_one(told):
    silence(told, "slide", None, night(5), *WHO)
    assert [one.kind for one in list_incidents(told, night(4)).silenced] == ["slide"]
    assert list_incidents(told, night(5)).silenced == ()
    silence(told, "slide", None, night(0), *WHO)
    assert list_incidents(told, night(1)).silenced == ()


@pytest.mark.parametrize("named", ["ratio_changed", "warning"])
def test_a_recipe_keeps_the_days_that_an_incident_touches_out_of_training(told, tmp_path, tiny_recipe, named):
    recipe = tiny_recipe(alerts={"holds_training": [named]})
    report(told, delivery_to(tmp_path), number=2)
    held = held_days(told, recipe, [night(n) for n in range(6)])
    assert sorted(held) == [str(night(0)), str(night(1))]
    assert held[str(night(0))] == "kept out by alerts.holds_training: ratio_changed of ad in night 0."
    assert held_days(told, tiny_recipe(), [night(0)]) == {}


def test_days_that_were_meant_train_again(told, tmp_path, tiny_recipe):
    recipe, days = tiny_recipe(alerts={"holds_training": ["warning"]}), [night(n) for n in range(6)]
    report(told, delivery_to(tmp_path), signal(number=1), number=1)
    acknowledge(told, "ratio_changed", "ad", *WHO)
    assert held_days(told, recipe, days[:3]) != {}
    acknowledge(told, "ratio_changed", "ad", *WHO, normal=True)
    report(told, delivery_to(tmp_path), signal(number=2, level="notice", new_normal=True), number=2)
    assert [one.kind for one in load_incidents(told).open] == []
    assert held_days(told, recipe, days) == {}


def test_only_what_keeps_days_out_of_training_changes_a_recipe_s_digest(tiny_recipe):
    plain = tiny_recipe().digest
    assert tiny_recipe(alerts={"levels": {"slide": "critical"}, "worse_by": 1.0, "reopen_days": 3}).digest == plain
    assert tiny_recipe(alerts={"holds_training": ["slide"]}).digest != plain


def test_commands_list_acknowledge_and_silence_in_words_and_as_documents(told):
    root = ("--root", told.root)
    listed = run("alerts", "list", *root)
    assert listed.stdout.splitlines()[0].startswith("2026-03-02  critical  disk_low  disk_low of")
    assert len(run("alerts", "list", *root, "--json").document["open"]) == 2
    done = run("alerts", "ack", "ratio_changed", "ad", "--reason", "at it", *root, "--json")
    assert (done.status, done.document["handled"][0]["reason"]) == (0, "at it")
    meant = run("alerts", "ack", "ratio_changed", "ad", "--normal", "--reason", "a new page", *root)
    assert meant.stdout.startswith("acknowledged as the normal state from the next run on: ratio_changed ad, by ")
    wrong = run("alerts", "ack", "disk_low", "--normal", "--reason", "a new page", *root)
    assert (wrong.status, "alerts ack --normal: expected an incident of a day's counts" in wrong.stderr) == (2, True)
    quiet = run("alerts", "silence", "disk_low", "--until", "2999-01-01", "--reason", "a new disk comes", *root)
    assert quiet.stdout.startswith("silenced until 2999-01-01: disk_low, all of that kind, by ")
    assert run("alerts", "ack", "slide", "--reason", "at it", *root, "--json").status == 2
    assert [one["kind"] for one in run("status", *root, "--json").document["incidents"]] == [
        "disk_low",
        "ratio_changed",
    ]
    assert "disk_low of  in night 0." in run("status", *root).stdout


def test_verify_reads_incidents_and_outbox_and_names_what_else_lies_there(told):
    assert verify_root(told).damaged == ()
    refs = verify_root(told).refs
    told.swap_ref("incidents/mine", {}, None)
    told.swap_ref("outbox/messages", {"told": 7}, told.read_ref("outbox/messages"))
    found = verify_root(told)
    assert found.refs == refs + 1
    assert {damage.path for damage in found.damaged} == {"refs/incidents/mine.json", "refs/outbox/messages.json"}


def test_a_look_that_others_race_with_is_not_lost(told, tmp_path, monkeypatch):
    swap, raced = told.swap_ref, []

    def late(name, value, expected):
        if name == "incidents/all" and not raced:
            raced.append(True)
            report(told, delivery_to(tmp_path), signal(subject="push"), looked_at=(), number=1)
        return swap(name, value, expected)

    monkeypatch.setattr(told, "swap_ref", late)
    report(told, delivery_to(tmp_path), signal(number=1), looked_at=KINDS, number=1)
    assert {one.subject for one in load_incidents(told).open} == {"ad", "push"}
    assert load_incidents(told).looks[-1].day == night(0) + timedelta(days=1)
