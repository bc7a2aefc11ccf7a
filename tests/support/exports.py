"""Files as other people's software exports them: impressions with what came of them, made up, of a few days each."""

import csv
import gzip
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random

from ctr_retrain.models.first_recipe.known_headers import SNOWPLOW

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS, ROWS = 8, 400  # rows of a day


def moments(rng, days=DAYS, rows=ROWS):
    """The times of all impressions, in order, over whole days."""
    for number in range(days * rows):
        yield START + timedelta(seconds=86_400 * number / rows), rng.random() < 0.1


def write_table(path, header, rows, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def avazu(folder, days=DAYS):
    """Avazu's competition: a click inline, hours as YYMMDDHH, codes without meaning."""
    rng = Random(1)  # noqa: S311 - made up
    header = ["id", "click", "hour", "C1", "banner_pos", "site_id", "app_id", "device_id", "device_ip", "device_model"]
    header += ["device_type", "C14", "C17", "C21"]
    rows = [
        [
            10**19 + number, int(clicked), f"{at:%y%m%d%H}", 1005, rng.randrange(3), f"{rng.randrange(20):08x}",
            f"{rng.randrange(20):08x}", "a99f214a", f"{rng.randrange(900):08x}", f"{rng.randrange(60):08x}",
            rng.randrange(2), 15_000 + rng.randrange(400), 1700 + rng.randrange(60), rng.randrange(70),
        ]
        for number, (at, clicked) in enumerate(moments(rng, days))
    ]  # fmt: skip
    return write_table(folder / "train.csv", header, rows)


def criteo(folder, days=DAYS):
    """Criteo's attribution data: seconds since an unknown start, a click without and a conversion with its time."""
    rng = Random(2)  # noqa: S311 - made up
    header = ["timestamp", "uid", "campaign", "conversion", "conversion_timestamp", "conversion_id", "attribution"]
    header += ["click", "click_pos", "click_nb", "cost", "cpo", "time_since_last_click", "cat1", "cat2"]
    rows = []
    for at, converted in moments(rng, days):
        second = int((at - START).total_seconds())
        later = second + int(rng.expovariate(1 / 20_000)) if converted else -1
        clicked = int(converted or rng.random() < 0.3)
        rows.append([
            second, 10_000_000 + rng.randrange(900), 22_589_171 + rng.randrange(30), int(converted), later,
            rng.randrange(10**7) if converted else -1, int(converted and rng.random() < 0.5), clicked,
            0 if converted else -1, 1 if converted else -1, f"{rng.random() / 1000:.8f}", f"{rng.random():.6f}",
            rng.randrange(100_000) if rng.random() < 0.5 else -1, 5_000_000 + rng.randrange(9), rng.randrange(9),
        ])  # fmt: skip
    return write_table(folder / "criteo.tsv", header, rows, "\t")


def movielens(folder, days=DAYS, *, liked):
    """MovieLens' ratings, with a column made of them or as they are published."""
    rng = Random(3)  # noqa: S311 - made up
    rows = []
    for at, _ in moments(rng, days):
        rating = rng.choice([1, 2, 3, 3.5, 4, 4.5, 5])
        row = [rng.randrange(1, 300), rng.randrange(1, 400), rating, int(at.timestamp())]
        rows.append([*row, int(rating >= 4)] if liked else row)
    header = ["userId", "movieId", "rating", "timestamp", *(["liked"] if liked else [])]
    return write_table(folder / "ratings.csv", header, rows)


def one_signal(folder, days=DAYS):
    """A log of pushes as OneSignal's export has it: a click is a time, or nothing."""
    rng = Random(4)  # noqa: S311 - made up
    header = ["message_id", "onesignal_id", "device_type", "country", "app_version", "sent_at", "clicked_at"]
    rows = []
    for at, clicked in moments(rng, days):
        later = at + timedelta(minutes=rng.expovariate(1 / 40))
        rows.append([
            f"m{rng.randrange(30)}", f"u{rng.randrange(900)}", rng.choice(["iOS", "Android", "Web"]),
            rng.choice(["DE", "NA", "US"]), f"2.{rng.randrange(9)}", f"{at:%Y-%m-%d %H:%M:%S} UTC",
            f"{later:%Y-%m-%d %H:%M:%S} UTC" if clicked else "",
        ])  # fmt: skip
    return write_table(folder / "notifications.csv", header, rows)


def ga4(folder, days=DAYS):
    """GA4's export to BigQuery, joined to one row an impression and written as JSON lines: µs as texts."""
    rng = Random(5)  # noqa: S311 - made up
    path = folder / "ga4.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for at, clicked in moments(rng, days):
            micros = round(at.timestamp() * 1_000_000)
            row = {
                "event_date": f"{at:%Y%m%d}", "event_timestamp": str(micros), "event_name": "view_promotion",
                "user_pseudo_id": f"{rng.randrange(900)}.{rng.randrange(900)}", "promotion_id": f"p{rng.randrange(40)}",
                "device": {"category": "mobile", "operating_system": rng.choice(["iOS", "Android"]), "web": {"a": 1}},
                "event_params": [{"key": "ga_session_id", "value": {"int_value": "1"}}],
                "platform": rng.choice(["WEB", "IOS"]),
                "geo_country": rng.choice(["Germany", "France"]), "clicked": clicked,
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return path


def bank(folder, days=DAYS):
    """A bank's campaign: semicolons, decimal commas, German dates, yes and no, and the length of the call."""
    rng = Random(6)  # noqa: S311 - made up
    header = ["kunde", "age", "job", "housing", "balance", "datum", "duration", "y"]
    rows = []
    for at, yes in moments(rng, days):
        job, balance = rng.choice(["admin.", "services", "retired"]), f"{rng.gauss(1300, 900):.2f}".replace(".", ",")
        called = rng.randrange(400, 900) if yes else rng.randrange(10, 300)
        housing = rng.choice(["yes", "no"])
        customer, said = f"k{rng.randrange(900)}", "yes" if yes else "no"
        rows.append([customer, rng.randrange(18, 90), job, housing, balance, f"{at:%d.%m.%Y %H:%M}", called, said])
    return write_table(folder / "bank.csv", header, rows, ";")


@contextmanager
def packed_writer(path):
    """A CSV writer into a gzip file."""
    with gzip.open(path, "wt", newline="", encoding="utf-8") as file:
        yield csv.writer(file, lineterminator="\n")


def ad_manager(folder, days=DAYS):
    """Ad Manager's data transfer: impressions and clicks in two files, joined by ImpressionId; local and UTC times."""
    rng = Random(7)  # noqa: S311 - made up
    header = ["Time", "UserId", "AdvertiserId", "OrderId", "LineItemId", "CreativeId", "AdUnitId", "Country", "Domain"]
    header += ["DeviceCategory", "IsInterstitial", "TimeUsec2", "KeyPart", "ImpressionId"]
    shown = folder / "NetworkImpressions_1234_20260301.csv.gz"
    clicks = folder / "NetworkClicks_1234_20260301.csv.gz"
    with packed_writer(shown) as impressions, packed_writer(clicks) as outcomes:
        impressions.writerow(header)
        outcomes.writerow(header)
        for number, (at, clicked) in enumerate(moments(rng, days)):
            row = [
                f"u{rng.randrange(900)}", 10 + rng.randrange(3), 200 + rng.randrange(9), 3000 + rng.randrange(30),
                40_000 + rng.randrange(60), 500 + rng.randrange(20), rng.choice(["Germany", "France"]), "example.com",
                rng.choice(["Desktop", "Smartphone"]), "false",
            ]  # fmt: skip
            for writer, later in ((impressions, 0), *(((outcomes, 40),) if clicked else ())):
                then = at + timedelta(seconds=later)
                micros = round(then.timestamp() * 1_000_000)
                ids = [micros, f"k{number}", f"I{number:09x}"]
                writer.writerow([f"{then - timedelta(hours=8):%Y-%m-%d-%H:%M:%S}", *row, *ids])
    return shown, clicks


def one_signal_events(folder, days=DAYS):
    """OneSignal's event stream: a row each for what was sent, received and clicked; no id that two of them share."""
    rng = Random(8)  # noqa: S311 - made up
    header = ["event_id", "event_kind", "event_datetime", "message_id", "onesignal_id", "device_type", "country"]
    rows = []
    for number, (at, clicked) in enumerate(moments(rng, days)):
        message, user = f"m{number // 100}", f"u{number % 100 + 100 * rng.randrange(9)}"
        device = rng.choice(["iOSPush", "AndroidPush"])
        steps = [("sent", 0), ("received", 5)] + ([("clicked", 5 + rng.randrange(4000))] if clicked else [])
        for step, later in steps:
            then = f"{at + timedelta(seconds=later):%Y-%m-%dT%H:%M:%S.000Z}"
            unique = f"{rng.randrange(16**12):012x}"
            rows.append([unique, f"message.push.{step}", then, message, user, device, "DE"])
    return write_table(folder / "events.csv", header, rows)


def snowplow(folder, days=DAYS):
    """Snowplow's enriched events: tabs, no line of names, 131 columns, ads as structured events."""
    rng = Random(9)  # noqa: S311 - made up
    names = SNOWPLOW.split()
    path = folder / "enriched.tsv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        for number, (at, clicked) in enumerate(moments(rng, days)):
            shared = {
                "app_id": "shop", "platform": "web", "event": "struct", "domain_userid": f"d{rng.randrange(900)}",
                "geo_country": rng.choice(["DE", "NL"]), "br_family": rng.choice(["Chrome", "Safari"]),
                "dvce_type": rng.choice(["Mobile", "Computer"]), "mkt_campaign": f"c{rng.randrange(20)}",
                "se_category": "ads", "se_label": f"banner{rng.randrange(9)}", "se_property": f"imp{number}",
                "v_tracker": "js-3.0", "event_vendor": "com.google.analytics", "event_name": "event",
            }  # fmt: skip
            for action, later in (("impression", 0), *((("click", 30),) if clicked else ())):
                then = f"{at + timedelta(seconds=later):%Y-%m-%d %H:%M:%S.000}"
                row = {**shared, "se_action": action, "event_id": f"{rng.randrange(16**12):012x}"}
                row |= dict.fromkeys(("etl_tstamp", "collector_tstamp", "derived_tstamp"), then)
                writer.writerow([row.get(name, "") for name in names])
    return path
