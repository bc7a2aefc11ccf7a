"""The document of a recorded run, read by whoever shows it or goes by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.tasks.store.layout import REPORT_FILE, RUN_FILE
from ctr_retrain.tasks.store.protocol import load_document as load_stored

if TYPE_CHECKING:
    from ctr_retrain.tasks.store.protocol import Store


def load_document(store: Store, path: str) -> RunDocument:
    """Read the document of a recorded run, with the address of its report.

    Raises StorageError where it is damaged or of a format that this version doesn't know.
    """
    document = load_stored(store, path, RUN_FILE, RunDocument)
    return document.model_copy(update={"report": store.address(path, REPORT_FILE)})
