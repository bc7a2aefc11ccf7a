"""Truth on real data: what a random log says of another policy, beside that policy's own log.

Open Bandit's sample holds 10,000 recommendations by chance and 10,000 by Bernoulli Thompson sampling for each of three
campaigns. The logs lie in the folder that REAL_DATA names; where it is absent these tests are skipped.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctr_retrain.models.decisions.inverse_propensity import weigh_by_propensity
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.metrics import wilson_interval

DATA = Path(os.environ.get("REAL_DATA", "no folder")) / "open_bandit"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="REAL_DATA names no folder of real logs")
COLUMNS = ["item_id", "position", "click", "propensity_score"]
# By another program, whose intervals were of 400 draws: click rate of the other policy, and effective rows.
KNOWN = {"all": (0.0053, 2639), "men": (0.0057, 2869), "women": (0.0058, 3492)}


@pytest.mark.parametrize("campaign", KNOWN)
def test_the_other_policys_click_rate_is_that_of_its_own_log(campaign):
    files = (DATA / policy / f"{campaign}.csv.gz" for policy in ("random", "bts"))
    by_chance, own = (pd.read_csv(file, usecols=COLUMNS) for file in files)
    # What the other policy would have chosen, by its own shares of items at each position.
    shares = own.groupby(["position", "item_id"]).size() / own.groupby("position").size()
    wanted = shares.reindex(pd.MultiIndex.from_frame(by_chance[["position", "item_id"]])).fillna(0).to_numpy()
    weights = weigh_by_propensity(by_chance.propensity_score.to_numpy(), wanted)
    clicks, rows = by_chance.click.to_numpy(np.float64), np.ones(len(by_chance))
    clusters = Clusters(np.arange(len(rows)) * 7919 % 256, by_chance.item_id.to_numpy(), rows)
    estimate = weights.ratio(clicks, rows, clusters, 0.95)
    rate, effective = KNOWN[campaign]
    assert estimate.estimate == pytest.approx(rate, abs=5e-5)
    assert weights.effective_size == pytest.approx(effective, abs=1)
    assert weights.cut == 0
    low, high = wilson_interval(own.click.sum(), len(own))
    assert estimate.low < own.click.mean() < estimate.high
    assert low < estimate.high
    assert high > estimate.low
    # Nor is that for its width: it is no wider than what so few effective rows leave unknown, and its items.
    assert estimate.high / estimate.low < 4
