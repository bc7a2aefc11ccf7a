"""Rules of `ctr-retrain doctor`: it makes every check that can be made, and names what is to be mended."""

import pytest

from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import assert_failed, at
from tests.support.small_world import write_recipe
from tests.support.stored import stored_names


def test_the_doctor_reports_each_check_and_claims_no_root(small_landing, recipe_file, tmp_path):
    answer = at(tmp_path / "root", small_landing, recipe_file)("doctor", "--json")
    checks = {check["name"]: check for check in answer.document["checks"]}
    names = {"python", "settings", "recipe", "root", "landing", "events", "disk", "device", "prefect", "webhook"}
    assert checks.keys() == names | {"schedule", "telemetry", "packages", "memory", "folders", "clock", "timezones"}
    assert all(check["words"] for check in checks.values())
    failed = {name for name, check in checks.items() if not check["passed"]}
    assert failed <= {"disk", "memory"}  # a machine may be short of it
    assert answer.status == (4 if failed else 0)
    store = LocalStore(tmp_path / "root")
    assert store.read_ref(layout.name_ref()) is None
    assert stored_names(store) == set()


def test_the_doctor_names_what_is_to_be_mended_and_exits_with_4(root, tmp_path, monkeypatch):
    recipe = write_recipe(tmp_path)
    recipe.write_text(recipe.read_text(encoding="utf-8").replace('"small"', '"other"'), encoding="utf-8")
    monkeypatch.setenv("PREFECT_API_URL", "http://user:SECRET@127.0.0.1:9/api/SECRET")
    monkeypatch.setenv("CTR_RETRAIN_WEBHOOK_URL", "https://hooks.example:port/SECRET")
    answer = at(root, tmp_path / "nowhere", recipe)("doctor", "--json")
    assert "SECRET" not in answer.stdout + answer.stderr
    words = {check["name"]: check["words"] for check in answer.document["checks"] if not check["passed"]}
    assert words.keys() - {"disk", "memory"} == {"root", "landing", "events", "prefect", "clock", "webhook"}
    assert "serves 'small', not 'other'" in words["root"]
    assert "set --landing" in words["landing"]
    assert "http://127.0.0.1:9: expected an answer, received: Connection refused" in words["prefect"]
    assert "expected an address of http or https" in words["webhook"]
    assert_failed(answer, 4, "StorageError", "doctor: expected 17 checks to pass, received failures of root, landing")


def test_the_doctor_tries_the_recipe_on_what_landed(small_landing, tmp_path):
    recipe = write_recipe(tmp_path)
    text = recipe.read_text(encoding="utf-8").replace(
        'name = "small"', 'name = "small"\nlanding = { event_id_columns = ["id"] }'
    )
    recipe.write_text(text, encoding="utf-8")
    answer = at(tmp_path / "root", small_landing, recipe)("doctor", "--json")
    failed = {check["name"]: check["words"] for check in answer.document["checks"] if not check["passed"]}
    assert failed.keys() - {"disk", "memory"} == {"events"}
    assert "received none called 'id' (landing.event_id_columns) among" in failed["events"]
    if failed.keys() == {"events"}:
        assert_failed(answer, 3, "DataRejectedError", "received failures of events")


@pytest.mark.parametrize("wrong", ["recipe", "settings"])
def test_the_doctor_makes_every_check_that_can_be_made_whatever_fails_first(
    small_landing, recipe_file, tmp_path, monkeypatch, wrong
):
    if wrong == "settings":
        monkeypatch.setenv("CTR_RETRAIN_CRON", "nightly")
    recipe = recipe_file if wrong == "settings" else tmp_path / "none.toml"
    answer = at(tmp_path / "root", small_landing, recipe)("doctor", "--json")
    assert_failed(answer, 2, "UsageError", f"expected 17 checks to pass, received failures of {wrong}")
    words = {check["name"]: check["words"] for check in answer.document["checks"]}
    assert len(words) == 17
    assert words["events"].startswith("not checked before")
    assert words["landing"].startswith("not checked before" if wrong == "settings" else str(small_landing))
    assert words["python"]
    assert words["telemetry"]


def test_an_accident_in_one_check_is_its_own_failure(monkeypatch, small_landing, recipe_file, tmp_path):
    def fail(path):
        raise ZeroDivisionError(path)

    monkeypatch.setattr("shutil.disk_usage", fail)
    answer = at(tmp_path / "root", small_landing, recipe_file)("doctor", "--json")
    failed = {check["name"]: check["words"] for check in answer.document["checks"] if not check["passed"]}
    assert failed.keys() - {"memory"} == {"disk"}
    assert "expected the check to be made, received ZeroDivisionError" in failed["disk"]
