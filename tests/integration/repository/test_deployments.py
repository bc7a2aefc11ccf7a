"""Rules of the deployments: each names a flow that there is, and its form says what each field means and allows."""

import json
import subprocess
import sys

import jsonschema
import pytest
import yaml

from tests.support.repository import REPOSITORY
from tests.support.small_world import clean_environment

FILES = ("prefect.yaml", "prefect-gpu.yaml", "prefect-docker.yaml", "prefect-kubernetes.yaml")
DEPLOYMENTS = {
    file: yaml.safe_load((REPOSITORY / "infra" / file).read_text(encoding="utf-8"))["deployments"] for file in FILES
}
TRAINS = {"flows/daily.py:daily", "flows/backfill.py:backfill", "flows/compare.py:compare"}
NEEDED = {"backfill": {"start": "2026-03-01", "end": "2026-03-04"}, "compare": {"request": {"day": "2026-03-04"}}}


@pytest.fixture(scope="module")
def forms():
    """The forms as Prefect makes them of the entry points' files, by the flow's name."""
    entries = [one["entrypoint"] for one in DEPLOYMENTS["prefect.yaml"]]
    program = (
        "import json, sys\nfrom prefect.flows import load_flow_from_entrypoint\n"
        "from prefect.utilities.callables import parameter_schema\n"
        "flows = [load_flow_from_entrypoint(entry) for entry in sys.argv[1:]]\n"
        "print(json.dumps({flow.name: parameter_schema(flow).model_dump() for flow in flows}))\n"
    )
    named = clean_environment() | {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    done = subprocess.run(
        [sys.executable, "-c", program, *entries], cwd=REPOSITORY, env=named, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def flow_of(forms, deployment):
    """The form of a deployment's flow."""
    function = deployment["entrypoint"].split(":")[1]
    return forms["gc" if function == "clean_up" else function]


def test_there_is_a_deployment_of_each_flow_that_people_or_schedules_start(forms):
    assert forms.keys() == {"daily", "backfill", "compare", "gc", "watchdog"}


def test_all_files_have_the_same_deployments_in_other_pools():
    first, *others = (
        [{k: v for k, v in one.items() if k != "work_pool"} for one in DEPLOYMENTS[file]] for file in FILES
    )
    assert others == [first] * len(others)
    pools = {one["entrypoint"]: one["work_pool"]["name"] for one in DEPLOYMENTS["prefect-gpu.yaml"]}
    assert {entry for entry, pool in pools.items() if pool == "ctr-retrain-gpu"} == TRAINS


def fields_of(form):
    """The fields of a form, those of a nested one too."""
    yield from form["properties"].items()
    for nested in form["definitions"].values():
        yield from nested["properties"].items()


def test_each_field_of_a_form_has_a_description(forms):
    silent = [
        (flow, name) for flow, form in forms.items() for name, field in fields_of(form) if not field.get("description")
    ]
    assert not silent


@pytest.mark.parametrize("file", FILES)
def test_the_parameters_of_a_deployment_and_what_its_flow_needs_fit_the_form(forms, file):
    for one in DEPLOYMENTS[file]:
        form = flow_of(forms, one)
        given = {**one.get("parameters", {}), **NEEDED.get(one["entrypoint"].split(":")[1], {})}
        jsonschema.validate(given, {**form, "type": "object", "additionalProperties": False})


@pytest.mark.parametrize(
    ("flow", "wrong"),
    [
        ("backfill", {"retrain": "some"}),
        ("backfill", {"days_at_once": 0}),
        ("backfill", {"only": "new"}),
        ("compare", {"request": {"day": "2026-03-04", "seeds": 0}}),
        ("compare", {"request": {"day": "2026-03-04", "criterion": "auc"}}),
        ("compare", {"request": {}}),
        ("gc", {"dry_run": "perhaps"}),
    ],
)
def test_a_form_refuses_what_its_flow_would(forms, flow, wrong):
    form = {**forms[flow], "type": "object"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**NEEDED.get(flow, {}), **wrong}, form)
