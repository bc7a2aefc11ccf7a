"""Text from outside is fit for whoever reads it: nothing of it acts, and nothing that can be read is lost."""

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.outside_text import json_text, shown
from tests.support.counts import draws


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ü 日本 😀 – “quoted”", "plain ü 日本 😀 – “quoted”"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J", r"\x9b2J"),  # the same in one character of C1
        ("a\rb\x08c\x00", r"a\rb\x08c\x00"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),  # shows exe.jpg
        ("\udcff", r"\udcff"),  # of a name that is no UTF-8
        ("a\nERROR: forged", r"a\nERROR: forged"),
        ("👩\u200d💻 \u200cمی", "👩\u200d💻 \u200cمی"),
        ("1\u00a0000", "1\u00a0000"),
        ("https://user:SECRET@host/a and http://token@host:80", "https://***@host/a and http://***@host:80"),
        ("mail a@b.example, see https://host/@name", "mail a@b.example, see https://host/@name"),
    ],
)
def test_what_would_act_is_seen_and_the_rest_stays_as_it_is(text, expected):
    assert shown(text) == expected


def test_lines_stay_where_they_are_wanted():
    assert shown("a\n\tb\x1b", lines=True) == "a\n\tb\\x1b"


@given(st.text(alphabet=st.characters(codec=None)))
@settings(max_examples=draws(60, 20_000))
def test_nothing_in_any_text_acts_on_a_terminal(text):
    for character in shown(text, lines=True):
        assert character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert character in "\u200c\u200d" or unicodedata.category(character) != "Cf"


@pytest.mark.parametrize("text", ["\ud83d", "\ude00\ud83d", "a\\ud83d", "\\\ud83d", "😀", "\x1b[0m", "\ud83d😀"])
def test_json_is_ascii_and_is_what_strict_parsers_take(text):
    printed = json_text({"text": text, "list": [text]})
    assert printed.isascii()
    assert "\x1b" not in printed
    json.loads(printed)["text"].encode("utf-8")  # half a pair would be refused here
    if text.isprintable():
        assert json.loads(printed) == {"text": text, "list": [text]}


@given(st.text(alphabet=st.characters(codec=None)))
@settings(max_examples=draws(60, 20_000))
def test_json_of_any_text_can_be_written_as_utf_8_and_is_unchanged_but_for_halves(text):
    read = json.loads(json_text({"text": text}))["text"]
    read.encode("utf-8")
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not any(unicodedata.category(character) == "Cs" for character in text):
        assert read == text == whole
