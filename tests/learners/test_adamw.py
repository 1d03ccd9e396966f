"""AdamW beside PyTorch's."""

import pytest
import torch

from hyperlearning.learners.adamw import adamw


def test_it_is_pytorchs_with_the_decay_of_matrices_alone():
    source = torch.Generator().manual_seed(0)
    params = {"matrix": torch.randn(3, 2, generator=source), "vector": torch.randn(3, generator=source)}
    theirs = {name: tensor.clone().requires_grad_() for name, tensor in params.items()}
    other = torch.optim.AdamW(
        [{"params": [theirs["matrix"]], "weight_decay": 0.3}, {"params": [theirs["vector"]], "weight_decay": 0.0}],
        lr=0.01,
    )
    rule = adamw(weight_decay=0.3)
    moments = rule.init(params)
    for _ in range(5):
        grads = [torch.randn(tensor.shape, generator=source) for tensor in params.values()]
        params, moments = rule.update(params, grads, moments, torch.tensor(0.01))
        for tensor, grad in zip(theirs.values(), grads, strict=True):
            tensor.grad = grad.clone()
        other.step()
    for name, tensor in params.items():
        torch.testing.assert_close(tensor, theirs[name].detach())


def test_a_negative_decay_is_refused():
    with pytest.raises(ValueError, match="weight_decay"):
        adamw(weight_decay=-1.0)
