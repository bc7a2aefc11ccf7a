"""The flows, with their answers as the JSON that --json prints: what most tests of a whole run look at."""


def daily(*arguments, **more):
    """The daily flow's answer as JSON."""
    from ctr_retrain.flows.daily import daily as flow  # noqa: PLC0415 - TensorFlow takes seconds to import

    return flow(*arguments, **more).to_json()


def backfill(*arguments, **more):
    """The backfill's answer as JSON."""
    from ctr_retrain.flows.backfill import backfill as flow  # noqa: PLC0415

    return flow(*arguments, **more).to_json()
