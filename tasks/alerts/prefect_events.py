"""Messages as Prefect events, to which automations can listen."""

from __future__ import annotations

from uuid import UUID

from prefect.events import emit_event

from ctr_retrain.models.incidents.message import Message
from ctr_retrain.models.incidents.message_text import webhook_document

EVENT = "ctr-retrain.alert"


def emit_message(message: Message) -> None:
    """Emit a message as an event of its channel, or of its subject; one that comes twice has the same id."""
    document = webhook_document(message)
    (alert,) = document.pop("alerts")
    about = message.channel or message.subject or message.kind
    resource = {"prefect.resource.id": f"ctr-retrain.{message.recipe}.{about}"}
    emit_event(EVENT, resource, payload={**document, **alert}, id=UUID(hex=message.id * 2))
