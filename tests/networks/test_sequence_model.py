"""A sequence model: against attention written out token by token, and what neither order of reading nor other queries change."""

import pytest
import torch
from tests.networks.sequence_models import D, H, both, build
from torch import Tensor, nn

from hyperlearning.networks.sequence_model import SequenceModel

N, Q, L = 7, 5, 3


def stream() -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    inputs, targets, queries = (
        torch.randn(L, n, d, generator=source, dtype=torch.float64) for n, d in ((N, 2), (N, 1), (Q, 2))
    )
    return inputs, targets, queries


def written_out(model: SequenceModel, examples: list[Tensor], query: Tensor) -> Tensor:
    """What one query of one life is answered: every token, head and layer in a loop of its own."""
    tokens = [model.start, *examples, query]
    for layer in model.layers:
        mixed = [layer.mix(layer.before_attention(token)).view(3, H, D // H) for token in tokens]
        attended = []
        for place, (own, _, _) in enumerate(mixed):
            seen = mixed[: place + 1] if place < len(tokens) - 1 else mixed[:-1]
            heads = []
            for head in range(H):
                q, ks, vs = own[head], [k[head] for _, k, _ in seen], [v[head] for _, _, v in seen]
                if model.attention == "softmax":
                    weights = torch.stack([(q @ k / (D // H) ** 0.5).exp() for k in ks])
                else:
                    weights = torch.stack([(nn.functional.elu(q) + 1) @ (nn.functional.elu(k) + 1) for k in ks])
                heads.append(sum(w * v for w, v in zip(weights / weights.sum(), vs, strict=True)))
            attended.append(torch.cat(heads))
        tokens = [token + layer.join(heads) for token, heads in zip(tokens, attended, strict=True)]
        tokens = [token + layer.dense(layer.before_dense(token)) for token in tokens]
    return model.readout(model.normalize(tokens[-1]))


@both
def test_it_attends_as_attention_written_out_token_by_token(attention: str):
    model, (inputs, targets, queries) = build(attention), stream()
    answers = model(inputs, targets, queries)
    for life in range(L):
        examples = list(model.encoder(inputs[life]) + model.target_encoder(targets[life]))
        for number, query in enumerate(model.encoder(queries[life])):
            expected = written_out(model, examples, query)
            torch.testing.assert_close(answers[life, number], expected, rtol=1e-10, atol=1e-12)


@both
@pytest.mark.parametrize("sizes", [(1,) * N, (3, 1, 3), (N,)])
def test_read_in_any_parts_it_answers_as_read_at_once(attention: str, sizes: tuple[int, ...]):
    model, (inputs, targets, queries) = build(attention), stream()
    memory = model.begin(L)
    for x, y in zip(inputs.split(sizes, dim=1), targets.split(sizes, dim=1), strict=True):
        memory = model.read(x, y, memory)
    expected = model(inputs, targets, queries)
    torch.testing.assert_close(model.answer(queries, memory), expected, rtol=1e-10, atol=1e-12)


@both
def test_queries_do_not_influence_one_another(attention: str):
    model, (inputs, targets, queries) = build(attention), stream()
    alone = torch.cat([model(inputs, targets, query) for query in queries.split(1, dim=1)], dim=1)
    torch.testing.assert_close(model(inputs, targets, queries), alone, rtol=1e-10, atol=1e-12)


@both
def test_a_later_example_changes_no_earlier_prediction_and_none_that_was_kept(attention: str):
    model, (inputs, targets, queries) = build(attention), stream()
    memory = model.read(inputs[:, :4], targets[:, :4], model.begin(L))
    before = model.answer(queries, memory)
    later = model.read(inputs[:, 4:], targets[:, 4:], memory)
    assert torch.equal(model.answer(queries, memory), before)
    assert (model.answer(queries, later) - before).abs().max() > 1e-3


def test_a_stream_read_by_softmax_keeps_what_earlier_examples_left_whatever_comes_later():
    model, (inputs, targets, _) = build("softmax"), stream()
    whole = model.read(inputs, targets, model.begin(L))
    changed = model.read(inputs, torch.cat([targets[:, :4], targets[:, 4:] + 1], dim=1), model.begin(L))
    for kept, other in zip(whole, changed, strict=True):
        for one, two in zip(kept, other, strict=True):
            torch.testing.assert_close(one[:, :, :5], two[:, :, :5], rtol=1e-10, atol=1e-12)
            assert (one[:, :, 5:] - two[:, :, 5:]).abs().max() > 1e-3


def test_linear_attention_keeps_as_much_of_seven_examples_as_of_one():
    model, (inputs, targets, _) = build("linear"), stream()
    one = model.read(inputs[:, :1], targets[:, :1], model.begin(L))
    all_of_them = model.read(inputs, targets, model.begin(L))
    assert [[t.shape for t in kept] for kept in one] == [[t.shape for t in kept] for kept in all_of_them]


def test_at_birth_the_answer_depends_on_the_query_alone():
    model, (_, _, queries) = build("softmax"), stream()
    answers = model.answer(queries, model.begin(L))
    swapped = model.answer(queries.flip(0), model.begin(L))
    torch.testing.assert_close(answers.flip(0), swapped, rtol=1e-12, atol=1e-12)


def test_where_keys_begin_as_queries_do_a_query_attends_most_to_the_example_that_is_like_it():
    source = torch.Generator().manual_seed(0)
    model = SequenceModel(
        nn.Identity(), nn.Identity(), width=64, num_layers=1, num_heads=1, num_outputs=1, alike=True, generator=source
    )
    queries_ND = torch.randn(20, 64, generator=source)
    mixed = model.layers[0].mix(model.layers[0].before_attention(queries_ND))
    likeness_NN = mixed[:, :64] @ mixed[:, 64:128].T
    torch.testing.assert_close(likeness_NN, likeness_NN.T)
    assert torch.equal(likeness_NN.argmax(1), torch.arange(20))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match=r"a multiple of `num_heads` \(3\), but got 8"):
        SequenceModel(nn.Identity(), nn.Identity(), width=D, num_layers=1, num_heads=3, num_outputs=1)
