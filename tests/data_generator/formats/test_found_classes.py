from collections import Counter

import pytest

from multibox.data_generator.formats.found_classes import choose_classes


@pytest.mark.filterwarnings("error")
def test_names_that_occur():
    assert choose_classes(None, Counter({"dog": 2, "cat": 1}), "source") == ("cat", "dog")
    assert choose_classes(None, Counter({"10": 2, "9": 1}), "source") == ("9", "10")
    assert choose_classes(None, Counter({"10": 2, "9": 1, "x": 1}), "source") == ("10", "9", "x")
    assert choose_classes(["dog", "cat"], Counter({"cow": 1}), "source") == ("dog", "cat")


def test_no_name_occurs():
    with pytest.raises(ValueError, match=r"source: no object has a class, .* pass `classes`"):
        choose_classes(None, Counter(), "source")


def test_variants_of_one_name():
    counts = Counter({"Dog": 2, "dog ": 1, "cat": 5, "hot-dog": 3})
    message = r"source: classes with similar names .*'Dog' \(2 objects\) and 'dog ' \(1 objects\)$"
    with pytest.warns(UserWarning, match=message) as caught:
        assert choose_classes(None, counts, "source") == ("Dog", "cat", "dog ", "hot-dog")
    assert len(caught) == 1
    with pytest.warns(UserWarning, match=r"'hot-dog' \(3 objects\) and 'Hot_Dog' \(0 objects\)$"):
        choose_classes(["hot-dog", "Hot_Dog"], counts, "source")
