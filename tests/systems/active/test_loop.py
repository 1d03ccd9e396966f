"""A loop by hand: it learns, asks nothing twice, keeps every answer, and goes on from a file to the same questions."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hyperlearning.core.errors import AnswerError, FileError, QueryError
from hyperlearning.systems.active.loop import NOT_OURS, UNSURE, ActiveLoop


def blobs(num: int = 60) -> tuple[Tensor, list[str]]:
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(num) % 3
    features = 3 * torch.eye(3, 5)[labels] + 0.5 * torch.randn(num, 5, generator=source)
    return features, ["abc"[label] for label in labels]


def test_it_learns_what_it_is_told_and_says_how_sure_it_is():
    features, truth = blobs()
    loop = ActiveLoop(features)
    for _ in range(4):
        places = loop.ask(5)
        loop.tell(places, [truth[place] for place in places])
    said = loop.predict()
    assert loop.num_labelled == 20
    assert sum(own == true for own, true in zip(said.labels, truth, strict=True)) >= 57
    assert float(said.confidence_N.min()) > 1 / 3
    assert set(loop.classes) == set("abc")


def test_what_waits_for_an_answer_is_asked_again_and_not_chosen_twice():
    loop = ActiveLoop(blobs()[0])
    first = loop.ask(4)
    assert loop.ask(4) == first
    assert loop.ask(6)[:4] == first
    loop.tell(first[:2], ["a", "b"])
    assert loop.ask(2) == first[2:]
    assert all("random" in question.why for question in loop.waiting)


def test_nothing_that_has_an_answer_is_asked_about_again_until_nothing_is_left():
    features, truth = blobs(25)
    loop, asked = ActiveLoop(features, strategy="entropy"), []
    while loop.num_left:
        places = loop.ask(4)
        asked += places
        answers = [truth[place] for place in places]
        loop.tell(
            places,
            [
                UNSURE if place % 5 == 0 else NOT_OURS if place % 5 == 1 else own
                for place, own in zip(places, answers, strict=True)
            ],
        )
    assert sorted(asked) == list(range(25))
    assert len(loop.rejected()) == 5
    with pytest.raises(QueryError, match="every one has its answer"):
        loop.ask(1)


def test_it_goes_on_from_a_file_to_the_same_questions(tmp_path: Path):
    features, truth = blobs()
    loop = ActiveLoop(features, strategy="bald")
    places = loop.ask(8)
    loop.tell(places[:6], [truth[place] for place in places[:6]])
    loop.save(tmp_path / "loop.json")
    other = ActiveLoop(features, strategy="bald")
    other.restore(tmp_path / "loop.json")
    assert other.answers == loop.answers
    assert other.waiting == loop.waiting
    assert other.ask(10) == loop.ask(10)
    assert torch.equal(other.predict().confidence_N, loop.predict().confidence_N)


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}', '{"format": 1, "num_images": 7, "answers": []}', "[]"])
def test_a_file_that_no_loop_wrote_is_refused_and_changes_nothing(tmp_path: Path, content: str):
    features, truth = blobs()
    loop = ActiveLoop(features)
    loop.tell([0], [truth[0]])
    (tmp_path / "loop.json").write_text(content)
    with pytest.raises(FileError):
        loop.restore(tmp_path / "loop.json")
    assert loop.num_labelled == 1


def test_an_altered_answer_is_refused(tmp_path: Path):
    loop = ActiveLoop(blobs()[0])
    loop.tell([0, 1], ["a", "b"])
    loop.save(tmp_path / "loop.json")
    kept = json.loads((tmp_path / "loop.json").read_text())
    kept["answers"][1]["place"] = 999
    (tmp_path / "loop.json").write_text(json.dumps(kept))
    with pytest.raises(FileError, match="from 0 to 59"):
        loop.restore(tmp_path / "loop.json")


@pytest.mark.parametrize(
    ("places", "answers", "says"),
    [
        ([1], ["A"], "one spelling of a class, but got 'a' and 'A'"),
        ([1, 2], ["b"], "an answer for each of 3"),
        ([60], ["a"], "from 0 to 59"),
        ([0], ["b"], "one answer on image 0"),
        ([1], [" "], "but got nothing"),
    ],
)
def test_answers_that_cannot_be_are_refused_and_none_is_taken(places: list[int], answers: list[str], says: str):
    loop = ActiveLoop(blobs()[0])
    loop.tell([0], ["a"])
    with pytest.raises(AnswerError, match=says):
        loop.tell([5, *places], ["a", *answers])
    assert loop.num_labelled == 1


def test_a_mistake_can_be_corrected_and_several_people_can_answer():
    loop = ActiveLoop(blobs()[0])
    loop.tell([0, 1], ["a", "a"])
    loop.tell([0], ["b"], correct=True)
    assert loop.labels() == {0: "b", 1: "a"}
    loop.tell([1], ["b"], annotator="another")
    assert loop.labels() == {0: "b"}
    loop.tell([1], ["b"], annotator="a third")
    assert loop.labels() == {0: "b", 1: "b"}


def test_a_class_beyond_those_given_is_a_new_one():
    loop = ActiveLoop(blobs()[0], classes=("a", "b"))
    loop.tell([0, 1], ["a", "c"])
    assert [answer.kind for answer in loop.answers] == ["label", "new class"]
    assert loop.classes == ("a", "b", "c")


def test_features_that_are_none_and_strategies_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="finite features"):
        ActiveLoop(torch.full((3, 2), torch.nan))
    with pytest.raises(QueryError, match="none yet"):
        ActiveLoop(blobs()[0]).predict()


def test_what_is_taken_back_waits_again_before_others_and_is_known_no_more(tmp_path: Path):
    loop = ActiveLoop(blobs()[0])
    asked = loop.ask(4)
    why = {place: question.why for place, question in loop.asked.items()}
    loop.tell(asked[:3], ["a", "b", NOT_OURS])
    loop.take_back(asked[1:2])
    assert [question.place for question in loop.waiting] == [asked[1], asked[3]]
    assert loop.labels() == {asked[0]: "a"}
    loop.save(tmp_path / "loop.json")
    other = ActiveLoop(blobs()[0])
    other.restore(tmp_path / "loop.json")
    assert other.waiting == loop.waiting
    assert {place: question.why for place, question in other.asked.items()} == why
    with pytest.raises(AnswerError, match=f"{asked[1]} has none"):
        loop.take_back([asked[1]])
