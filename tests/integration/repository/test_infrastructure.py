"""Files for Docker, Kubernetes and Terraform, which no test runs: their schemas, linters, and what they promise."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import hcl2
import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from ctr_retrain.flows.settings import Settings
from ctr_retrain.tasks.machines import host_listener, reach_host
from tests.support.repository import REPOSITORY

INFRA = REPOSITORY / "infra"
MANIFESTS = [
    (path.name, manifest)
    for path in sorted((INFRA / "kubernetes").rglob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
PODS = [(name, one["spec"]["template"]["spec"]) for name, one in MANIFESTS if one["kind"] in ("Deployment", "Job")]
COMPOSE = (INFRA / "docker" / "compose.yaml").read_text(encoding="utf-8")
SERVICES = yaml.safe_load(COMPOSE)["services"]
DOCKERFILE = INFRA / "docker" / "Dockerfile"
TERRAFORM = "\n".join(path.read_text(encoding="utf-8") for path in sorted((INFRA / "terraform").glob("*.tf")))


def lint(dockerfile):
    hadolint = Path(sys.executable).with_name("hadolint")
    return subprocess.run([hadolint, dockerfile], capture_output=True, text=True, check=False).stdout


def test_the_dockerfile_is_without_findings_of_its_linter(tmp_path):
    assert not lint(DOCKERFILE)
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(DOCKERFILE.read_text(encoding="utf-8").replace("WORKDIR /opt/ctr", "WORKDIR ctr"), "utf-8")
    assert "DL3000" in lint(wrong)


def test_both_targets_of_the_dockerfile_are_no_root_and_look_after_their_health():
    targets = re.split(r"^FROM ", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)[2:]
    assert [target.splitlines()[0] for target in targets] == ["base AS cpu", "base AS gpu"]
    for target, lock in zip(targets, ("requirements.lock", "requirements-gpu.lock"), strict=True):
        assert f"infra/install.sh {lock}" in target
        assert "\nUSER 10001:10001\n" in target
        assert "\nHEALTHCHECK " in target


def test_the_image_copies_only_what_there_is():
    for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        for source in line.split():
            assert (REPOSITORY / source).exists(), source


def test_the_compose_file_is_one_by_its_specification():
    PyCompose.from_yaml(COMPOSE).validate()
    with pytest.raises(Exception, match="restart"):
        PyCompose.from_yaml(COMPOSE.replace("restart: unless-stopped", "restart: sometimes"))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_of_the_compose_file_writes_nowhere_but_in_its_volumes(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["volumes"]
    assert any(place.startswith("/tmp") for place in service["tmpfs"])  # noqa: S108 - inside a container


@pytest.mark.parametrize(("name", "manifest"), MANIFESTS)
def test_a_manifest_is_one_by_kubernetes_own_schema(name, manifest):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_what_is_applied_as_a_whole_begins_no_run():
    applied = {one["kind"] for path, one in MANIFESTS if (INFRA / "kubernetes" / path).exists()}
    assert "Deployment" in applied
    assert "Job" not in applied
    assert not list((INFRA / "kubernetes").glob("*.json"))  # which kubectl takes for manifests


def test_a_key_that_kubernetes_does_not_know_is_seen():
    wrong = copy.deepcopy(MANIFESTS[0][1])
    wrong["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_a_pod_is_no_root_has_a_read_only_root_file_system_and_health_checks(name, pod):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        assert "resources" in container
        assert "livenessProbe" in container or pod.get("restartPolicy") == "Never"  # a job's pod is its run
        assert {one["mountPath"] for one in container["volumeMounts"]} == {"/var/lib/ctr", "/tmp"}  # noqa: S108


def test_secrets_stand_in_manifests_by_reference_only():
    assert "Secret" not in {manifest["kind"] for _, manifest in MANIFESTS}
    secret = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    written = {one["name"] for _, pod in PODS for box in pod["containers"] for one in box["env"] if "value" in one}
    written |= {key for _, one in MANIFESTS if one["kind"] == "ConfigMap" for key in one["data"]}
    assert secret
    assert not written & {f"CTR_RETRAIN_{name.upper()}" for name in secret}
    assert "PREFECT_API_DATABASE_CONNECTION_URL" not in written


def test_settings_in_containers_are_settings_that_there_are():
    known = {f"CTR_RETRAIN_{name.upper()}" for name in Settings.model_fields}
    texts = [COMPOSE, DOCKERFILE.read_text(encoding="utf-8")]
    texts += [path.read_text(encoding="utf-8") for path in (INFRA / "kubernetes").rglob("*.yaml")]
    named = {found for text in texts for found in re.findall(r"CTR_RETRAIN_[A-Z0-9_]+", text)}
    assert "CTR_RETRAIN_ROOT" in named
    assert not named - known


def test_a_gpu_worker_asks_for_a_gpu_and_each_policy_finds_its_pods():
    (gpu,) = [pod for name, pod in PODS if name == "gpu-worker.yaml"]
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    made = [one["spec"]["template"] for _, one in MANIFESTS if one["kind"] in ("Deployment", "Job")]
    labels = [template["metadata"]["labels"].items() for template in made]
    policies = [one["spec"] for _, one in MANIFESTS if one["kind"] == "NetworkPolicy"]
    covered = [any(policy["podSelector"]["matchLabels"].items() <= label for policy in policies) for label in labels]
    assert covered == [True] * len(PODS)


def test_the_machines_of_a_training_job_are_its_pods_and_only_they_reach_each_other():
    service, job, policy = (one for name, one in MANIFESTS if name == "training-job.yaml")
    spec, name = job["spec"], job["metadata"]["name"]
    (box,) = spec["template"]["spec"]["containers"]
    given = {one["name"]: one.get("value") for one in box["env"]}
    subdomain = spec["template"]["spec"]["subdomain"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    pods = [f"{name}-{index}.{subdomain}:{ports['tensorflow']}" for index in range(spec["completions"])]
    settings = Settings(workers=given["CTR_RETRAIN_WORKERS"], worker_command=given["CTR_RETRAIN_WORKER_COMMAND"])
    assert settings.compute.workers == tuple(pods)
    assert (spec["completionMode"], spec["parallelism"]) == ("Indexed", spec["completions"])
    assert spec["successPolicy"]["rules"] == [{"succeededIndexes": "0"}]
    assert (service["spec"]["clusterIP"], service["metadata"]["name"]) == ("None", subdomain)
    assert service["spec"]["selector"] == policy["spec"]["podSelector"]["matchLabels"]
    (allowed,) = policy["spec"]["ingress"]
    assert {port["port"] for port in allowed["ports"]} == set(ports.values())
    assert allowed["from"] == [{"podSelector": policy["spec"]["podSelector"]}]
    for line, module in ((box["args"][0], host_listener), (given["CTR_RETRAIN_WORKER_COMMAND"], reach_host)):
        assert f"-m {module.__name__} " in line
        assert line.endswith(f" {ports['listener']}")


def test_terraform_parses_and_each_name_that_it_uses_is_declared():
    parsed = hcl2.loads(TERRAFORM)
    declared = {f"var.{_bare(name)}" for block in parsed["variable"] for name in block}
    for kind, prefix in (("resource", ""), ("data", "data.")):
        declared |= {
            f"{prefix}{_bare(type_)}.{_bare(name)}"
            for block in parsed[kind]
            for type_, named in block.items()
            for name in named
        }
    code = re.sub(r"^\s*#.*|description .*", "", TERRAFORM, flags=re.MULTILINE)
    used = set(re.findall(r"\bvar\.\w+|\bdata\.aws_\w+\.\w+|(?<![.\w])aws_\w+\.\w+", code))
    assert used <= declared
    assert {name for name in declared if name.startswith("var.")} <= used


def _bare(name):
    return name.strip('"')


def test_the_role_has_the_rights_that_the_documentation_names_and_no_others():
    operations = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    root = re.search(r"^\| the root \| (.+) \|$", operations, flags=re.MULTILINE).group(1)
    given = set(re.findall(r'"(s3:\w+)"', TERRAFORM))
    assert given == set(re.findall(r"s3:\w+", root))
    assert "s3:*" not in TERRAFORM


def test_the_bucket_keeps_versions_and_only_what_was_replaced_expires():
    assert 'status = "Enabled"' in TERRAFORM
    (lifecycle,) = [
        block['"aws_s3_bucket_lifecycle_configuration"']['"store"']
        for block in hcl2.loads(TERRAFORM)["resource"]
        if '"aws_s3_bucket_lifecycle_configuration"' in block
    ]
    (rule,) = lifecycle["rule"]
    assert "noncurrent_version_expiration" in rule
    assert set(rule["expiration"][0]) - {"__is_block__"} == {"expired_object_delete_marker"}
