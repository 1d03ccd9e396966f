"""Answers: what they come to, what is left to ask, what is refused, and oracles that err."""

import pytest
import torch

from hyperlearning.acquisition.answers import Answer, Kind, Ledger, purity
from hyperlearning.acquisition.oracles import NONE_OF_OURS, TrueOracle, first_labelled, noisy_labels
from hyperlearning.core.errors import AnswerError


def said(place: int, label: str, annotator: str = "", number: int = 1) -> Answer:
    return Answer(place=place, kind="label", label=label, annotator=annotator, round=number)


def refused(place: int, number: int = 1) -> Answer:
    return Answer(place=place, kind="rejected", round=number)


def test_every_answer_counts_whatever_it_says():
    ledger = Ledger(10).told(
        [
            said(0, "a"),
            refused(1),
            Answer(place=2, kind="unsure", cost=0.5),
            Answer(place=3, kind="new class", label="b"),
        ]
    )
    assert ledger.spent == 3.5
    assert ledger.labels() == {0: "a", 3: "b"}
    assert ledger.rejected() == [1]
    assert ledger.pool() == [4, 5, 6, 7, 8, 9]
    assert purity(ledger.answers) == 0.75


def test_the_same_answer_again_changes_nothing():
    ledger = Ledger(5).told([said(0, "a"), refused(1)])
    assert ledger.told([said(0, "a"), refused(1)]) == ledger


def test_two_things_of_one_image_are_refused_and_nothing_is_taken():
    ledger = Ledger(5).told([said(0, "a")])
    with pytest.raises(AnswerError, match="one answer on image 0, but got label a and rejected"):
        ledger.told([said(1, "b"), refused(0)])
    assert ledger.labels() == {0: "a"}


@pytest.mark.parametrize("place", [-1, 5])
def test_an_answer_on_no_image_is_refused(place: int):
    with pytest.raises(AnswerError, match="from 0 to 4"):
        Ledger(5).told([said(place, "a")])


@pytest.mark.parametrize(("kind", "label"), [("label", None), ("rejected", "a"), ("unsure", "a"), ("new class", None)])
def test_a_class_belongs_to_labels_and_to_nothing_else(kind: Kind, label: str | None):
    with pytest.raises(AnswerError):
        Answer(place=0, kind=kind, label=label)


def test_most_of_those_who_are_sure_decide_and_a_draw_decides_nothing():
    ledger = Ledger(5).told([said(0, "a", "x"), said(0, "b", "y"), Answer(place=0, kind="unsure", annotator="z")])
    assert ledger.verdicts()[0].kind == "unsure"
    assert ledger.told([said(0, "b", "w")]).labels() == {0: "b"}


def test_rejected_images_return_or_not_as_the_policy_has_it():
    ledger = Ledger(6).told([refused(0, 1), refused(1, 1), said(2, "a", number=1), refused(3, 2)])
    assert ledger.pool("remove") == [4, 5]
    assert ledger.pool("return") == [0, 1, 3, 4, 5]
    assert ledger.pool("remove last") == [0, 1, 4, 5]
    again = ledger.told([refused(0, 3)])
    assert again.pool("remove last") == [1, 3, 4, 5]
    assert again.spent == 5


def test_a_true_oracle_says_what_is_and_what_it_costs():
    oracle = TrueOracle(torch.tensor([2, NONE_OF_OURS, 0]), costs={"rejected": 0.25})
    found = oracle.answer([1, 0], 4)
    assert [(own.place, own.kind, own.label, own.cost, own.round) for own in found] == [
        (1, "rejected", None, 0.25, 4),
        (0, "label", "2", 1.0, 4),
    ]


def test_as_many_labels_are_wrong_as_asked_for_each_within_its_group():
    labels = torch.arange(1000) % 6
    labels[:100] = NONE_OF_OURS
    groups = torch.tensor([0, 0, 0, 1, 1, 2])
    noisy = noisy_labels(labels, 0.3, torch.Generator().manual_seed(0), groups_C=groups)
    wrong = noisy != labels
    assert int(wrong.sum()) == 270
    assert bool((groups[noisy[wrong]] == groups[labels[wrong]]).all())
    assert not bool(wrong[labels == 5].any())
    assert bool((noisy[:100] == NONE_OF_OURS).all())
    assert torch.equal(noisy_labels(labels, 0.0, torch.Generator()), labels)


def test_what_is_labelled_at_first_has_none_of_the_missing_classes():
    labels = torch.arange(60) % 4 - 1
    first = first_labelled(labels, 20, torch.Generator().manual_seed(0), missing=(1,))
    assert len(set(first)) == 20
    assert set(labels[first].tolist()) == {0, 2}
    with pytest.raises(ValueError, match="at most 30"):
        first_labelled(labels, 31, torch.Generator(), missing=(1,))
