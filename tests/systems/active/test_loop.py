"""A loop by hand: it learns, asks nothing twice, keeps every answer, and goes on from a file to the same questions."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hyperlearning.acquisition.answers import Answer
from hyperlearning.acquisition.oracles import NONE_OF_OURS, TrueOracle
from hyperlearning.acquisition.query import OF_REJECTS
from hyperlearning.acquisition.strategies import NEED_NO_LABEL, STRATEGIES, StrategyName
from hyperlearning.core.errors import AnswerError, FileError, QueryError
from hyperlearning.systems.active import embedders
from hyperlearning.systems.active.embedders import folder_features
from hyperlearning.systems.active.loop import ActiveLoop
from hyperlearning.systems.active.questions import NOT_OURS, UNSURE


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
    with pytest.raises(ValueError, match="finite features, or pixels"):
        ActiveLoop(torch.full((3, 2), torch.nan))
    with pytest.raises(ValueError, match="one image or more"):
        ActiveLoop(torch.ones(0, 5))
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


def mixed(num: int = 120) -> tuple[Tensor, list[str]]:
    """Three kinds of ours, and as many images of two other kinds as of ours."""
    source = torch.Generator().manual_seed(1)
    kinds = torch.arange(num) % 6
    features = 3 * torch.eye(6, 8)[kinds] + 0.4 * torch.randn(num, 8, generator=source)
    return features, [[*"abc", *3 * [NOT_OURS]][kind] for kind in kinds]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_chooses_in_a_loop_with_images_that_are_none_of_ours(name: StrategyName):
    features, truth = mixed()
    loop = ActiveLoop(features, strategy=name, oracle=lambda places: [truth[place] for place in places])
    rounds = loop.run(budget=24, batch=12)
    assert [line.num_answers for line in rounds] == [12, 24]
    assert len({answer.place for answer in loop.answers}) == 24
    assert any(STRATEGIES[name].title in question.why for question in loop.asked.values())


@pytest.mark.parametrize("name", sorted(NEED_NO_LABEL))
def test_the_first_questions_are_chosen_by_features_also_while_nothing_but_foreign_images_was_met(name: StrategyName):
    features, _ = mixed()
    loop = ActiveLoop(features, first=name, oracle=lambda places: [NOT_OURS] * len(places))
    assert [line.num_labelled for line in loop.run(budget=12, batch=6)] == [0, 0]
    assert loop.outcomes == (NOT_OURS,)


def test_an_oracle_is_asked_until_the_budget_is_spent_and_rounds_say_what_was_learned():
    features, truth = blobs(90)
    loop = ActiveLoop(features[:60], oracle=lambda places: [truth[place] for place in places])
    rounds = loop.run(budget=25, batch=10, tests=(features[60:], truth[60:]))
    assert [(line.round, line.num_answers, line.spent) for line in rounds] == [(1, 10, 10), (2, 20, 20), (3, 25, 25)]
    assert [line.num_labelled for line in rounds] == [10, 20, 25]
    assert rounds[-1].num_classes == 3
    assert rounds[-1].accuracy is not None
    assert rounds[-1].accuracy > 0.9
    assert loop.run(budget=25) == []
    assert len(loop.run(budget=1000)) == 2
    assert loop.num_labelled == 60


def test_every_answer_counts_against_the_budget_whatever_it_says_and_as_the_oracle_says():
    features, _ = blobs(40)
    labels = torch.arange(40) % 3
    labels[::4] = NONE_OF_OURS
    free = ActiveLoop(features, oracle=TrueOracle(labels))
    assert sum(line.num_answers for line in free.run(budget=12, batch=12)) == 12
    assert free.rejected()
    dear = ActiveLoop(features, oracle=TrueOracle(labels, costs={"label": 3.0}))
    assert 12 <= dear.run(budget=12, batch=2)[-1].spent <= 15


def test_answers_that_cost_nothing_come_to_an_end():
    features, _ = blobs(20)
    nothing = TrueOracle(torch.full((20,), NONE_OF_OURS), costs={"rejected": 0.0})
    with pytest.raises(QueryError, match="24 in a row"):
        ActiveLoop(features, oracle=nothing, policy="return").run(budget=5, batch=4)
    left = ActiveLoop(features, oracle=nothing, policy="remove")
    assert left.run(budget=5, batch=4)[-1].num_answers == 20


def test_several_annotators_may_answer_and_each_answer_counts():
    class Two:
        def answer(self, places: Sequence[int], round_number: int) -> list[Answer]:
            return [
                Answer(place=place, kind="label", label="ab"[place % 2], annotator=who, round=round_number)
                for place in places
                for who in ("one", "another")
            ]

    loop = ActiveLoop(blobs()[0], oracle=Two())
    (first, _) = loop.run(budget=16, batch=4)
    assert (first.num_answers, first.num_labelled) == (8, 4)
    assert {answer.round for answer in loop.answers} == {1, 2}


def test_an_oracle_that_stops_leaves_its_answers_and_open_questions_are_refused():
    features, truth = blobs()
    calls = iter([True, True, False])

    def stopping(places: list[int]) -> list[str]:
        if not next(calls):
            raise KeyboardInterrupt
        return [truth[place] for place in places]

    loop = ActiveLoop(features, oracle=stopping)
    with pytest.raises(KeyboardInterrupt):
        loop.run(budget=30, batch=5)
    assert (loop.num_labelled, len(loop.waiting)) == (10, 5)
    with pytest.raises(AnswerError, match="an answer for each of 5"):
        ActiveLoop(features, oracle=lambda places: ["a"]).run(budget=9, batch=5)
    with pytest.raises(ValueError, match="an `oracle` to ask"):
        ActiveLoop(features).run(budget=9)
    with pytest.raises(ValueError, match="a class of each of 60 tests, but got 2"):
        ActiveLoop(features, oracle=stopping).run(budget=9, tests=(features, ["a", "b"]))


def test_what_is_rejected_is_learned_and_questions_are_about_what_is_ours():
    features, truth = mixed()
    learning, ignoring = (
        ActiveLoop(features, oracle=lambda places: [truth[place] for place in places], learns_rejects=learns)
        for learns in (True, False)
    )
    learned, ignored = (loop.run(budget=40, batch=10) for loop in (learning, ignoring))
    assert learned[0].purity == ignored[0].purity
    assert learned[-1].purity == 1 > ignored[-1].purity
    assert learning.outcomes == (*learning.classes, NOT_OURS)
    assert ignoring.outcomes == ignoring.classes
    assert sum(own == true for own, true in zip(learning.predict().labels, truth, strict=True)) >= 115
    assert NOT_OURS not in ignoring.predict().labels


def test_nothing_is_different_where_nothing_is_rejected():
    features, truth = blobs()
    loops = [ActiveLoop(features, strategy="bald", learns_rejects=learns) for learns in (True, False)]
    for _ in range(3):
        first, second = (loop.ask(6) for loop in loops)
        assert first == second
        for loop in loops:
            loop.tell(first, [truth[place] for place in first])
    assert torch.equal(loops[0].predict().confidence_N, loops[1].predict().confidence_N)


def test_a_loop_with_rejected_images_goes_on_from_a_file_to_the_same_questions(tmp_path: Path):
    features, truth = mixed()
    loop = ActiveLoop(features, strategy="core_set", oracle=lambda places: [truth[place] for place in places])
    loop.run(budget=16, batch=8)
    loop.save(tmp_path / "loop.json")
    other = ActiveLoop(features, strategy="core_set")
    other.restore(tmp_path / "loop.json")
    assert other.ask(9) == loop.ask(9)
    assert torch.equal(other.predict().confidence_N, loop.predict().confidence_N)


def test_images_are_turned_into_features_and_so_are_others_that_it_is_asked_about(monkeypatch: pytest.MonkeyPatch):
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    images = 0.2 * torch.rand(40, 1, 28, 28, generator=source)
    images[labels == 1, :, :, :8] = 1.0
    loop = ActiveLoop(images, oracle=lambda places: ["ab"[labels[place]] for place in places])
    loop.run(budget=10, batch=5)
    same = ActiveLoop(folder_features(images))
    same.tell(list(loop.labels()), list(loop.labels().values()))
    assert torch.equal(loop.predict().confidence_N, same.predict().confidence_N)
    assert loop.predict(images[:4]).labels == loop.predict().labels[:4]
    monkeypatch.setattr(embedders, "_UPDATES", 2)
    assert ActiveLoop(images, features="learned").ask(3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"first": "margin"}, "`first` to need no label, as core_set, .* do, but got 'margin'"),
        ({"features": "pixels"}, "images .* to find `features` of, but got"),
        *(
            ({"strategy": name, "learns_rejects": False}, f"to be learned from for '{name}'")
            for name, strategy in STRATEGIES.items()
            if OF_REJECTS.intersection(strategy.needs)
        ),
    ],
)
def test_what_cannot_choose_to_the_end_is_refused_before_anything_is_asked(options: dict[str, str | bool], says: str):
    with pytest.raises(ValueError, match=says):
        ActiveLoop(blobs()[0], **options)  # pyright: ignore[reportArgumentType]


def test_images_that_are_all_the_same_make_no_loop():
    with pytest.raises(ValueError, match="images that differ"):
        ActiveLoop(torch.ones(5, 1, 8, 8))


@pytest.mark.parametrize("others", [torch.ones(3, 4), torch.full((3, 5), torch.nan), torch.ones(3, 1, 5, 5)])
def test_predictions_of_what_is_not_as_the_images_of_the_loop_are_refused(others: Tensor):
    loop = ActiveLoop(blobs()[0])
    loop.tell([0, 1], ["a", "b"])
    with pytest.raises(ValueError, match=r"as the loop has, \(5,\) each"):
        loop.predict(others)
