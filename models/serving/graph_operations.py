"""The operations of a saved graph, looked through before it is loaded: a model is a program, and may do as much.

TensorFlow's graph can read and write any file, print into one, and call Python (its SECURITY.md says so). What serves
a probability needs none of that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorflow.core.protobuf import saved_model_pb2

from ctr_retrain.models.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tensorflow.core.framework.node_def_pb2 import NodeDef

GRAPH_FILE = "saved_model.pb"
FORBIDDEN = re.compile(
    r"""(Eager)?PyFunc(Stateless)?                               # Python
    |   (Read|Write)File | MatchingFiles | \w*Reader\w*          # files
    |   \w*TextFile(V2)? | Print(V2)?                            # files too: what is printed may go into one
    |   \w*Summary\w* | Save(Slices)? | Restore(Slice)? | \w*Checkpoint\w*
    |   \w*Dataset\w*                                            # most read files, and no signature needs any
    |   \w*Rpc\w* | _?(Host)?(Send|Recv) | Debug\w+              # other machines
    """,
    re.VERBOSE,
)
# What TensorFlow itself puts beside a graph to load its variables; nothing else may call these functions.
SAVER = re.compile(r"__inference__traced_(save|restore)_\d+")
SAVER_OPERATIONS = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"}


def check_operations(folder: Path) -> None:
    """Raise StorageError where the SavedModel in a folder holds an operation that no model needs to serve.

    Raises OSError where there is no graph, and ValueError where it is damaged.
    """
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((folder / GRAPH_FILE).read_bytes())
    except DecodeError as error:
        msg = f"{GRAPH_FILE} holds no graph"
        raise ValueError(msg) from error
    for graph in (found.graph_def for found in saved.meta_graphs):
        _refuse(folder, "the graph", (operation for node in graph.node for operation in _unfit(node)))
        for function in graph.library.function:
            name = function.signature.name
            saver = SAVER.fullmatch(name) is not None
            found = (operation for node in function.node_def for operation in _unfit(node, saver=saver))
            calls = (called for node in function.node_def for called in _called(node) if SAVER.fullmatch(called))
            _refuse(folder, name, (*found, *calls))


def _unfit(node: NodeDef, *, saver: bool = False) -> Iterator[str]:
    """Yield a node's operation where no serving needs it; saver: it stands in a function that loads variables."""
    if node.op in SAVER_OPERATIONS:
        if not saver:
            yield node.op
    elif FORBIDDEN.fullmatch(node.op):
        yield node.op


def _called(node: NodeDef) -> Iterator[str]:
    """Yield the names of the functions that a node calls."""
    for value in node.attr.values():
        yield from (function.name for function in (value.func, *value.list.func) if function.name)


def _refuse(folder: Path, where: str, found: Iterable[str]) -> None:
    """Raise StorageError where there is any operation that serves nothing."""
    if operations := sorted(set(found)):
        msg = (
            f"model {folder}: expected a graph that computes probabilities alone, received {', '.join(operations[:5])} "
            f"in {where}. It was not loaded: such a graph can read and write files, or call programs."
        )
        raise StorageError(msg)
