"""Real logs, each with its split by days, made ready for the product and for its peers from the same rows.

A set's file in the folder that REAL_DATA names is read once and kept below var/real by its digest. `rows.parquet` holds
what lands; `columns.json` says which columns the peers read, which tells rows that belong together, and from when on
the last training rows choose the peers' settings.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ctr_retrain.tasks.demo.open_bandit_sample import extract_sample

if TYPE_CHECKING:
    from collections.abc import Callable

VAR = Path("var")
LABEL, CLUSTER, DAY = "_label", "_cluster", "_day"  # columns of `rows.parquet` that are the benchmark's own


@dataclass(frozen=True)
class RealSet:
    """A log, its split, and its columns by the way in which the peers read them."""

    recipe: str  # of infra/examples/real_logs
    source: str  # file below REAL_DATA, or the requirement of the wheel that holds it
    prepare: Callable[[Path, Path], pd.DataFrame]  # the source, a folder to write in → all rows, with the own columns
    train: tuple[date, date]  # first and last day
    test: tuple[date, date]
    tuned_from: str  # time from which on the training rows choose the peers' settings
    categories: tuple[str, ...]
    several: dict[str, str]  # columns of several values, and what stands between these
    numbers: tuple[str, ...]

    @property
    def features(self) -> str:
        """The columns that all systems read."""
        return ", ".join((*self.categories, *self.several, *self.numbers))

    @property
    def run_day(self) -> date:
        """The day whose run trains on exactly the training days."""
        from ctr_retrain.models.recipe.recipe import load_recipe

        recipe = load_recipe(recipe_of(self.recipe))
        return self.train[1] + timedelta(days=recipe.maturity_days + recipe.training.validation_days)


@dataclass(frozen=True)
class Prepared:
    """A set's folder below var/real."""

    name: str
    set: RealSet
    folder: Path

    def rows(self) -> pd.DataFrame:
        """All rows, in order of time."""
        return pd.read_parquet(self.folder / "rows.parquet")

    def part(self, days: tuple[date, date]) -> pd.DataFrame:
        """The rows of some days, both ends included."""
        rows = self.rows()
        return rows[rows[DAY].between(str(days[0]), str(days[1]))].reset_index(drop=True)


def recipe_of(name: str) -> Path:
    """The example's recipe for a set."""
    return Path("infra/examples/real_logs") / f"{name}.toml"


def prepared(name: str, data: Path | None) -> Prepared | str:
    """Make a set ready unless that was done; the reason, where its data is not to be had."""
    one = SETS[name]
    source = _source(one, data)
    if isinstance(source, str):
        return source
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    digest = hashlib.sha256((code + hashlib.sha256(source.read_bytes()).hexdigest()).encode()).hexdigest()[:12]
    folder = VAR / "real" / f"{name}-{digest}"
    columns = folder / "columns.json"
    if not columns.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rows = one.prepare(source, folder)
        rows.to_parquet(folder / "rows.parquet", index=False)
        told = {**asdict(one), "prepare": None, "label": LABEL, "day": DAY}
        columns.write_text(json.dumps(told, default=str), encoding="utf-8")
    return Prepared(name, one, folder)


def _source(one: RealSet, data: Path | None) -> Path | str:
    if one.source.startswith("obp"):
        return _wheel(["--require-hashes", "-r", "infra/open_bandit.txt"], VAR / "open_bandit")
    if data is None:
        return "REAL_DATA names no folder"
    if one.source.startswith("recbole"):
        make = data / "movielens100k" / "make.py"
        return _movielens(make, one.source) if make.exists() else f"{make} is not there"
    file = data / one.source
    return file if file.exists() else f"{file} is not there"


def _movielens(make: Path, requirement: str) -> Path | str:
    """Its ratings, which the set's own program takes out of a wheel."""
    folder = VAR / "movielens"
    target = folder / "ratings.parquet"
    if not target.exists():
        wheel = _wheel([requirement], folder)
        if isinstance(wheel, str):
            return wheel
        subprocess.run([sys.executable, str(make), str(wheel), str(target)], check=True, stdout=sys.stderr)
    return target


def _wheel(asked: list[str], folder: Path) -> Path | str:
    """The wheel that pip downloads into the folder, or why there is none."""
    if not list(folder.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        if subprocess.run([*command, "--dest", str(folder), *asked], check=False).returncode:
            return f"pip could not download {asked[-1]}"
    return next(folder.glob("*.whl"))


def _marked(rows: pd.DataFrame, time: pd.Series, label: pd.Series, cluster: pd.Series) -> pd.DataFrame:
    """Rows in order of time with the benchmark's own columns, and with hour and weekday, which the product computes."""
    own = {LABEL: label.astype("int8"), CLUSTER: cluster.astype(str), DAY: time.dt.strftime("%Y-%m-%d")}
    clock = {"hr": time.dt.hour, "dow": time.dt.day_of_week, "_time": time.dt.strftime("%Y-%m-%d %H:%M:%S")}
    return rows.assign(**own, **clock).iloc[time.argsort(kind="stable")].reset_index(drop=True)


def _trivago(source: Path, _: Path) -> pd.DataFrame:
    rows = pd.read_parquet(source)
    return _marked(rows, pd.to_datetime(rows.timestamp, unit="s"), rows.click, rows.user_id)


def _ebnerd(source: Path, _: Path) -> pd.DataFrame:
    rows = pd.read_parquet(source)
    rows["n"] = rows.groupby("impression_id").event_id.transform("size")
    rows["front"] = rows.page_article_id.isna()
    return _marked(rows, rows.impression_time, rows.clicked, rows.user_id)


def _flights(source: Path, _: Path) -> pd.DataFrame:
    """Departures by New York's own clock, with the weather of their hour."""
    rows = pd.read_parquet(source).reset_index(names="row")
    weather = pd.read_parquet(source.with_name("weather.parquet"))
    numbers = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
    rows = rows.merge(weather[["origin", "time_hour", *numbers]], on=["origin", "time_hour"], how="left")
    rows["ts"] = pd.to_datetime(rows[["year", "month", "day", "hour", "minute"]])
    rows["flt"] = rows.carrier + rows.flight.astype(str)
    rows["late"], rows["cancelled"] = (rows.arr_delay > 15).astype("Int8"), rows.dep_time.isna().astype("int8")
    rows = rows.drop(columns=["dep_time", "dep_delay", "arr_time", "air_time"])
    return rows.assign(cluster=rows.ts.dt.strftime("%Y-%m-%d %H") + rows.origin)


def _flights_late(source: Path, folder: Path) -> pd.DataFrame:
    rows = _flights(source, folder)
    rows = rows[rows.arr_delay.notna()].drop(columns=["arr_delay"]).reset_index(drop=True)
    return _marked(rows, rows.ts, rows.late, rows.cluster)


def _flights_cancelled(source: Path, folder: Path) -> pd.DataFrame:
    rows = _flights(source, folder).drop(columns=["arr_delay", "late"])
    return _marked(rows, rows.ts, rows.cancelled, rows.cluster)


def _hotel(source: Path, _: Path) -> pd.DataFrame:
    """Bookings; group bookings are cancelled together, so those alike in day, agent, company and arrival are one."""
    rows = pd.read_parquet(source)
    booked, arrives = pd.to_datetime(rows.booking_date), pd.to_datetime(rows.arrival_date)
    rows["adow"] = arrives.dt.day_of_week
    waited = (pd.to_datetime(rows.reservation_status_date) - booked).dt.days
    group = rows.groupby(["booking_date", "agent", "company", "arrival_date"], dropna=False).ngroup()
    return _marked(rows, booked, (rows.is_canceled == 1) & (waited <= 14), group)


def _movielens_rows(source: Path, _: Path) -> pd.DataFrame:
    rows = pd.read_parquet(source).rename(columns={"class": "genres"})
    rows["first_genre"] = rows.genres.str.split(" ").str[0]
    rows["release_year"] = pd.to_numeric(rows.release_year, errors="coerce")
    return _marked(rows, pd.to_datetime(rows.timestamp, unit="s"), rows.liked, rows.user_id)


def _open_bandit(source: Path, folder: Path) -> pd.DataFrame:
    """Recommendations; users are anonymous, so those of an item are one."""
    rows = pd.concat([pd.read_csv(file) for file in extract_sample(source, folder / "sample")])
    rows = (
        rows[[name for name in rows.columns if "affinity" not in name]].reset_index(drop=True).reset_index(names="row")
    )
    time = pd.to_datetime(rows.timestamp, format="ISO8601", utc=True).dt.tz_localize(None)
    return _marked(rows, time, rows.click, rows.item_id)


_WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
_FLIGHT = ("sched_dep_time", "sched_arr_time", "distance", *_WEATHER)
_FLIGHT_IDS = ("carrier", "flt", "origin", "dest", "hr", "dow")
_JUNE = ((date(2013, 5, 1), date(2013, 6, 20)), (date(2013, 6, 21), date(2013, 6, 27)), "2013-06-14")
_OCTOBER = ((date(2013, 8, 20), date(2013, 10, 10)), (date(2013, 10, 11), date(2013, 10, 17)), "2013-10-04")


def _flight_set(label: str, split: tuple[tuple[date, date], tuple[date, date], str]) -> RealSet:
    prepare, more = (_flights_late, ("tailnum",)) if label == "late" else (_flights_cancelled, ())
    source = "flights/flights.parquet"
    return RealSet(f"flights_{label}", source, prepare, *split, (*_FLIGHT_IDS, *more), {}, _FLIGHT)


SETS = {
    "trivago": RealSet(
        *("trivago", "trivago/impressions.parquet", _trivago),
        *((date(2018, 11, 7), date(2018, 11, 7)), (date(2018, 11, 8), date(2018, 11, 8)), "2018-11-07 18"),
        ("item_id", "city", "platform", "device", "position", "hr"),
        {"current_filters": "|"},
        ("price", "step"),
    ),
    "ebnerd": RealSet(
        *("ebnerd", "ebnerd/shown_articles.parquet", _ebnerd),
        *((date(2023, 2, 23), date(2023, 2, 28)), (date(2023, 3, 1), date(2023, 3, 2)), "2023-02-28"),
        ("user_id", "article_id", "device_type", "is_sso_user", "is_subscriber", "front", "hr"),
        {},
        ("position", "n"),
    ),
    "flights_late_june": _flight_set("late", _JUNE),
    "flights_cancelled_june": _flight_set("cancelled", _JUNE),
    "flights_late_october": _flight_set("late", _OCTOBER),
    "flights_cancelled_october": _flight_set("cancelled", _OCTOBER),
    "hotel": RealSet(
        *("hotel", "hotel/hotel_bookings.parquet", _hotel),
        *((date(2016, 1, 1), date(2016, 9, 30)), (date(2016, 10, 15), date(2016, 11, 14)), "2016-09-24"),
        (
            *("hotel", "arrival_date_month", "meal", "market_segment", "distribution_channel", "reserved_room_type"),
            *("deposit_type", "agent", "company", "customer_type", "adow", "dow"),
        ),
        {},
        (
            *("lead_time", "adr", "stays_in_weekend_nights", "stays_in_week_nights", "adults", "children", "babies"),
            *("is_repeated_guest", "previous_cancellations", "previous_bookings_not_canceled"),
        ),
    ),
    "movielens100k": RealSet(
        *("movielens100k", "recbole==1.2.1", _movielens_rows),
        *((date(1997, 9, 20), date(1998, 3, 31)), (date(1998, 4, 1), date(1998, 4, 22)), "1998-03-25"),
        ("user_id", "item_id", "gender", "occupation", "first_genre", "hr", "dow"),
        {"genres": " "},
        ("age", "release_year"),
    ),
    "open_bandit": RealSet(
        *("open_bandit", "obp", _open_bandit),
        *((date(2019, 11, 24), date(2019, 11, 29)), (date(2019, 11, 30), date(2019, 11, 30)), "2019-11-29"),
        (
            *("item_id", "position", "policy", "campaign", "hr"),
            *("user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3"),
        ),
        {},
        (),
    ),
}
