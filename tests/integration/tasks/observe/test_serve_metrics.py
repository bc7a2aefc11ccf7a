"""Rules of the address to scrape: Prometheus gets metrics in its format, and a port that is taken is told."""

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.observe.describe_status import describe_status
from ctr_retrain.tasks.observe.export_metrics import serve_metrics
from ctr_retrain.tasks.report.run_list import write_run_list
from tests.support.long_history import put_days


def test_a_root_is_scraped_and_a_second_server_is_refused(local_store, now):
    put_days(local_store, 3)
    write_run_list(local_store, None)
    server = serve_metrics("127.0.0.1:0", "tiny", lambda: describe_status(local_store, now))
    address = f"127.0.0.1:{server.server_address[1]}"
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            families = {one.name: one.samples for one in text_string_to_metric_families(answer.read().decode())}
        assert families["ctr_retrain_root_readable"][0].value == 1
        assert {sample.value for sample in families["ctr_retrain_runs"]} == {3, 0}
        with pytest.raises(StorageError, match=f"CTR_RETRAIN_METRICS_LISTEN: expected .*, received {address}"):
            serve_metrics(address, "tiny", lambda: describe_status(local_store, now))
    finally:
        server.shutdown()
        server.server_close()
