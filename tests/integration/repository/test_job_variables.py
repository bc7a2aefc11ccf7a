"""Rules of job variables: each is one of its pool's base job template, and what a template makes of them is a job.

The templates are Prefect's own, which it ships for pools of each type, and for Kubernetes the one in infra/kubernetes.
"""

import json
import re
from pathlib import Path

import jsonschema
import kubernetes_validate
import prefect
import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.templating import apply_values

from ctr_retrain.flows.settings import Settings
from tests.support.repository import REPOSITORY

INFRA = REPOSITORY / "infra"
SHIPPED = json.loads(
    next(Path(prefect.__file__).parent.rglob("aggregate-worker-metadata.json")).read_text(encoding="utf-8")
)
OURS = json.loads((INFRA / "kubernetes" / "jobs" / "job-template.json").read_text(encoding="utf-8"))
PREFECTS = SHIPPED["prefect-kubernetes"]["kubernetes"]["default_base_job_configuration"]
TEMPLATES = {
    "prefect.yaml": ("process", SHIPPED["prefect"]["process"]["default_base_job_configuration"]),
    "prefect-gpu.yaml": ("process", SHIPPED["prefect"]["process"]["default_base_job_configuration"]),
    "prefect-docker.yaml": ("docker", SHIPPED["prefect-docker"]["docker"]["default_base_job_configuration"]),
    "prefect-kubernetes.yaml": ("kubernetes", OURS),
}
LEFT_OUT = {
    "cluster_config",
    "cpu_limit",
}  # the worker is in its cluster; nobody limits cores
TRAINS = ("daily", "backfill", "compare")


def pools_of(file):
    """The work pool and job variables of each deployment, by its entry point."""
    parsed = yaml.safe_load((INFRA / file).read_text(encoding="utf-8"))
    return [(one["entrypoint"], one["work_pool"]) for one in parsed["deployments"]]


CASES = [(file, entry, pool) for file in TEMPLATES for entry, pool in pools_of(file)]
JOBS = [(entry, pool["job_variables"]) for file, entry, pool in CASES if file == "prefect-kubernetes.yaml"]


def rendered(template, variables):
    """What a worker makes of a template and a deployment's variables; the environment as a container has it."""
    defaults = {
        name: field["default"] for name, field in template["variables"]["properties"].items() if "default" in field
    }
    made = apply_values(template["job_configuration"], {**defaults, **variables})
    (box,) = made["job_manifest"]["spec"]["template"]["spec"]["containers"]
    box["env"] = [{"name": name, "value": value} for name, value in box["env"].items()]
    box["args"] = ["prefect", "flow-run", "execute"]  # which the worker puts in
    return made["job_manifest"]


@pytest.mark.parametrize(("file", "entry", "pool"), CASES)
def test_job_variables_are_those_of_the_pools_template(file, entry, pool):
    variables = TEMPLATES[file][1]["variables"]
    assert pool["job_variables"].keys() <= variables["properties"].keys(), entry
    jsonschema.validate(pool["job_variables"], variables)


def test_our_template_of_jobs_has_prefects_variables_and_each_that_it_uses():
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(OURS["job_configuration"])))
    assert used == OURS["variables"]["properties"].keys()
    assert PREFECTS["variables"]["properties"].keys() - used == LEFT_OUT
    assert PREFECTS["job_configuration"].keys() - OURS["job_configuration"].keys() == {"cluster_config"}


@pytest.mark.parametrize(("entry", "variables"), JOBS)
def test_a_job_is_one_by_kubernetes_own_schema_and_as_safe_as_a_worker(entry, variables):
    job = rendered(OURS, variables)
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    pod = job["spec"]["template"]["spec"]
    (box,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert box["securityContext"]["readOnlyRootFilesystem"] is True
    assert box["resources"]["requests"]["memory"]
    assert box["resources"]["limits"]["memory"]
    trains = entry.split(":")[1] in TRAINS
    assert box["resources"]["limits"].get("nvidia.com/gpu") == (1 if trains else None)
    assert pod.get("nodeSelector") == ({"nvidia.com/gpu.present": "true"} if trains else None)
    assert box["image"] == ("ctr-retrain:gpu" if trains else "ctr-retrain:cpu")


def test_a_job_finds_settings_secrets_and_policy_that_the_manifests_have():
    text = "".join(path.read_text(encoding="utf-8") for path in (INFRA / "kubernetes").glob("*.yaml"))
    manifests = list(yaml.safe_load_all(text.replace("\napiVersion", "\n---\napiVersion")))
    pod = rendered(OURS, JOBS[0][1])["spec"]["template"]
    worker = next(one for one in manifests if one and one["metadata"]["name"] == "ctr-worker" and "spec" in one)
    theirs = worker["spec"]["template"]["spec"]
    assert pod["spec"]["containers"][0]["envFrom"] == theirs["containers"][0]["envFrom"]
    assert pod["spec"]["serviceAccountName"] == theirs["serviceAccountName"]
    policies = [
        one["spec"]["podSelector"]["matchLabels"] for one in manifests if one and one["kind"] == "NetworkPolicy"
    ]
    assert pod["metadata"]["labels"] in policies


def test_secrets_are_job_variables_by_reference_only():
    secret = {
        f"CTR_RETRAIN_{name.upper()}"
        for name, field in Settings.model_fields.items()
        if "Secret" in str(field.annotation)
    }
    known = {f"CTR_RETRAIN_{name.upper()}" for name in Settings.model_fields}
    for _, _, pool in CASES:
        environment = pool["job_variables"]["env"]
        assert {name for name in environment if name.startswith("CTR_RETRAIN_")} <= known
        written = {name: value for name, value in environment.items() if name in secret}
        assert all(re.fullmatch(r"{{ prefect\.blocks\.secret\.[a-z-]+ }}", value) for value in written.values())


def test_prefects_server_takes_the_job_variables_and_refuses_others(prefect_server):
    wrong = {"process": {"env": 1}, "docker": {"networks": "one"}, "kubernetes": {"gpus": 0}}
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("any")
        for file, (kind, template) in TEMPLATES.items():
            name = f"pool-of-{Path(file).stem}"
            client.create_work_pool(WorkPoolCreate(name=name, type=kind, base_job_template=template))
            for _, pool in pools_of(file):
                variables = pool["job_variables"]
                made = client.create_deployment(flow, "any", work_pool_name=name, job_variables=variables)
                client.delete_deployment(made)
                with pytest.raises(PrefectHTTPStatusError, match=r"409|422|400"):
                    client.create_deployment(flow, "wrong", work_pool_name=name, job_variables=variables | wrong[kind])
