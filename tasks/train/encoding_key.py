"""Name the object that holds an event day's impressions encoded, without encoding anything.

Runs look for it by this name; `gc` goes by the digest in its manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.data.label_landings import ROWS_FORMAT
from ctr_retrain.models.feature_kinds.feature import encoding_of
from ctr_retrain.tasks.store.layout import encoded_object
from ctr_retrain.tasks.store.protocol import digest_of

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.label.label_day import LabelledDay

ENCODING = "encoding"  # in an encoded day's manifest: digest of what the features read


def encoded_path(day: LabelledDay, recipe: Recipe) -> str:
    """Return the path of the object with a day's impressions encoded, whether it exists or not."""
    # Neither labels nor the training window go in, so that later runs find the day encoded.
    impressions = [str(day.day), day.landed, day.shards, ROWS_FORMAT]
    return encoded_object(day.day, digest_of([impressions, encoding_digest(recipe)]))


def encoding_digest(recipe: Recipe) -> str:
    """Return the digest of all in a recipe that encoded days depend on."""
    return digest_of(encoding_of(recipe.features))
