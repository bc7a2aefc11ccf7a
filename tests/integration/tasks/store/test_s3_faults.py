"""Rules of a service that fails: a fault is a storage error in words, or nothing at all; nothing is half there."""

import threading

import pytest

from ctr_retrain.flows.machine.service_checks import probe
from ctr_retrain.models.errors import BusyError, StorageError
from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.s3_bucket import Bucket, S3Access
from ctr_retrain.tasks.store.s3_store import S3Store
from tests.support.faulty_proxy import (
    CORRUPT,
    CUT,
    LOST_ANSWER,
    NO_IF_MATCH,
    NO_IF_NONE_MATCH,
    NOT_IMPLEMENTED,
    PASSED,
    TRUNCATED,
    UNAVAILABLE,
    UNCONDITIONAL,
    proxy_to,
)
from tests.support.s3_server import ACCESS_KEY, FEW_TRIES, IMPATIENT, SECRET_KEY, S3Server
from tests.support.stored import stored_names


def publish(store, path="days/d/1", content=b"abc"):
    with store.writing(path, {}) as folder:
        (folder / "rows").write_bytes(content)


@pytest.fixture
def reader(proxy, bucket_name, tmp_path):
    """The same store by the faulty way, with nothing in its cache."""
    return S3Store(Bucket(bucket_name, "root", S3Access(proxy.url, **FEW_TRIES)), Cache(tmp_path / "empty", 1))


# --- killed, slow, unavailable


def test_server_killed_in_the_middle_of_a_publish_publishes_nothing_and_the_next_one_does(s3_environment, cache):
    server = S3Server()
    try:
        name = server.new_bucket()
        with proxy_to(server.port) as proxy:
            store = S3Store(Bucket(name, "root", S3Access(proxy.url, **FEW_TRIES)), cache)
            fault = proxy.order(PASSED, "PUT", "manifest.json", held=True)
            killer = threading.Thread(target=lambda: (fault.hit.wait(), server.stop(), fault.release.set()))
            killer.start()
            with pytest.raises(StorageError, match=r"could not write .*manifest.json: expected an answer from 127"):
                publish(store)
            killer.join()
            assert list((cache._folder / "staging").iterdir()) == []
            server = S3Server(server.port)
            server.client().create_bucket(Bucket=name)
            assert store.open("days/d/1") is None
            publish(store)
            assert (store.open("days/d/1") / "rows").read_bytes() == b"abc"
    finally:
        server.stop()


@pytest.mark.parametrize("part", ["writing/", "/rows", "manifest.json"])
def test_connection_lost_at_any_step_of_a_publish_leaves_no_object_and_the_refs_as_they_were(
    behind_proxy, proxy, s3_store, part
):
    proxy.order(CUT, "PUT", part, times=100)
    with pytest.raises(StorageError, match="expected an answer from 127"):
        publish(behind_proxy)
    assert s3_store.open("days/d/1") is None
    assert s3_store.list_objects("days/d") == []
    publish(s3_store, content=b"again")
    assert (s3_store.open("days/d/1") / "rows").read_bytes() == b"again"


def test_answer_that_does_not_come_is_asked_for_again(s3_store, proxy, bucket_name, cache):
    first = s3_store.swap_ref("champion", {"current": "a"}, None)
    proxy.order(PASSED, "GET", "champion", held=True)
    tries_often = S3Store(Bucket(bucket_name, "root", S3Access(proxy.url, attempts=20, read_seconds=1)), cache)
    assert tries_often.read_ref("champion") == first
    assert proxy.asked("GET", "champion") >= 2


def test_service_that_stays_silent_is_given_up(proxy, bucket_name, cache):
    proxy.order(PASSED, "GET", "champion", times=100, held=True)
    store = S3Store(Bucket(bucket_name, "root", S3Access(proxy.url, **IMPATIENT)), cache)
    with pytest.raises(StorageError, match=r"expected an answer from 127.*ReadTimeoutError"):
        store.read_ref("champion")


def test_a_service_that_was_silent_is_asked_once_and_briefly_until_it_answers_again(proxy, bucket_name, cache):
    store = S3Store(Bucket(bucket_name, "root", S3Access(proxy.url, **IMPATIENT)), cache)
    first = store.swap_ref("champion", {"current": "a"}, None)
    proxy.fall_silent("GET", "champion")
    for asked in (FEW_TRIES["attempts"], FEW_TRIES["attempts"] + 1):
        with pytest.raises(StorageError, match="ReadTimeoutError"):
            store.read_ref("champion")
        assert proxy.asked("GET", "champion") == asked
    proxy.speak()
    assert store.read_ref("champion") == first
    before = proxy.asked("GET", "champion")
    proxy.fall_silent("GET", "champion")
    with pytest.raises(StorageError, match="ReadTimeoutError"):
        store.read_ref("champion")
    assert proxy.asked("GET", "champion") == before + FEW_TRIES["attempts"]


def test_few_503s_are_waited_out(behind_proxy, proxy):
    for method in ("PUT", "GET"):
        proxy.order(UNAVAILABLE, method, times=2)
    publish(behind_proxy)
    assert behind_proxy.list_objects("days/d") == ["days/d/1"]


def test_service_that_stays_unavailable_is_named_with_its_code(behind_proxy, proxy):
    proxy.order(UNAVAILABLE, "PUT", times=100)
    with pytest.raises(StorageError, match="expected success, received SlowDown from 127"):
        publish(behind_proxy)
    assert proxy.asked("PUT") == FEW_TRIES["attempts"]


# --- answers that are wrong or lost


def test_bytes_damaged_on_the_way_are_fetched_again(reader, proxy, s3_store):
    publish(s3_store)
    proxy.order(CORRUPT, "GET", "/rows")
    assert (reader.open("days/d/1") / "rows").read_bytes() == b"abc"
    assert proxy.asked("GET", "/rows") == 2


def test_bytes_damaged_where_they_lie_are_a_storage_error_and_nothing_of_them_is_kept(
    reader, s3_store, bucket, tmp_path
):
    publish(s3_store)
    (rows,) = (name for name in stored_names(s3_store) if name.endswith("/rows"))
    bucket.write(rows, b"xyz")
    for _ in range(2):
        with pytest.raises(
            StorageError, match=r"file rows of days/d/1 .* expected SHA-256 ba7816bf.*received .* twice"
        ):
            reader.open("days/d/1")
    assert not [path for path in (tmp_path / "empty").rglob("*") if path.is_file() and b"xyz" in path.read_bytes()]


def test_body_that_breaks_off_is_fetched_again(reader, proxy, s3_store):
    publish(s3_store, content=b"x" * 100_000)
    proxy.order(TRUNCATED, "GET", "/rows", times=2)
    proxy.order(TRUNCATED, "GET", "manifest.json", times=2)
    assert (reader.open("days/d/1") / "rows").stat().st_size == 100_000


def test_file_of_another_size_than_its_manifest_says_is_a_storage_error_and_not_fetched(reader, s3_store, bucket):
    publish(s3_store)
    (rows,) = (name for name in stored_names(s3_store) if name.endswith("/rows"))
    for other in (b"x", b"x" * 10_000):
        bucket.write(rows, other)
        with pytest.raises(StorageError, match=f"rows: expected 3 bytes, received {len(other):,}. It is damaged"):
            reader.open("days/d/1")


@pytest.mark.parametrize("known", [False, True])
def test_swap_whose_answer_was_lost_has_succeeded(behind_proxy, proxy, known):
    before = behind_proxy.swap_ref("champion", {"current": "old"}, None) if known else None
    fault = proxy.order(LOST_ANSWER, "PUT", "champion")
    after = behind_proxy.swap_ref("champion", {"current": "new"}, before)
    assert fault.hit.is_set()
    assert behind_proxy.read_ref("champion") == after
    assert after.value == {"current": "new"}
    with pytest.raises(BusyError, match="another run was faster"):
        behind_proxy.swap_ref("champion", {"current": "newer"}, before)


def test_swap_that_is_never_answered_is_read_back(behind_proxy, proxy):
    proxy.order(LOST_ANSWER, "PUT", "champion", times=100)
    after = behind_proxy.swap_ref("champion", {"current": "new"}, None)
    assert behind_proxy.read_ref("champion") == after


def test_swap_that_never_arrived_is_a_storage_error(behind_proxy, proxy):
    proxy.order(CUT, "PUT", "champion", times=100)
    with pytest.raises(StorageError, match="could not write"):
        behind_proxy.swap_ref("champion", {"current": "new"}, None)
    assert behind_proxy.read_ref("champion") is None


def test_swap_that_was_beaten_while_its_own_try_was_lost_is_busy(behind_proxy, proxy, s3_store):
    before = s3_store.swap_ref("champion", {"current": "old"}, None)
    fault = proxy.order(CUT, "PUT", "champion", times=100, held=True)

    def overtake():
        fault.hit.wait()
        s3_store.swap_ref("champion", {"current": "rival"}, before)
        fault.release.set()

    rival = threading.Thread(target=overtake)
    rival.start()
    with pytest.raises(BusyError, match="another run was faster"):
        behind_proxy.swap_ref("champion", {"current": "mine"}, before)
    rival.join()
    assert s3_store.read_ref("champion").value == {"current": "rival"}


def test_object_whose_last_answer_was_lost_is_published(behind_proxy, proxy, s3_store):
    fault = proxy.order(LOST_ANSWER, "PUT", "manifest.json")
    publish(behind_proxy)
    assert fault.hit.is_set()
    assert (s3_store.open("days/d/1") / "rows").read_bytes() == b"abc"
    assert len(stored_names(s3_store)) == 2


# --- wrong settings


def test_missing_bucket_is_named_with_what_to_do(s3_server, s3_environment, cache):
    store = S3Store(Bucket("no-such-bucket", "root", S3Access(s3_server.url)), cache)
    words = r"s3://no-such-bucket/root.* expected the bucket 'no-such-bucket', received none of that name. Create it"
    for ask in (
        lambda: store.read_ref("champion"),
        lambda: store.swap_ref("champion", {}, None),
        lambda: store.list_refs("days"),
        lambda: store.open("days/d/1"),
        lambda: publish(store),
        store.sweep,
    ):
        with pytest.raises(StorageError, match=words) as caught:
            ask()
        assert caught.value.exit_code == 4


@pytest.fixture(scope="module")
def strict_server():
    """A server that checks who asks: one user with a key, who may do all."""
    server = S3Server(INITIAL_NO_AUTH_ACTION_COUNT="4")
    iam = server.client("iam")
    iam.create_user(UserName="ctr")
    document = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
    iam.put_user_policy(UserName="ctr", PolicyName="all", PolicyDocument=document)
    server.key = iam.create_access_key(UserName="ctr")["AccessKey"]
    server.client().create_bucket(Bucket="strict")
    yield server
    server.stop()


def test_wrong_credentials_are_refused_in_words_that_do_not_repeat_them(
    strict_server, s3_environment, cache, monkeypatch
):
    store = S3Store(Bucket("strict", "root", S3Access(strict_server.url)), cache)
    with pytest.raises(
        StorageError, match=r"expected credentials that may do this, received InvalidAccessKeyId"
    ) as caught:
        store.swap_ref("champion", {}, None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", strict_server.key["AccessKeyId"])
    store = S3Store(Bucket("strict", "root", S3Access(strict_server.url)), cache)
    with pytest.raises(StorageError, match=r"expected credentials .*received SignatureDoesNotMatch") as also:
        store.swap_ref("champion", {}, None)
    for error in (caught.value, also.value):
        assert error.__suppress_context__
        for secret in (ACCESS_KEY, SECRET_KEY, strict_server.key["AccessKeyId"]):
            assert secret not in str(error)


def test_service_that_honours_both_conditions_passes_the_probe_and_keeps_nothing_of_it(behind_proxy, proxy):
    probe(behind_proxy)
    conditional = [path for method, path in proxy.requests if method == "PUT" and "/root/probe/" in path]
    assert len(conditional) >= 6  # a write, three to be refused and two to be taken
    assert stored_names(behind_proxy) == set()


@pytest.mark.parametrize(
    ("service", "found"),
    [
        (
            UNCONDITIONAL,
            {"stale ETag: success", "on a key that isn't there: success", "on a key that is there: success"},
        ),
        (NO_IF_MATCH, {"stale ETag: success", "on a key that isn't there: success"}),
        (NO_IF_NONE_MATCH, {"on a key that is there: success"}),
        (
            NOT_IMPLEMENTED,
            {"stale ETag: an error (NotImplemented)", "on a key that is there: an error (NotImplemented)"},
        ),
    ],
)
def test_service_on_which_two_promotions_overwrite_each_other_is_found_out(behind_proxy, proxy, service, found):
    proxy.order(service, "PUT", "/root/probe/", times=100)
    with pytest.raises(StorageError, match="Two runs could overwrite each other") as refused:
        probe(behind_proxy)
    words = str(refused.value)
    assert all(outcome in words for outcome in found)
    assert words.count(": success") == sum("success" in outcome for outcome in found)
    assert stored_names(behind_proxy) == set()


def test_service_that_knows_no_conditions_is_named_as_such_by_every_swap(behind_proxy, proxy):
    proxy.order(NOT_IMPLEMENTED, "PUT", "refs/champion", times=100)
    with pytest.raises(
        StorageError, match=r"received NotImplemented, from 127.0.0.1.* use a service that honours them"
    ):
        behind_proxy.swap_ref("champion", {"current": "a"}, None)
    assert proxy.asked("PUT", "refs/champion") == 1  # asking again would change nothing


def test_no_credentials_at_all_say_where_to_put_them(s3_server, bucket_name, cache, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store = S3Store(Bucket(bucket_name, "root", S3Access(s3_server.url)), cache)
    with pytest.raises(StorageError, match="expected credentials where boto3 looks for them"):
        store.read_ref("champion")


def test_service_that_is_not_there_is_named_without_what_its_address_hides(s3_environment, cache, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://someone:hidden@127.0.0.1:9")
    store = S3Store(Bucket("any", "root", S3Access(**IMPATIENT)), cache)
    with pytest.raises(StorageError, match=r"expected an answer from 127.0.0.1:9") as caught:
        store.read_ref("champion")
    assert "hidden" not in str(caught.value)
