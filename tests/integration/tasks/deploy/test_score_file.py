"""Rules of `score`: the evaluation's own numbers from raw files, an answer to everything, and no half-written file."""

import csv
import gzip
import json
import shutil
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ctr_retrain.tasks.deploy.score_file import _columns
from ctr_retrain.tasks.landing.file_parts import LandedFile
from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import run
from tests.support.stored import rewrite

VALIDATION_DAY = "2026-03-06"


@pytest.fixture
def landed(small_landing):
    """The raw file of the day on which the first run's challenger was judged."""
    return small_landing / "impressions" / f"dt={VALIDATION_DAY}" / "events.parquet"


@pytest.fixture
def rows(landed):
    return pq.read_table(landed).slice(0, 300)


@pytest.fixture
def score(first_run):
    """The command; reading alone, so that the first run's own root will do."""

    def run_score(source, target, *more):
        return run("--root", first_run.root, "--json", "score", "--input", source, "--output", target, *more)

    return run_score


@pytest.fixture
def expected(score, rows, tmp_path):
    """The probabilities of the first rows, as Parquet gives them."""
    pq.write_table(rows, tmp_path / "expected-in.parquet")
    return probabilities(score, tmp_path / "expected-in.parquet")


def probabilities(score, source):
    target = source.with_name("scores.parquet")
    answer = score(source, target)
    assert answer.status == 0, answer.stderr
    return pq.read_table(target)["probability"].to_numpy()


def write(rows, path):
    """The rows in the format that the path's name says."""
    if ".parquet" in path.name:
        pq.write_table(rows, path)
        return path
    if ".csv" in path.name:
        pa.csv.write_csv(rows, path.with_suffix(".raw"))
        content = path.with_suffix(".raw").read_bytes()
    else:
        content = "".join(json.dumps(row, default=str) + "\n" for row in rows.to_pylist()).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def assert_refused(answer, status, words, target):
    assert answer.status == status, answer.stderr
    assert words in answer.document["error"]["message"], answer.document["error"]["message"]
    assert "Traceback" not in answer.stderr
    assert not target.exists()
    assert not list(target.parent.glob(".*.part"))


# --- the numbers


def test_scoring_the_raw_landed_file_gives_the_evaluations_own_numbers(score, landed, first_run, tmp_path):
    answer = score(landed, tmp_path / "scores.parquet")
    scored = pq.read_table(tmp_path / "scores.parquet")
    assert answer.status == 0, answer.stderr
    assert answer.document["rows"] == len(scored) == pq.read_metadata(landed).num_rows
    assert answer.document["model"] == first_run.document["champion"]
    judged = pq.read_table(
        first_run.root / "runs" / first_run.document["run_id"] / "scores.parquet", columns=["event_id", "challenger"]
    )
    served = dict(zip(scored["event_id"].to_pylist(), scored["probability"].to_pylist(), strict=True))
    pairs = zip(*judged.to_pydict().values(), strict=True)
    both = [(served[event], value) for event, value in pairs if event in served]
    assert len(both) > 0.95 * len(judged)  # the others landed a day later, in another file
    ours, theirs = np.array(both).T
    assert np.abs(ours - theirs).max() <= 1e-6
    assert len(set(theirs)) > 100


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.csv.gz", "a.parquet"])
def test_every_format_gives_the_same_numbers(score, rows, expected, tmp_path, name):
    assert probabilities(score, write(rows, tmp_path / name)) == pytest.approx(expected, abs=1e-6)


def test_a_named_version_is_scored_with_whatever_its_verdict_was(score, landed, first_run, tmp_path):
    version = first_run.document["run_id"]
    answer = score(landed, tmp_path / "scores.parquet", "--model", version)
    assert (answer.status, answer.document["model"]) == (0, version)


# --- the rows


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_rows_come_back_in_their_order_with_all_their_columns(score, rows, tmp_path, suffix):
    rows = rows.take(np.random.default_rng(1).permutation(len(rows)))
    rows = rows.append_column("my own", pa.array([f"note, {n}" for n in range(len(rows))]))
    target = tmp_path / f"scores{suffix}"
    assert score(write(rows, tmp_path / "a.parquet"), target).status == 0
    back = pq.read_table(target) if suffix == ".parquet" else pa.csv.read_csv(target)
    assert back.column_names == [*rows.column_names, "probability"]
    assert back["event_id"].to_pylist() == rows["event_id"].to_pylist()
    assert back["my own"].to_pylist() == rows["my own"].to_pylist()


def test_rows_of_a_text_file_come_back_as_they_were_written(score, tmp_path):
    lines = ["segment,note", 's01,"say ""yes"", twice"', "s02,", "s03,007"]
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    assert score(tmp_path / "a.csv", tmp_path / "out.csv").status == 0
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        back = list(csv.reader(file))
    assert [row[:2] for row in back] == [["segment", "note"], ["s01", 'say "yes", twice'], ["s02", ""], ["s03", "007"]]


def test_rows_of_many_batches_keep_their_order(score, rows, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("ctr_retrain.tasks.deploy.score_file.BATCH_ROWS", 64)
    assert probabilities(score, write(rows, tmp_path / "a.csv")) == pytest.approx(expected, abs=1e-6)


def test_a_file_without_rows_gives_a_file_without_rows(score, rows, tmp_path):
    answer = score(write(rows.slice(0, 0), tmp_path / "a.parquet"), tmp_path / "scores.csv")
    assert answer.status == 0, answer.document
    assert answer.document["rows"] == 0
    assert (tmp_path / "scores.csv").read_text(encoding="utf-8").strip().endswith('"probability"')


# --- what is unseen or missing


def test_unseen_values_nulls_and_missing_columns_are_answered(score, rows, expected, tmp_path):
    strange = rows.drop_columns(["segment", "category", "recent_sends"])
    strange = strange.append_column("segment", pa.array(["never seen before", None, ""] * 100))
    strange = strange.append_column("recent_sends", pa.array([None, 1e30, -5.0] * 100))
    answered = probabilities(score, write(strange, tmp_path / "a.parquet"))
    assert ((answered > 0) & (answered < 1)).all()
    assert not np.allclose(answered, expected)
    (alone,) = probabilities(score, write(pa.table({"segment": ["s01"]}), tmp_path / "b.parquet"))
    assert 0 < alone < 1


def test_columns_that_the_model_reads_and_the_file_lacks_are_named(score, rows, first_run, tmp_path):
    whole, part = write(rows, tmp_path / "a.parquet"), write(rows.drop_columns(["category"]), tmp_path / "b.parquet")
    assert score(whole, tmp_path / "scores.csv").document["absent_columns"] == []
    assert score(part, tmp_path / "scores.csv").document["absent_columns"] == ["category"]
    spoken = run("--root", first_run.root, "score", "--input", part, "--output", tmp_path / "scores.csv")
    assert "the file lacks category" in " ".join(spoken.stdout.split())


def test_numbers_and_times_that_cannot_be_read_are_counted_and_refused_above_a_share(score, rows, first_run, tmp_path):
    numbers = ["many" if number % 10 == 0 else "inf" if number % 10 == 1 else "2" for number in range(len(rows))]
    strange = rows.drop_columns(["recent_sends"]).append_column("recent_sends", pa.array(numbers))
    source, target = write(strange, tmp_path / "a.parquet"), tmp_path / "scores.csv"
    found = score(source, target).document["unreadable"]
    assert found == {"recent_sends": {"rows": len(rows) // 5, "values": len(rows), "example": "many"}}
    spoken = run("--root", first_run.root, "score", "--input", source, "--output", target)
    assert f"{len(rows) // 5} of {len(rows)} values of recent_sends" in " ".join(spoken.stdout.split())
    target.unlink()
    words = f"column 'recent_sends': {len(rows) // 5} of {len(rows)} values can't be read, such as 'many'"
    assert_refused(score(source, target, "--max-unreadable", "0.1"), 3, words, target)
    assert score(source, target, "--max-unreadable", "0.2").status == 0


def test_a_column_of_which_nothing_can_be_read_is_always_refused(score, rows, tmp_path):
    seconds = pa.array([1772445600] * len(rows))  # where the recipe says ISO 8601
    source = write(rows.drop_columns(["ts"]).append_column("ts", seconds), tmp_path / "a.parquet")
    words = f"column 'ts': {len(rows)} of {len(rows)} values can't be read, such as '1772445600'"
    assert_refused(score(source, tmp_path / "scores.csv"), 3, words, tmp_path / "scores.csv")


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_times_that_a_file_types_in_another_unit_than_they_are_count_as_unreadable(score, rows, tmp_path, unit):
    """Seconds under the name of another unit are times of 1970, which the served model takes for none."""
    seconds = [int(value.timestamp()) for value in rows["ts"].to_pylist()]
    wrong = rows.drop_columns(["ts"]).append_column("ts", pa.array(seconds, pa.timestamp(unit)))
    target = tmp_path / "scores.csv"
    words = f"column 'ts': {len(rows)} of {len(rows)} values can't be read, such as '1970-01-0"
    assert_refused(score(write(wrong, tmp_path / "a.parquet"), target), 3, words, target)
    times = [*rows["ts"].to_pylist()[30:], *(datetime(1970, 1, 21, tzinfo=UTC) for _ in range(30))]
    some = rows.drop_columns(["ts"]).append_column("ts", pa.array(times, pa.timestamp("us", "UTC")))
    found = score(write(some, tmp_path / "b.parquet"), target).document["unreadable"]
    assert (found["ts"]["rows"], found["ts"]["values"]) == (30, len(rows))


def test_a_file_with_none_of_the_models_columns_is_taken_for_the_wrong_file(score, tmp_path):
    source = write(pa.table({"something else": ["x"]}), tmp_path / "a.parquet")
    answer = score(source, tmp_path / "out.csv")
    assert_refused(answer, 3, "expected at least one of the model's columns", tmp_path / "out.csv")


def test_your_own_column_names_work_as_the_models_recipe_maps_them(score, rows, first_run, expected, tmp_path):
    """A bundle of a recipe that maps names; the served graph itself knows ours alone."""
    root = shutil.copytree(first_run.root, tmp_path / "root")
    bundle = root / "models" / first_run.document["champion"] / "bundle.json"
    description = json.loads(bundle.read_text(encoding="utf-8"))
    description["recipe"]["landing"] |= {"time": "%d.%m.%Y %H:%M:%S"}
    description["recipe"]["landing"]["columns"] |= {"ts": "shown at", "channel": "medium"}
    rewrite(bundle.parent, "bundle.json", json.dumps(description))
    times = [value.strftime("%d.%m.%Y %H:%M:%S") for value in rows["ts"].to_pylist()]
    yours = rows.drop_columns("ts").append_column("shown at", pa.array(times))
    yours = yours.rename_columns({"channel": "medium"})
    target = tmp_path / "scores.parquet"
    source = write(yours, tmp_path / "a.csv")
    answer = run("--root", root, "--json", "score", "--input", source, "--output", target)
    assert answer.status == 0, answer.stderr
    assert pq.read_table(target)["probability"].to_numpy() == pytest.approx(expected, abs=1e-6)


# --- what can't be scored


def test_a_malformed_line_is_named_and_nothing_is_written(score, rows, tmp_path):
    source = write(rows, tmp_path / "a.jsonl")
    source.write_bytes(source.read_bytes() + b'{"event_id": "x", "ts\n')
    target = tmp_path / "out" / "scores.csv"
    assert_refused(score(source, target), 3, "1 malformed lines, the first in row 301", target)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.parquet", b"PAR1 no more", "expected a readable Parquet, CSV or JSON lines file"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"segment": "s01"}\n' * 500, mtime=0)[:-12],
            "expected a whole file, received a torn one",
        ),
        ("a.xlsx", b"PK\x03\x04", "expected Parquet, JSON or CSV, received what looks like a ZIP archive"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(score, tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    assert_refused(score(tmp_path / name, tmp_path / "out.csv"), 3, words, tmp_path / "out.csv")


def test_a_file_that_is_damaged_in_the_middle_is_blamed_and_not_the_disk(score, landed, tmp_path):
    content = bytearray(landed.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 2000] = b"x" * 2000
    (tmp_path / "a.parquet").write_bytes(content)
    answer = score(tmp_path / "a.parquet", tmp_path / "out.csv")
    assert_refused(answer, 3, "expected a file whose rows can all be read", tmp_path / "out.csv")


def test_a_missing_file_is_wrong_use(score, tmp_path):
    answer = score(tmp_path / "none.csv", tmp_path / "out.csv")
    words = "none.csv: expected a Parquet, CSV or JSON lines file, received none"
    assert_refused(answer, 2, words, tmp_path / "out.csv")


def test_a_column_of_the_name_that_scoring_adds_is_not_overwritten(score, rows, tmp_path):
    source = write(rows.append_column("probability", pa.array([0.1] * len(rows))), tmp_path / "a.parquet")
    answer = score(source, tmp_path / "out.csv")
    assert_refused(answer, 3, "expected no column 'probability', which scoring adds", tmp_path / "out.csv")


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv.gz", "out"])
def test_a_target_of_another_format_is_wrong_use(score, landed, tmp_path, name):
    answer = score(landed, tmp_path / name)
    assert_refused(answer, 2, "expected a name that ends in .parquet or .csv", tmp_path / name)


def test_a_column_that_csv_cannot_hold_is_refused_there_and_kept_in_parquet(score, rows, tmp_path):
    source = write(rows.append_column("tags", pa.array([["a", "b"]] * len(rows))), tmp_path / "a.parquet")
    answer = score(source, tmp_path / "out.csv")
    assert_refused(answer, 2, "expected columns that .csv can hold", tmp_path / "out.csv")
    assert score(source, tmp_path / "out.parquet").status == 0
    assert pq.read_table(tmp_path / "out.parquet")["tags"][0].as_py() == ["a", "b"]


def test_a_target_that_cannot_be_written_leaves_nothing_and_an_older_one_as_it_was(score, landed, rows, tmp_path):
    (tmp_path / "file").touch()
    below_a_file = tmp_path / "file" / "out.parquet"
    answer = score(landed, below_a_file)
    assert answer.status == 4
    assert "expected a writable disk with room" in answer.document["error"]["message"]
    (tmp_path / "old.parquet").write_text("the old one", encoding="utf-8")
    (tmp_path / "a.txt").write_text("no rows", encoding="utf-8")
    refused = score(tmp_path / "a.txt", tmp_path / "old.parquet")
    assert refused.status == 3
    assert (tmp_path / "old.parquet").read_text(encoding="utf-8") == "the old one"


def test_without_a_champion_there_is_nothing_to_score_with(rows, tmp_path):
    source = write(rows, tmp_path / "a.csv")
    claim_root(LocalStore(tmp_path / "root"), "demo")
    answer = run("--root", tmp_path / "root", "--json", "score", "--input", source, "--output", tmp_path / "out.csv")
    assert_refused(answer, 2, "model champion: expected a bundle", tmp_path / "out.csv")


def test_a_file_with_our_names_is_read_by_them_alone_where_a_recipe_uses_one_of_them_for_something_else(tiny_recipe):
    recipe = tiny_recipe(landing={"columns": {"user_id": "device"}})  # their device is our user
    file = LandedFile("sample.parquet", "sample", {"user_id": "VARCHAR", "device": "VARCHAR"}, 1, frozenset())
    wanted = ("user_id", "device")
    for our_names, source in ((True, "user_id"), (False, "device")):
        sources = {column.name: column.source for column in _columns(file, recipe, wanted, our_names=our_names)}
        assert sources["user_id"] == source


# --- a bundle that was changed where it lies


@pytest.fixture
def own_root(first_run, tmp_path):
    """A copy of the first run's root, to be changed, and the folder of its model."""
    root = shutil.copytree(first_run.root, tmp_path / "root")
    return root, root / "models" / first_run.document["run_id"]


def score_of(root, landed, tmp_path):
    return run("--root", root, "--json", "score", "--input", landed, "--output", tmp_path / "scores.csv")


def test_model_of_which_a_byte_was_changed_scores_nothing_and_verify_names_it(own_root, landed, tmp_path):
    root, model = own_root
    assert run("--root", root, "--json", "verify").document["damaged"] == []
    graph = bytearray((model / "serving" / "saved_model.pb").read_bytes())
    graph[len(graph) // 2] ^= 1
    (model / "serving" / "saved_model.pb").write_bytes(graph)
    words = "serving/saved_model.pb: expected SHA-256"
    assert_refused(score_of(root, landed, tmp_path), 4, words, tmp_path / "scores.csv")
    found = run("--root", root, "--json", "verify")
    assert (found.status, found.document["error"]["type"]) == (4, "StorageError")
    (damage,) = found.document["damaged"]
    assert damage["path"] == f"models/{model.name}"
    assert words in damage["message"]
    assert f"models/{model.name}: {words}" in " ".join(run("--root", root, "verify").stdout.split())


def test_code_that_a_bundle_s_recipe_brings_along_is_not_run(own_root, landed, tmp_path):
    root, model = own_root
    bundle = json.loads((model / "bundle.json").read_text(encoding="utf-8"))
    bundle["recipe"]["training"] |= {
        "network": "evil.py:build",
        "network_source": f"open({str(tmp_path / 'ran')!r}, 'w').close()\ndef build(*_): pass\n",
    }
    rewrite(model, "bundle.json", json.dumps(bundle))
    assert score_of(root, landed, tmp_path).status == 0
    assert not (tmp_path / "ran").exists()
