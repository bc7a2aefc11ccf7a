from datetime import UTC, date, datetime

import pytest

from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.tasks.store import champion
from ctr_retrain.tasks.store.champion import read_champions, roll_back

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def tenure(version, run_day, data_through, action="promote"):
    return Tenure(
        version=version, run_day=run_day, data_through=data_through, action=action, reason="why", at=NOW.isoformat()
    )


def in_service(store):
    current = read_champions(store).current
    return current and current.version


def take_over(store, candidate):
    """Take over as one that was judged against the champion in service."""
    return champion.take_over(store, candidate, in_service(store))


def test_the_first_model_takes_over_from_nobody(store):
    assert take_over(store, tenure("a", "2026-03-10", "2026-03-06")) is None
    assert in_service(store) == "a"


def test_a_newer_model_takes_over_and_the_history_keeps_both(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    assert [t.version for t in read_champions(store).tenures] == ["a", "b"]


def test_a_backfilled_model_never_takes_over_from_a_newer_one(store):
    take_over(store, tenure("new", "2026-03-11", "2026-03-07"))
    refusal = take_over(store, tenure("old", "2026-03-05", "2026-03-01"))
    assert "expected data through 2026-03-07 and run day 2026-03-11 or later, received 2026-03-01" in refusal
    assert in_service(store) == "new"


def test_an_override_by_hand_may_go_back_in_time(store):
    take_over(store, tenure("new", "2026-03-11", "2026-03-07"))
    assert take_over(store, tenure("old", "2026-03-05", "2026-03-01", action="override")) is None
    assert in_service(store) == "old"


def test_promoting_twice_changes_nothing(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    before = read_champions(store).ref.as_read.version
    assert take_over(store, tenure("a", "2026-03-10", "2026-03-06")) is None
    assert read_champions(store).ref.as_read.version == before


def test_the_champion_for_a_day_is_the_last_promotion_of_an_earlier_run_day(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    champions = read_champions(store)
    assert champions.before(date(2026, 3, 12)).version == "b"
    assert champions.before(date(2026, 3, 11)).version == "a"
    assert champions.before(date(2026, 3, 10)) is None


def test_nothing_takes_the_place_of_a_champion_that_it_never_met(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    late = tenure("c", "2026-03-12", "2026-03-08")
    refusal = champion.take_over(store, late, "a")
    assert refusal == (
        "it was judged against a, and b is in service: run `daily --force` for its day, which judges against that "
        "one, or `promote` it by hand"
    )
    assert "when there was no champion" in champion.take_over(store, late, None)
    assert in_service(store) == "b"
    assert champion.take_over(store, late.model_copy(update={"action": "override"}), None) is None


def test_a_second_run_of_a_day_meets_what_the_first_put_into_service(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    met = [one and one.version for one in read_champions(store).opponents(date(2026, 3, 11))]
    assert met == ["a", "b"]  # the last is whom a new run meets
    assert [one.version for one in read_champions(store).opponents(date(2026, 3, 12))] == ["b"]


def test_a_replay_of_an_overtaken_day_meets_the_champion_before_it(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    assert [one and one.version for one in read_champions(store).opponents(date(2026, 3, 10))] == ["a", None]


def test_a_rollback_brings_the_predecessor_back_and_bars_the_champion(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    barred, again = roll_back(store, "clicks fell", NOW)
    assert (barred.version, again.version, in_service(store)) == ("b", "a", "a")
    assert "barred" in take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    assert in_service(store) == "a"


def test_after_a_rollback_the_next_night_takes_over_from_the_model_brought_back(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    roll_back(store, "clicks fell", NOW)
    assert read_champions(store).before(date(2026, 3, 12)).version == "a"
    assert take_over(store, tenure("c", "2026-03-12", "2026-03-08")) is None
    assert in_service(store) == "c"


def test_an_override_brings_a_version_back_as_often_as_it_is_asked_for(store):
    for version, run_day in (("a", "2026-03-10"), ("b", "2026-03-11"), ("a", "2026-03-10"), ("b", "2026-03-11")):
        take_over(store, tenure(version, run_day, "2026-03-06", action="override"))
        assert in_service(store) == version


def test_a_second_run_of_a_promoted_day_takes_nothing_back(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    assert take_over(store, tenure("a", "2026-03-10", "2026-03-06")) is None
    assert in_service(store) == "b"


def test_an_override_lifts_the_bar(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))
    roll_back(store, "clicks fell", NOW)
    assert take_over(store, tenure("b", "2026-03-11", "2026-03-07", action="override")) is None
    assert in_service(store) == "b"


def test_there_is_nothing_to_roll_back_to_behind_the_first_model(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    with pytest.raises(UsageError, match="expected an earlier champion to go back to"):
        roll_back(store, "why", NOW)


def test_a_rollback_to_what_can_not_serve_changes_nothing(store):
    take_over(store, tenure("a", "2026-03-10", "2026-03-06"))
    take_over(store, tenure("b", "2026-03-11", "2026-03-07"))

    def refuse(_, version):
        msg = f"model {version}: a file is damaged"
        raise StorageError(msg)

    with pytest.raises(StorageError, match="model a: a file is damaged"):
        roll_back(store, "clicks fell", NOW, refuse)
    assert in_service(store) == "b"
    assert read_champions(store).barred == ()
