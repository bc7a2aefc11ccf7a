"""What a template reads, held against the types of what it is given, in branches too that no test's page takes.

`mistakes` walks the syntax tree with the kinds of each value: the types that it may be of, None apart, which templates
ask for first. No kinds: it may be anything, such as a filter's result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from jinja2 import nodes
from pydantic import BaseModel

ANYTHING = ()
SAME = ("list", "reverse", "selectattr")  # filters that give values that they get


def mistakes(environment, template, names):
    """Each place where a template reads what isn't there. names: name → type of each value that it is given."""
    reader = _Reader(environment, template)
    given = {name: kinds_of(kind) for name, kind in names.items()}
    reader.read_template(template, {**dict.fromkeys(environment.globals, ANYTHING), **given})
    return reader.found


def kinds_of(annotation):
    """The types that a value of this annotation may be of."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(kind for part in get_args(annotation) for kind in kinds_of(part))
    return ANYTHING if annotation in (Any, None, NoneType, Ellipsis) else (annotation,)


class _Reader:
    """Statements change the names that they are given; expressions give kinds."""

    def __init__(self, environment, template):
        self.found, self._environment, self._template = [], environment, template
        self._expressions = {
            nodes.Const: lambda node, _: kinds_of(type(node.value)),
            nodes.Name: self._name,
            nodes.Getattr: self._attribute,
            nodes.Getitem: self._subscript,
            nodes.Filter: self._filter,
            nodes.Call: self._call,
            nodes.CondExpr: partial(self._either, parts=("expr1", "expr2")),
            nodes.And: partial(self._either, parts=("left", "right")),
            nodes.Or: partial(self._either, parts=("left", "right")),
            nodes.Tuple: self._tuple,
        }

    def read_template(self, template, names):
        source, _, _ = self._environment.loader.get_source(self._environment, template)
        outer, self._template = self._template, template
        self.read_all(self._environment.parse(source).body, names)
        self._template = outer

    def read_all(self, body, names):
        for node in body:
            self._statement(node, names)

    def _statement(self, node, names):
        if isinstance(node, nodes.Output):
            self._parts(node, names)
        elif isinstance(node, nodes.Assign):
            _assign(node.target, self._kinds(node.node, names), names)
        elif isinstance(node, nodes.If):
            self._kinds(node.test, names)
            self.read_all([*node.body, *node.elif_, *node.else_], names)
        elif isinstance(node, nodes.For):
            inner = {**names, "loop": ANYTHING}
            _assign(node.target, _elements(self._kinds(node.iter, names)), inner)
            self._parts(node, inner, only=(node.test,))
            self.read_all(node.body, inner)
            self.read_all(node.else_, dict(names))
        elif isinstance(node, nodes.Include):
            self.read_template(node.template.value, dict(names))
        else:
            self._wrong(node, f"{type(node).__name__}, which this check doesn't know")

    def _kinds(self, node, names):
        """The kinds of an expression, whose parts are looked at too."""
        return self._expressions.get(type(node), self._parts)(node, names)

    def _parts(self, node, names, only=None):
        for part in node.iter_child_nodes():
            if only is None or part in only:
                self._kinds(part, names)
        return ANYTHING

    def _name(self, node, names):
        if node.name not in names:
            self._wrong(node, f"the name {node.name}")
        return names.get(node.name, ANYTHING)

    def _attribute(self, node, names):
        return self._of_each(node, self._kinds(node.node, names), node.attr)

    def _subscript(self, node, names):
        kinds = self._kinds(node.node, names)
        self._kinds(node.arg, names)
        for kind in kinds:
            if _is(kind, BaseModel):
                self._wrong(node, f"a subscript of {kind.__name__}, whose type can't tell if it is there")
        place = node.arg.value if isinstance(node.arg, nodes.Const) else None
        return kinds if isinstance(node.arg, nodes.Slice) else _items(kinds, place)

    def _filter(self, node, names):
        kinds = self._kinds(node.node, names)
        self._parts(node, names, only=node.args)
        if node.name == "selectattr":
            each = _elements(kinds)
            for name in node.args[0].value.split("."):
                each = self._of_each(node, each, name)
        return kinds if node.name in SAME else ANYTHING

    def _call(self, node, names):
        self._parts(node, names)
        if not isinstance(node.node, nodes.Getattr):
            return ANYTHING
        mappings = [get_args(kind) for kind in self._kinds(node.node.node, names) if _is(kind, Mapping)]
        results = {"items": lambda key, value: tuple[key, value], "keys": lambda key, _: key, "values": lambda _, v: v}
        result = results.get(node.node.attr)
        return tuple(Sequence[result(*arguments)] for arguments in mappings if arguments) if result else ANYTHING

    def _either(self, node, names, parts):
        self._parts(node, names, only=[node.test] if isinstance(node, nodes.CondExpr) else [])
        return tuple(kind for part in parts if getattr(node, part) for kind in self._kinds(getattr(node, part), names))

    def _tuple(self, node, names):
        items = [self._kinds(part, names) for part in node.items]
        return (tuple[tuple(Union[kinds] if kinds else Any for kinds in items)],)  # noqa: UP007 - known only when run

    def _of_each(self, node, kinds, name):
        return tuple(kind for owner in kinds for kind in self._member(node, owner, name))

    def _member(self, node, owner, name):
        plain = get_origin(owner) or owner
        if _is(owner, BaseModel) and name in plain.model_fields:
            return kinds_of(plain.model_fields[name].annotation)
        if is_dataclass(plain) and name in get_type_hints(plain):
            return kinds_of(get_type_hints(plain)[name])
        member = getattr(plain, name, None)
        if isinstance(member, property):
            return kinds_of(get_type_hints(member.fget)["return"])
        if member is None:
            self._wrong(node, f"{name} of {plain.__name__}")
        return ANYTHING

    def _wrong(self, node, what):
        self.found.append(f"{self._template}:{node.lineno}: expected what the page's types have, received {what}")


def _assign(target, kinds, names):
    """Give a name, or each name of several, its kinds."""
    if isinstance(target, nodes.Name):
        names[target.name] = kinds
    else:
        for place, part in enumerate(target.items):
            _assign(part, _items(kinds, place), names)


def _elements(kinds):
    """The kinds of what a loop gives."""
    return tuple(kind for one in kinds for argument in get_args(one)[: _looped(one)] for kind in kinds_of(argument))


def _looped(kind):
    """How many of a type's arguments a loop gives: a mapping's keys, all of a tuple's."""
    if _is(kind, Mapping):
        return 1
    return len(get_args(kind)) if _is(kind, Sequence) else 0


def _items(kinds, place):
    """The kinds of one item: of a mapping, of a list, of a tuple at a place."""
    found = []
    for kind in kinds:
        arguments = get_args(kind)
        if _is(kind, Mapping) and arguments:
            found += kinds_of(arguments[1])
        elif _is(kind, tuple) and Ellipsis not in arguments and isinstance(place, int):
            found += kinds_of(arguments[place])
        else:
            found += _elements((kind,))
    return tuple(found)


def _is(kind, base):
    plain = get_origin(kind) or kind
    return isinstance(plain, type) and issubclass(plain, base)
