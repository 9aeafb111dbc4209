from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from splai.inputs import custom_ids
from splai.inputs.custom_ids import CustomIds


@given(st.lists(st.text(max_size=2)))
def test_every_id_that_an_earlier_record_has_is_a_repeat(names: list[str]) -> None:
    ids = CustomIds()
    for name in names:
        ids.add(name)
    counts = Counter(names)
    assert ids.repeats() == len(names) - len(counts)
    assert ids.suspects() == {hash(name) for name, count in counts.items() if count > 1}


def test_of_many_repeats_enough_are_suspects_to_name_the_first() -> None:
    ids = CustomIds()
    for number in range(custom_ids.MOST_SUSPECTS * 3):
        ids.add(str(number))
        ids.add(str(number))
    assert ids.repeats() == custom_ids.MOST_SUSPECTS * 3
    assert custom_ids.MOST_SUSPECTS <= len(ids.suspects()) < custom_ids.MOST_SUSPECTS * 2
