"""Rules of README and docs/: what is made from the code is up to date, links lead somewhere, no command is left out.

`tests/integration/repository/test_docs_commands.py` runs them.
"""

import ast
import json
import re
import tomllib
from functools import cache

import pytest
import typer

from ctr_retrain.flows.cli import app
from ctr_retrain.flows.settings import Settings
from ctr_retrain.models.described_model import descriptions
from ctr_retrain.models.feature_kinds.feature import Feature
from ctr_retrain.models.feature_kinds.kinds import KINDS
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.section import Section
from tests.docs.blocks import COMMANDS, PAGES, PROGRAM, README, blocks_of, program_calls
from tests.docs.generated import DOCS, generated
from tests.support.repository import REPOSITORY
from tests.unit.repository.test_architecture import ENTRY, ORDER

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMAND_BLOCKS = [block for block in BLOCKS if block.language in COMMANDS]
MOST_LINES, MOST_WORDS = 150, 2500  # of README: a reader has a quarter of an hour
READERS = {"python": ast.parse, "toml": tomllib.loads, "json": json.loads}  # of blocks in these languages
OUR_FOLDERS = "flows|tasks|models|tests|infra|docs"


def by_name(page):
    return page.name


def by_place(block):
    return block.place


def sections():
    """Every section of the recipe, and every kind of its features."""
    return [Recipe, *(section for section in Section.__subclasses__() if section is not Feature), *KINDS.values()]


def prose_of(page):
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors_of(page):
    """The page's headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["recipe.md", "timeline.svg"])
def test_pages_made_from_the_code_are_up_to_date(name):
    assert (DOCS / name).read_text(encoding="utf-8") == generated()[name], f"docs/{name} is stale: run `make docs`"


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_each_key_of_the_recipe_says_what_it_means(section):
    silent = sorted(section.model_fields.keys() - descriptions(section).keys())
    assert not silent, f"{section.__name__}: write a docstring below {silent}; docs/recipe.md shows it"


def test_readme_is_short_enough_to_be_read():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES, "move what a newcomer doesn't need to a page under docs/"
    assert len(text.split()) <= MOST_WORDS, "move what a newcomer doesn't need to a page under docs/"


def test_readme_shows_each_package_once_in_the_order_of_imports_and_says_what_it_is_for():
    (tree,) = [block for block in blocks_of(README) if block.language == "text"]
    floor, shown = "", []
    for line in tree.content.splitlines():
        indent, name, words = re.fullmatch(r"( *)(\w+)/ +(\S.*)", line).groups()
        floor = floor if indent else name
        shown.append(f"{floor}.{name}" if indent else name)
        assert len(words.split()) > 1, line
    with_folders = [room for room in ORDER if "." in room and room != ENTRY]
    assert [room for room in shown if "." in room] == with_folders, "the tree in README, then ORDER"
    assert sorted(room for room in shown if "." not in room) == ["flows", "models", "tasks"]


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_links_lead_to_files_and_headings_that_exist(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", prose_of(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors_of(file), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_files_that_a_page_names_exist(page):
    named = re.findall(rf"`((?:{OUR_FOLDERS})/[\w./-]*)`", prose_of(page))
    for name in (name for name in named if not re.search("/[A-Z]+/", name)):  # models/VERSION/ lies under a root
        assert (REPOSITORY / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("block", BLOCKS, ids=by_place)
def test_each_block_names_its_language_and_each_block_of_commands_is_run_or_says_why_not(block):
    assert block.language, f"{block.place}: name the block's language behind its fence"
    if block.language in COMMANDS:
        assert block.comment, f"{block.place}: put <!-- run --> or <!-- not run: reason --> on the line before it"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in READERS], ids=by_place)
def test_programs_recipes_and_documents_that_a_page_shows_can_be_read(block):
    READERS[block.language](block.content)


@pytest.mark.parametrize("block", COMMAND_BLOCKS, ids=by_place)
def test_commands_and_make_targets_that_a_page_shows_exist(block):
    targets = set(re.findall(r"^([\w%-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in block.commands:
        for arguments in program_calls(line):
            taken_by_the_program(arguments)
        for target in re.findall(r"^make ([\w-]+)", line):
            assert target in targets or target.startswith("bench-"), f"{block.place}: make {target}"


def test_stored_formats_have_the_numbers_that_the_code_gives_them():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+ = \d+)` in `([\w/]+\.py)`", text)
    assert named, "docs/architecture.md: expected the numbers of stored formats"
    for number, file in named:
        assert re.search(rf"^{number}\b", (REPOSITORY / file).read_text(encoding="utf-8"), re.MULTILINE), (
            f"docs/architecture.md says `{number}` in {file}: say there what it is now, and where"
        )


def test_operations_has_each_setting_and_each_command():
    text = (DOCS / "operations.md").read_text(encoding="utf-8")
    settings = {f"CTR_RETRAIN_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"^\| `(CTR_RETRAIN_\w+)`", text, re.MULTILINE)) == settings
    missing = [name for name in program().commands if not re.search(rf"`{name}[` ]", text)]
    assert not missing, f"docs/operations.md: say what {missing} do"


@pytest.mark.parametrize("arguments", [["daily", "--day", "2026-03-25"], ["dayly"], ["gc", "--dry-run", "now"]])
def test_the_check_sees_arguments_that_the_program_refuses(arguments):
    with pytest.raises((typer.TyperException, KeyError)):
        taken_by_the_program(arguments)


@cache
def program():
    """The program's commands, put together once: that takes as long as parsing the arguments of fifty."""
    return typer.main.get_command(app)


def taken_by_the_program(arguments):
    """Parse the arguments as the program does, without running anything; raises where it would refuse them."""
    group = program()
    wide = {option: param for param in group.params for option in param.opts}  # may stand behind the command too
    before, behind = [], []
    words = iter(arguments)
    for word in words:
        if word in wide:
            before += [word] if wide[word].is_flag else [word, next(words)]
        else:
            behind.append(word)
    group.make_context(PROGRAM, [*before, behind[0]])
    group.commands[behind[0]].make_context(behind[0], behind[1:])
