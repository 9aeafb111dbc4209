"""A template prints, tests, loops and filters; it cannot reach out, hang or grow."""

from typing import Any

import pytest

from splai.core.inferencejob.template import PromptTemplate, TemplateError


@pytest.mark.parametrize(
    ("source", "record", "want"),
    [
        ("{{ subject }}: {{ body }}", {"subject": "a", "body": 1}, "a: 1"),
        ("{{ user.name }} {{ user['name'] }} {{ tags[0] }}", {"user": {"name": "x"}, "tags": ["t"]}, "x x t"),
        ("{% for tag in tags %}{{ loop.index }}{{ tag }}{% endfor %}", {"tags": ["a", "b"]}, "1a2b"),
        ("{% if late %}late{% else %}on time{% endif %}", {"late": False}, "on time"),
        ("{{ note|default('none') }}", {}, "none"),
        ("{{ note is defined }}", {}, "False"),
        ("{{ tags|join(', ') }} {{ name|upper|replace('A', 'o') }}", {"tags": ["a", "b"], "name": "anna"}, "a, b oNNo"),
        ("{{ data|tojson }}", {"data": {"ü": [1, None]}}, '{"ü": [1, null]}'),
        ("{{ text.strip().split()[0] }}", {"text": " one two "}, "one"),
        ("{{ price * 2 + 1 }}", {"price": 2.5}, "6.0"),
        ("<b>{{ text }}</b>", {"text": "<i>"}, "<b><i></b>"),
    ],
)
def test_a_record_becomes_a_text(source: str, record: dict[str, Any], want: str) -> None:
    assert PromptTemplate(source).render(record) == want


@pytest.mark.parametrize(
    ("source", "record", "want"),
    [
        (
            "{{ subjct }}",
            {"subject": "a", "body": "b"},
            "the template uses 'subjct', which the record does not have; it has: subject, body",
        ),
        (
            "{{ user.nmae }}",
            {"user": {"name": "x"}},
            "the template uses 'nmae' of a field that does not have it; it has: name",
        ),
        ("{{ user.name }}", {"user": "x"}, "the template uses 'name' of a field that has no such part"),
        (
            "{% for tag in tags %}{% endfor %}",
            {},
            "the template uses 'tags', which the record does not have; it has: n",
        ),
        ("{{ user['nmae'] }}", {"user": {"name": "x"}}, "the template uses 'nmae' of a field that does not have it"),
        ("{{ tags[2] }}", {"tags": ["a"]}, "the template uses 2 of a field that has no such part"),
        (
            "{{ users|sort(attribute='name.last')|join }}",
            {"users": [{"name": {"first": "x"}}] * 2},
            "the template uses 'last' of a field that does not have it; it has: first",
        ),
        ("{{ tags|first }}", {"tags": []}, "the template uses the first or the last of nothing"),
        ("{{ number / 0 }}", {"number": 1}, "the template fails on it (ZeroDivisionError)"),
    ],
)
def test_what_a_record_lacks_is_told_by_name(source: str, record: dict[str, Any], want: str) -> None:
    with pytest.raises(TemplateError) as caught:
        PromptTemplate(source).render(record)
    assert str(caught.value).startswith(want)


def test_a_failure_names_its_kind_and_quotes_no_field() -> None:
    with pytest.raises(TemplateError) as caught:
        PromptTemplate("{{ text.split(text.strip('secret')) }}").render({"text": "secret"})
    assert str(caught.value) == "the template fails on it (ValueError)"


@pytest.mark.parametrize(
    "source",
    [
        "{{ prices[product] }}",
        "{{ prices[product].amount }}",
        "{{ tags[number] }}",
        "{{ text[product] }}",
        "{{ prices[tags] }}",
        "{{ [prices, prices]|sort(attribute=product)|join }}",
        "{% for tag in tags %}{{ prices[tag] }}{% endfor %}",
    ],
)
def test_a_name_that_comes_from_the_record_is_not_quoted(source: str) -> None:
    record = {
        "product": "secret.of",
        "prices": {"key-secret": {"of": 1}},
        "tags": ["secret tag"],
        "number": 4711,
        "text": "secret",
    }
    with pytest.raises(TemplateError) as caught:
        PromptTemplate(source).render(record)
    want = "the template uses a part of a field by a name from the record, and the field has no such part"
    assert str(caught.value) == want


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("one\n{{ two", "line 2: unexpected end of template"),
        ("{% if a %}", "line 1: Unexpected end of template"),
        ("{{ a|shout }}", "line 1: No filter named 'shout'"),
        ("{% set a = b %}", "line 1: assign is not available in a prompt"),
        ("{% include 'other' %}", "line 1: include is not available in a prompt"),
        ("{% macro a() %}{% endmacro %}", "line 1: macro is not available in a prompt"),
        ("{{ 2 ** 9 }}", "line 1: pow is not available in a prompt"),
        ("{{ a ~ b }}", "line 1: concat is not available in a prompt"),
        ("{{ range(9) }}", "line 1: only these methods can be called"),
        ("{{ a.format(b) }}", "line 1: only these methods can be called"),
        ("{{ a }}" * 3000, "is too complex"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "is nested too deeply"),
        ("{% for a in b %}" * 40 + "{% endfor %}" * 40, "is nested too deeply"),
    ],
)
def test_syntax_that_a_prompt_does_not_need_is_refused(source: str, want: str) -> None:
    with pytest.raises(TemplateError) as caught:
        PromptTemplate(source)
    assert str(caught.value).startswith(want)


@pytest.mark.parametrize(
    ("source", "record", "want"),
    [
        ("{{ a * 1000000 }}", {"a": "x"}, "'*' is for numbers only"),
        ("{{ a + a }}", {"a": "x"}, "'+' is for numbers only"),
        ("{{ '%0999999999d' % a }}", {"a": 1}, "'%' is for numbers only"),
        ("{{ a|replace('x', a) }}", {"a": "x" * 2000}, "the result of filter 'replace' is too long"),
        ("{{ a|join(a) }}", {"a": "x" * 2000}, "the result of filter 'join' is too long"),
        ("{{ a|tojson|tojson|tojson|tojson }}", {"a": "\\" * 200_000}, "the result of filter 'tojson' is too long"),
        ("{% for x in a %}{{ a }}{% endfor %}", {"a": "x" * 2000}, "the result is longer than 1048576 characters"),
        (
            "{% for x in a %}{% for y in a %}{% endfor %}{% endfor %}",
            {"a": "x" * 2000},
            "loops take more than 10000 turns",
        ),
    ],
)
def test_a_record_cannot_be_made_to_hang_or_to_grow(source: str, record: dict[str, Any], want: str) -> None:
    with pytest.raises(TemplateError) as caught:
        PromptTemplate(source).render(record)
    assert str(caught.value).startswith(want)


@pytest.mark.parametrize("source", ["{{ a.__class__ }}", "{{ a['__class__'] }}", "{{ a.items.__globals__ }}"])
def test_python_cannot_be_reached(source: str) -> None:
    with pytest.raises(TemplateError):
        PromptTemplate(source).render({"a": {"b": 1}})


def test_each_render_has_its_own_allowance_of_turns() -> None:
    template = PromptTemplate("{% for x in a %}.{% endfor %}")
    assert [len(template.render({"a": "x" * 9000})) for _ in range(3)] == [9000, 9000, 9000]
