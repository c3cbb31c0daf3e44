from nnunetv2_strokesynth.io.messages import name_some


def test_long_lists_are_cut():
    assert name_some({"b", "a"}) == "a, b"
    assert name_some("abcdefghij").endswith("h and 2 more")


def test_sequences_keep_their_order():
    assert name_some(["b", "a"]) == "b, a"
    assert name_some([]) == ""


def test_sentences_are_separated_as_such():
    assert name_some(["no, b", "c", "d"], 2, separator="; ") == "no, b; c; and 1 more"
