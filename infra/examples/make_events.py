"""Write events.csv: made-up newsletters of eight days and who opened their link, iPhones twice as often as others."""

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

DAYS, ROWS_PER_DAY = 8, 1500
FIRST = datetime(2026, 3, 1)  # noqa: DTZ001 - the export writes times without a zone, which are taken for UTC

random.seed(1)
with Path("events.csv").open("w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file)
    rows.writerow(["mail", "sent_at", "customer", "topic", "device", "basket", "opened", "opened_at"])
    for number in range(DAYS * ROWS_PER_DAY):
        sent = FIRST + timedelta(days=number / ROWS_PER_DAY)
        device, topic = random.choice(["android", "ios", "web"]), f"t{random.randrange(12)}"
        opened = random.random() < (0.16 if device == "ios" else 0.08)
        opened_at = (sent + timedelta(minutes=random.expovariate(1 / 30))).isoformat() if opened else ""
        basket = round(random.uniform(1, 90), 2)
        customer = f"c{random.randrange(700)}"
        rows.writerow([number, sent.isoformat(), customer, topic, device, basket, int(opened), opened_at])
