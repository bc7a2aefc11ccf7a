"""How far models' log-odds are from the truth of their window: those of surrogates beside those of trained networks."""

import numpy as np
from scipy.special import expit

from tests.support.policy_world import DELAY, WINDOW


def truth_of(world, model):
    """The mean log-odds of the days that a model was trained on, (groups, campaigns); of those that a campaign had."""
    last = model.day - DELAY - 1
    days = range(max(last - WINDOW + 1, 0), last + 1)
    there = np.array([world.names[past] == model.names for past in days])
    return np.einsum("dc,dgc->gc", there / there.sum(axis=0), np.array([world.odds[past] for past in days]))


def parts_of(world, model):
    """The level's error, ln(Σp/Σtruth), and the errors of campaigns and of cells within them, as log-odds."""
    traffic, truth = world.rows / world.rows.sum(), truth_of(world, model)
    level = np.log((traffic * expit(model.odds)).sum() / (traffic * expit(truth)).sum())
    error = model.odds - truth
    campaigns = (traffic * error).sum(axis=0) / traffic.sum(axis=0)
    return level, campaigns - (traffic * error).sum(), error - campaigns


def error_figures(world, models):
    """Figures of errors over models of consecutive nights: levels, root mean squares by traffic, and correlations.

    A cell's error is correlated with its own of the next night and of a week later, of the same campaign.
    """
    traffic = world.rows / world.rows.sum()
    levels, campaigns, cells = zip(*(parts_of(world, model) for model in models), strict=True)

    def correlation(nights):
        pairs = range(len(models) - nights)
        same = [traffic * (models[i].names == models[i + nights].names) for i in pairs]
        both, first, second = (
            sum((same[i] * cells[i + a] * cells[i + b]).sum() for i in pairs)
            for a, b in ((0, nights), (0, 0), (nights, nights))
        )
        return float(both / np.sqrt(first * second))

    return {
        "level": float(np.mean(levels)),
        "level_sd": float(np.std(levels)),
        "campaigns": root_mean_square(campaigns, traffic.sum(axis=0)),
        "cells": root_mean_square(cells, traffic),
        "next_night": correlation(1),
        "a_week_later": correlation(7) if len(models) > 7 else None,
    }


def root_mean_square(errors, traffic):
    """Of the errors of several nights, each weighed by its traffic, whose sum is 1."""
    return float(np.sqrt(np.mean([(traffic * error**2).sum() for error in errors])))


def seed_difference(world, model, twin):
    """What another seed changes of a cell's log-odds: a root mean square, as of one of the two."""
    return root_mean_square([(model.odds - twin.odds) / np.sqrt(2)], world.rows / world.rows.sum())
