"""Rules of slices: by default the campaign and what is called like a device; others must be texts that are read."""

import pytest

CATEGORICAL = ["device", "device.type", "context.Platform", "OS", "device_id", "os_build", "browser"]


def test_by_default_slices_are_the_campaign_and_columns_called_like_a_device(tiny_recipe):
    features = [{"name": f"f{n}", "column": name, "kind": "categorical"} for n, name in enumerate(CATEGORICAL)]
    features.append({"name": "number", "column": "os_name", "kind": "numeric"})
    recipe = tiny_recipe(features=features, validation={"max_null_share": {"platform": 0.1, "os_name": 0.1}})
    assert recipe.slice_columns == ("campaign_id", "device", "context.Platform", "OS", "platform")
    assert tiny_recipe(landing={"columns": {"campaign_id": ""}}).slice_columns == ("device",)


def test_the_recipe_names_others_or_none(tiny_recipe):
    assert tiny_recipe(drift={"slices": []}).slice_columns == ()
    assert tiny_recipe(drift={"slices": ["user_id", "device", "device"]}).slice_columns == ("user_id", "device")


@pytest.mark.parametrize("column", ["bid", "ts", "channel", "event_id", "nowhere"])
def test_what_is_no_text_or_is_not_read_is_no_slice(tiny_recipe, column):
    expected = r"drift\.slices: expected columns of texts that the recipe reads \(campaign_id, user_id, device\), "
    with pytest.raises(ValueError, match=rf"{expected}received \['{column}'\]"):
        tiny_recipe(drift={"slices": [column]})


def test_which_slices_are_counted_makes_no_other_recipe_to_judge(tiny_recipe):
    assert tiny_recipe(drift={"slices": []}).digest == tiny_recipe().digest
