"""Rules of models that say what each key means: in their schema, by the text below the key."""

from pydantic import ConfigDict, Field, create_model

from ctr_retrain.models.described_model import DescribedModel, descriptions


class Bid(DescribedModel):
    model_config = ConfigDict(validate_by_name=True)

    value: float
    """The bid,
    in money."""
    kind: str = "bid"
    """What it is."""
    other: int = Field(default=0, description="Its own words.")
    """Words that nobody reads."""
    silent: int = 0
    shown_as: int = Field(default=0, alias="as")
    """Written under another name."""


class HighBid(Bid):
    kind: str = "high"
    limit: float = 1.0
    """The least."""


class Auction(DescribedModel):
    bid: Bid
    """The bid that won."""


def test_the_text_below_a_key_is_its_meaning_in_the_schema():
    keys = Bid.model_json_schema()["properties"]
    assert keys["value"]["description"] == "The bid,\nin money."
    assert keys["other"]["description"] == "Its own words."
    assert keys["as"]["description"] == "Written under another name."
    assert "description" not in keys["silent"]


def test_a_key_of_the_class_before_keeps_its_meaning():
    assert descriptions(HighBid) == {**descriptions(Bid), "limit": "The least."}
    assert HighBid.model_json_schema()["properties"]["kind"]["description"] == "What it is."


def test_a_part_is_described_within_the_whole():
    schema = Auction.model_json_schema()
    assert schema["properties"]["bid"]["description"] == "The bid that won."
    assert schema["$defs"]["Bid"]["properties"]["kind"]["description"] == "What it is."


def test_of_a_class_without_a_source_nothing_is_known():
    made = create_model("Made", __base__=DescribedModel, __module__="nowhere", key=(int, 1))
    assert descriptions(made) == {}
    assert "description" not in made.model_json_schema()["properties"]["key"]
