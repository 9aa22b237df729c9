import numpy as np

from objectives.data.characters import PADDING, UNKNOWN, TextSets, encoded, text_sets, vocabulary
from objectives.data.split import Split

TEXTS = ["abba", "ab", "bc", "abcd", "\u0065\u0301b"]


def sets(max_length: int = 3) -> TextSets:
    split = Split(training=np.array([0, 1]), validation=np.array([2, 4]), test=np.array([3]))
    return text_sets(TEXTS, np.array([0, 1, 0, 1, 0]), split, 2, max_length, ["Read five."])


def test_a_character_is_known_that_two_training_texts_hold() -> None:
    assert vocabulary(["aab", "bc", "dd", "cb"]) == "bc"
    assert sets().characters == "ab"
    assert sets().n_tokens == 4


def test_a_text_is_the_numbers_of_its_first_characters_and_padding_behind_them() -> None:
    assert encoded(["ba", "xab", "a"], "ab", 4).tolist() == [
        [3, 2, PADDING, PADDING],
        [UNKNOWN, 2, 3, PADDING],
        [2, PADDING, PADDING, PADDING],
    ]
    found = sets()
    assert found.training.inputs.tolist() == [[2, 3, 3], [2, 3, PADDING]]
    assert found.test.inputs.tolist() == [[2, 3, UNKNOWN]]
    assert (found.test.targets.tolist(), found.input_shape) == ([1], (3,))


def test_a_letter_and_its_accent_are_one_character() -> None:
    assert sets().validation.inputs.tolist()[1] == [UNKNOWN, 3, PADDING]


def test_the_log_tells_how_many_texts_are_cut() -> None:
    cut = "Of 2 texts only the first 3 characters are used."
    assert sets().notes == ("Read five.", "The vocabulary has 2 characters.", cut)
    assert sets(max_length=4).notes == ("Read five.", "The vocabulary has 2 characters.")


def test_the_log_tells_how_many_texts_are_trained_on_and_measured() -> None:
    assert sets(max_length=2).notes[-1] == (
        "Texts of the validation and the test set that are, as far as they are used, in the training set, too: 1."
    )
