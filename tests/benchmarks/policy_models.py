"""Errors of the closed loop's surrogates beside those of trained networks, in the same world; each night is promoted.

Trained are the demonstration's recipe, and the quick one of the year of real training.
"""

import argparse

from tests.benchmarks.table import print_table, write_rows
from tests.support.model_errors import error_figures, seed_difference
from tests.support.policies import FIRST_NIGHT
from tests.support.policy_world import DELAY, FAULTY, WINDOW, World, Year
from tests.support.trained_year import TrainedYear, recorded


def figures_of(year, nights):
    """Errors of the models of consecutive nights, the newest of which is always promoted, and their mean true cost."""
    world, made = year.world, recorded(year)
    champion = year.start(FIRST_NIGHT)
    for day in range(FIRST_NIGHT, FIRST_NIGHT + nights):
        year.log(day, champion)
        if day > FIRST_NIGHT + DELAY:
            champion = year.train(day, "recipe", 0.0)
    whole = [model for model in made if model.day >= WINDOW + DELAY]  # of a window that has all its days
    cost = sum(world.cost(model.day, model) for model in whole) / len(whole)
    again = year.again(champion.day, "recipe", 0.0)
    figures = error_figures(world, whole) | {
        "other_seed": seed_difference(world, champion, again),
        "cost_per_1000": cost,
    }
    return {name: None if figure is None else round(figure, 3) for name, figure in figures.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=35, help="before the first fault of the world")
    parser.add_argument("--rows", type=int, default=20_000, help="impressions a day")
    parser.add_argument("--json")
    asked = parser.parse_args()
    rows = []
    for name, kind, quick in (("surrogate", Year, True), ("quick", TrainedYear, True), ("trained", TrainedYear, False)):
        year = kind(World(0, 365, FAULTY, asked.rows), 0)
        year.quick = quick
        rows.append({"models": name, "impressions": asked.rows} | figures_of(year, asked.nights))
    print_table("Errors of models, as log-odds", rows)
    if asked.json:
        write_rows(asked.json, rows)


if __name__ == "__main__":
    main()
