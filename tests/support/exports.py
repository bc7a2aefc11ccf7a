"""Files as other people's software exports them: impressions with what came of them, made up, of a few days each."""

import csv
import json
from datetime import UTC, datetime, timedelta
from random import Random

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


def avazu(folder):
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
        for number, (at, clicked) in enumerate(moments(rng))
    ]  # fmt: skip
    return write_table(folder / "train.csv", header, rows)


def criteo(folder):
    """Criteo's attribution data: seconds since an unknown start, a click without and a conversion with its time."""
    rng = Random(2)  # noqa: S311 - made up
    header = ["timestamp", "uid", "campaign", "conversion", "conversion_timestamp", "conversion_id", "attribution"]
    header += ["click", "click_pos", "click_nb", "cost", "cpo", "time_since_last_click", "cat1", "cat2"]
    rows = []
    for at, converted in moments(rng):
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


def movielens(folder, *, liked):
    """MovieLens' ratings, with a column made of them or as they are published."""
    rng = Random(3)  # noqa: S311 - made up
    rows = []
    for at, _ in moments(rng):
        rating = rng.choice([1, 2, 3, 3.5, 4, 4.5, 5])
        row = [rng.randrange(1, 300), rng.randrange(1, 400), rating, int(at.timestamp())]
        rows.append([*row, int(rating >= 4)] if liked else row)
    header = ["userId", "movieId", "rating", "timestamp", *(["liked"] if liked else [])]
    return write_table(folder / "ratings.csv", header, rows)


def one_signal(folder):
    """A log of pushes as OneSignal's export has it: a click is a time, or nothing."""
    rng = Random(4)  # noqa: S311 - made up
    header = ["message_id", "onesignal_id", "device_type", "country", "app_version", "sent_at", "clicked_at"]
    rows = []
    for at, clicked in moments(rng):
        later = at + timedelta(minutes=rng.expovariate(1 / 40))
        rows.append([
            f"m{rng.randrange(30)}", f"u{rng.randrange(900)}", rng.choice(["iOS", "Android", "Web"]),
            rng.choice(["DE", "NA", "US"]), f"2.{rng.randrange(9)}", f"{at:%Y-%m-%d %H:%M:%S} UTC",
            f"{later:%Y-%m-%d %H:%M:%S} UTC" if clicked else "",
        ])  # fmt: skip
    return write_table(folder / "notifications.csv", header, rows)


def ga4(folder):
    """GA4's export to BigQuery, joined to one row an impression and written as JSON lines: µs as texts."""
    rng = Random(5)  # noqa: S311 - made up
    path = folder / "ga4.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for at, clicked in moments(rng):
            micros = round(at.timestamp() * 1_000_000)
            row = {
                "event_date": f"{at:%Y%m%d}", "event_timestamp": str(micros), "event_name": "view_promotion",
                "user_pseudo_id": f"{rng.randrange(900)}.{rng.randrange(900)}", "promotion_id": f"p{rng.randrange(40)}",
                "device": {"category": "mobile", "language": "de"}, "platform": rng.choice(["WEB", "IOS"]),
                "geo_country": rng.choice(["Germany", "France"]), "clicked": clicked,
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return path


def bank(folder):
    """A bank's campaign: semicolons, decimal commas, German dates, yes and no, and the length of the call."""
    rng = Random(6)  # noqa: S311 - made up
    header = ["kunde", "age", "job", "housing", "balance", "datum", "duration", "y"]
    rows = []
    for at, yes in moments(rng):
        job, balance = rng.choice(["admin.", "services", "retired"]), f"{rng.gauss(1300, 900):.2f}".replace(".", ",")
        called = rng.randrange(400, 900) if yes else rng.randrange(10, 300)
        housing = rng.choice(["yes", "no"])
        customer, said = f"k{rng.randrange(900)}", "yes" if yes else "no"
        rows.append([customer, rng.randrange(18, 90), job, housing, balance, f"{at:%d.%m.%Y %H:%M}", called, said])
    return write_table(folder / "bank.csv", header, rows, ";")
