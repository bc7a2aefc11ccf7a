"""Messages as Prefect events, to which automations can listen; the Prefect server is one more receiver."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.events.schemas.events import Event, Resource

from ctr_retrain.models.incidents.message import Message
from ctr_retrain.models.incidents.message_text import webhook_document

EVENT = "ctr-retrain.alert"


def post_event(message: Message) -> None:
    """Post a message as an event of its channel, or of its subject; one that comes twice has the same id.

    Raises what Prefect's client does where the server doesn't take it. Prefect's own `emit_event` answers before
    anything was sent, so that a run that dies would lose what it had noted as sent.
    """
    document = webhook_document(message)
    (alert,) = document.pop("alerts")
    about = message.channel or message.subject or message.kind
    event = Event(
        event=EVENT,
        resource=Resource({"prefect.resource.id": f"ctr-retrain.{message.recipe}.{about}"}),
        payload={**document, **alert},
        id=UUID(hex=message.id * 2),
    )
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")])
