"""Rules of the settings: where things are, from the environment and the command line."""

import os
from pathlib import Path

import pytest

from ctr_retrain.flows.settings import Settings, load_settings
from ctr_retrain.models.errors import UsageError


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("CTR_RETRAIN_")]:
        monkeypatch.delenv(name)


def test_what_is_given_counts_before_the_environment_and_that_before_the_default(monkeypatch):
    monkeypatch.setenv("CTR_RETRAIN_ROOT", "/from/environment")
    monkeypatch.setenv("CTR_RETRAIN_LANDING", "/landing")
    settings = load_settings(root="/given", landing=None)
    assert settings.store.root == "/given"
    assert str(settings.landing_zone) == "/landing"
    assert settings.cron == "0 4 * * *"


def test_root_may_be_a_file_url_or_below_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert load_settings(root="file:///data/root").store.root == "/data/root"
    assert load_settings(root="~/root").store.root == "/home/someone/root"


def test_root_and_landing_zone_may_lie_on_s3_each_for_itself(monkeypatch, tmp_path):
    monkeypatch.setenv("CTR_RETRAIN_CACHE", str(tmp_path / "cache"))
    settings = load_settings(root="s3://bucket/some/prefix/", landing="/landing")
    assert settings.store.root == "s3://bucket/some/prefix"
    assert str(settings.landing_zone) == "/landing"
    assert settings.local_folder == tmp_path / "cache"
    settings = load_settings(root="/root", landing="s3://bucket")
    assert settings.store.root == "/root"
    assert str(settings.landing_zone) == "s3://bucket"
    assert settings.local_folder == Path("/root")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", ["night-1:2222", "night-1 night-2", "night-1:2222 night-1:2222", "a:1,b:2"])
def test_workers_are_two_machines_or_more_each_with_a_port_of_its_own(monkeypatch, workers):
    monkeypatch.setenv("CTR_RETRAIN_WORKERS", workers)
    with pytest.raises(UsageError, match="CTR_RETRAIN_WORKERS: expected HOST:PORT of two or more machines"):
        load_settings()


def test_training_knows_the_machines_and_how_to_start_on_them(monkeypatch):
    assert load_settings().compute.workers == ()
    monkeypatch.setenv("CTR_RETRAIN_WORKERS", "night-1:2222  [::1]:2222")
    compute = load_settings().compute
    assert compute.workers == ("night-1:2222", "[::1]:2222")
    assert compute.worker_command.startswith("ssh ")
    monkeypatch.setenv("CTR_RETRAIN_WORKER_COMMAND", "ssh 'open")
    with pytest.raises(UsageError, match="CTR_RETRAIN_WORKER_COMMAND: expected a command such as 'ssh"):
        load_settings()


@pytest.mark.parametrize("name", ["ROOT", "LANDING", "S3_ENDPOINT_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAHIDDEN:hidden@bucket/prefix",
        "s3://hidden@bucket",
        "s3://bucket/prefix?X-Amz-Signature=hidden",
        "s3://bucket/prefix#hidden",
        "https://someone:hidden@s3.example.com/bucket",
    ],
)
def test_address_that_may_hold_credentials_is_refused_and_not_repeated(monkeypatch, name, url):
    monkeypatch.setenv(f"CTR_RETRAIN_{name}", url)
    with pytest.raises(
        UsageError, match=f"CTR_RETRAIN_{name}: expected .*, received one that is kept secret"
    ) as caught:
        load_settings()
    assert "hidden" not in str(caught.value).lower()


@pytest.mark.parametrize("url", ["gs://bucket/prefix", "s3:///prefix", "s3://bucket//prefix", "s3://Bucket", "s3://"])
def test_address_of_nothing_we_can_read_is_refused(url):
    with pytest.raises(
        UsageError, match=r"CTR_RETRAIN_ROOT: expected a local folder or s3://BUCKET/PREFIX.*received '"
    ):
        load_settings(root=url)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "much"])
def test_cache_has_a_size(monkeypatch, size):
    monkeypatch.setenv("CTR_RETRAIN_CACHE_GB", size)
    with pytest.raises(UsageError, match="CTR_RETRAIN_CACHE_GB"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TIMEZONE", "Mars/Base", "a time zone such as Europe/Berlin, received 'Mars/Base'"),
        ("CRON", "daily", "a cron expression of five fields such as 0 4 * * *, received 'daily'"),
        ("CRON", "0 4 * * * *", "a cron expression of five fields such as 0 4 * * *, received '0 4 * * * *'"),
        ("DAYS_AT_ONCE", "0", "1 or more, received '0'"),
        ("DAYS_AT_ONCE", "two", "a whole number, received 'two'"),
        ("CACHE_GB", "0", "a number above 0, received '0'"),
        ("CACHE_GB", "much", "a number, received 'much'"),
        ("DEVICE", "tpu", "'auto', 'cpu' or 'gpu', received 'tpu'"),
        ("METRICS_LISTEN", "9108", "an address to listen at such as 127.0.0.1:9108, or nothing, received '9108'"),
        ("METRICS_LISTEN", "host:port", "an address to listen at such as 127.0.0.1:9108, or nothing"),
        ("ALERT_TARGETS", "https://secret.example/key", "LEVEL=ADDRESS, separated by spaces, each with the level"),
        ("ALERT_TARGETS", "notice=https://secret.example/key", "LEVEL=ADDRESS, separated by spaces"),
        ("WEBHOOK_URL", "secret.example/key", "an address that begins with https:// or http://, or nothing"),
    ],
)
def test_wrong_setting_is_named_with_what_was_expected_and_received(monkeypatch, name, value, expected):
    monkeypatch.setenv(f"CTR_RETRAIN_{name}", value)
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert f"CTR_RETRAIN_{name}: expected {expected}" in str(caught.value)
    assert caught.value.exit_code == 2
    assert caught.value.__cause__ is None


def test_all_wrong_settings_are_named_at_once(monkeypatch):
    for name in ("CRON", "TIMEZONE", "DEVICE", "DAYS_AT_ONCE"):
        monkeypatch.setenv(f"CTR_RETRAIN_{name}", "nonsense")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert [part.partition(":")[0] for part in str(caught.value).removeprefix("settings: ").split("; ")] == [
        *("CTR_RETRAIN_CRON", "CTR_RETRAIN_TIMEZONE", "CTR_RETRAIN_DAYS_AT_ONCE", "CTR_RETRAIN_DEVICE"),
    ]


def test_misspelt_setting_is_refused_and_the_right_ones_are_named(monkeypatch):
    monkeypatch.setenv("CTR_RETRAIN_ROOTS", "/x")
    with pytest.raises(UsageError, match=r"CTR_RETRAIN_ROOTS: expected one of .*CTR_RETRAIN_ROOT,"):
        load_settings()


def test_webhook_is_shown_nowhere(monkeypatch):
    monkeypatch.setenv("CTR_RETRAIN_WEBHOOK_URL", "https://hooks.example/token")
    assert "token" not in repr(load_settings())
    monkeypatch.setenv("CTR_RETRAIN_WEBHOOK_URL", "ftp://hooks.example/token")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert "token" not in str(caught.value)


def test_receivers_are_shown_nowhere_and_the_webhook_is_one_of_them(monkeypatch):
    monkeypatch.setenv("CTR_RETRAIN_WEBHOOK_URL", "https://hooks.example/token")
    monkeypatch.setenv("CTR_RETRAIN_ALERT_TARGETS", "warning=slack://a/token\ncritical=mailto://eva:token@x.example ")
    settings = load_settings()
    assert "token" not in repr(settings) + repr(settings.receivers)
    assert [(one.level, one.name) for one in settings.receivers] == [
        ("warning", "CTR_RETRAIN_WEBHOOK_URL (https)"),
        ("warning", "receiver 1 of CTR_RETRAIN_ALERT_TARGETS (slack)"),
        ("critical", "receiver 2 of CTR_RETRAIN_ALERT_TARGETS (mailto)"),
    ]
    monkeypatch.setenv("CTR_RETRAIN_ALERT_TARGETS", "critical=x://token warning:https://hooks.example/token")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert "token" not in str(caught.value)


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().root = "/elsewhere"
