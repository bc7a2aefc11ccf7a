"""Docstrings that a stranger understands alone, comments that give reasons, and no words that are only ours."""

import ast
import re
from functools import cache
from itertools import groupby, pairwise

import pytest

from tests.support.repository import REPOSITORY, nodes_of, text_of

FILES = [path for floor in ("models", "tasks", "flows") for path in sorted((REPOSITORY / floor).rglob("*.py"))]

# A docstring that opens so is the second half of a sentence whose first half is the reader's to guess.
RIDDLE = re.compile(r"(What|Whether|Of|The same|Where|Which|Who|Whom|Whose|When|Why|How|As|Its|Their|So|Also)\b")

# Comments say why. Code that relies on measured facts and on the habits of five libraries has many reasons to give:
# the packages that give them have four to nine lines of comment to a hundred lines of text.
FEWEST_COMMENTS = 4.0
NO_REASON = re.compile(r"#\s*(noqa|type:|pragma|fmt:)")  # a comment for a tool, not for a reader

# Words that only this project used, with the field's beside them.
PRIVATE = {
    "sift": "deduplicate, or filter",
    "kinship": "compatibility",
    "caution": "warning",
    "take in": "ingest and validate",
    "taken in": "ingested and validated",
    "takes in": "ingests and validates",
    "outrun": "conflict",
    "ripe": "mature",
    "ripen": "mature",
    "unripe": "immature",
    "flip": "changed decision",
    "donor": "source model",
}


def package_of(path):
    """The dotted name of the folder that a file stands in."""
    return ".".join(path.relative_to(REPOSITORY).parent.parts)


PACKAGES = {name: list(paths) for name, paths in groupby(sorted(FILES, key=package_of), package_of)}


def docstrings(nodes):
    """The name, line and docstring of a module, of its classes and of its functions, private ones too."""
    for node in nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", "the module"), getattr(node, "lineno", 1), text


def identifiers(nodes):
    """The line and name of all that a module defines, assigns, takes as an argument or imports under a new name."""
    for node in nodes:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


ENDINGS = "(?:s|ed|ing|ped|ping)?"
ANY_PRIVATE = re.compile(rf"\b(?:{'|'.join(PRIVATE)}){ENDINGS}\b")


@cache  # since the same names stand in many files
def private_words(text):
    """The private words of a text: `_sift`, `taken_in` and `Flips` hold one each, `shifts` and `script` none."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).replace("_", " ").lower()
    if not ANY_PRIVATE.search(spaced):
        return []
    return [word for word in PRIVATE if re.search(rf"\b{word}{ENDINGS}\b", spaced)]


def riddles(path):
    """The docstrings of a file that open in the middle of a sentence."""
    for name, line, text in docstrings(nodes_of(path)):
        if RIDDLE.match(text):
            yield f"{path.relative_to(REPOSITORY)}:{line} {name}: {text.splitlines()[0]}"


def field_docstrings(nodes):
    """The strings below the fields of classes, which explain them as comments would."""
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            for field, below in pairwise(node.body):
                if isinstance(field, ast.Assign | ast.AnnAssign) and isinstance(below, ast.Expr):
                    yield below


# A string, long or short, or else a comment: in a seventh of the time that Python's tokenizer takes.
STRING_OR_COMMENT = re.compile(
    r"\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|(#[^\n]*)", re.DOTALL
)


def comments(text):
    """The comments of a Python file."""
    return [found[1] for found in STRING_OR_COMMENT.finditer(text) if found[1]]


def comment_share(paths):
    """Lines with a comment for a reader or a field's docstring, per hundred lines that aren't empty."""
    lines = commented = 0
    for path in paths:
        text = text_of(path)
        lines += sum(1 for line in text.splitlines() if line.strip())
        commented += sum(not NO_REASON.match(comment) for comment in comments(text))
        commented += sum(below.end_lineno - below.lineno + 1 for below in field_docstrings(nodes_of(path)))
    return 100 * commented / lines


@pytest.mark.parametrize("package", PACKAGES)
def test_a_docstring_says_what_a_thing_is_or_does(package):
    wrong = [riddle for path in PACKAGES[package] for riddle in riddles(path)]
    assert not wrong, "begin with a verb or a noun, so that it is understood alone:\n" + "\n".join(wrong)


@pytest.mark.parametrize("package", PACKAGES)
def test_comments_give_the_reasons_that_the_code_cannot(package):
    share = comment_share(PACKAGES[package])
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGES[package])
    assert share >= FEWEST_COMMENTS or lines < 50, (
        f"{package}: {share:.1f} lines of comment per 100, expected {FEWEST_COMMENTS} at least. Say why where the code "
        "can't: a measurement, a library's habit, what went wrong before; and explain each field beside it."
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_names_and_docstrings_use_the_words_of_the_field(package):
    wrong = []
    for path in PACKAGES[package]:
        nodes = nodes_of(path)
        places = [*identifiers(nodes), *((line, text) for _, line, text in docstrings(nodes)), (1, path.stem)]
        wrong += [
            f"{path.relative_to(REPOSITORY)}:{line}: {word}, write {PRIVATE[word]}"
            for line, text in places
            for word in private_words(text)
        ]
    assert not wrong, "words of our own, which no paper of the field has:\n" + "\n".join(wrong)


def test_the_rules_see_what_they_refuse(tmp_path):
    file = tmp_path / "wrong.py"
    text = 'def _sift():\n    """Whether it flips."""\n    taken_in = 1  # noqa: F841\n    # for a reader\n'
    file.write_text(text, encoding="utf-8")
    nodes = [*ast.walk(ast.parse(text))]
    assert [RIDDLE.match(doc)[0] for _, _, doc in docstrings(nodes)] == ["Whether"]
    assert comment_share([file]) == 25
    assert [private_words(name) for _, name in identifiers(nodes)] == [["sift"], ["taken in"]]
    assert private_words("Whether it flips.") == ["flip"]
    assert private_words("shifts of a script, stripes, described") == []
