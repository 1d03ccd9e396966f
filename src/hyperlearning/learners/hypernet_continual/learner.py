"""A hypernetwork that learns tasks one after another by Adam, an embedding each, with an objective that keeps old ones.

Shape suffixes: B tasks of a batch, N numbers emitted, E numbers of an embedding.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hyperlearning.core.params import Params
from hyperlearning.learners.hypernet_continual.lookahead import moved, next_step
from hyperlearning.learners.hypernet_continual.output_penalty import OutputPenalty
from hyperlearning.networks.hypernetworks.hypernetwork import Hypernetwork

Images = Float[Tensor, "N ..."]
Labels = Int64[Tensor, " N"]


class AdamRule(NamedTuple):
    """How a task is learned.

    Attributes:
        num_steps: Updates.
        batch: Images of each.
        lr: Rate of the hypernetwork, and of the task's embedding, whose Adam is its own.
        falls: Whether it falls to 0 in a straight line, task after task.
    """

    num_steps: int
    batch: int = 128
    lr: float = 1e-3
    falls: bool = True

    def places(self, num_images: int, source: torch.Generator) -> Iterator[Int64[Tensor, " batch"]]:
        """Places of the images of every update: in a random order, anew whenever all have been met."""
        size, at, order = min(self.batch, num_images), num_images, torch.zeros(0, dtype=torch.int64)
        for _ in range(self.num_steps):
            if at + size > num_images:
                order, at = torch.randperm(num_images, generator=source), 0
            yield order[at : at + size]
            at += size


class Update(NamedTuple):
    """What an objective gets for an update.

    Attributes:
        task: Which task.
        embedding_1E: Its embedding, which learns.
        images: A batch.
        labels: Its labels.
        progress: How much of the task is over, from 0 to 1.
        source: Source of random numbers.
        optimizer: The hypernetwork's, for a lookahead.
    """

    task: int
    embedding_1E: Tensor
    images: Tensor
    labels: Tensor
    progress: float
    source: torch.Generator
    optimizer: torch.optim.Optimizer


class KeepOutputs:
    """The objective of von Oswald et al.: a task's loss, and the penalty on what is emitted for old tasks.

    Embeddings of all tasks go through the hypernetwork in one batch, forwards and backwards, but for a factored penalty. With a
    lookahead the penalty is that of the hypernetwork as the optimizer's step on the loss would leave it, in a pass of its own.

    Args:
        penalty: The penalty.
        lookahead: Whether to look ahead.
        loss: What a task's network minimizes.
        doubt: What the cross-entropy of `turned` images to all labels being equally likely counts for.

    Raises:
        ValueError: If `doubt` is negative.
    """

    def __init__(
        self,
        penalty: OutputPenalty,
        *,
        lookahead: bool = False,
        loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
        doubt: float = 0.0,
    ) -> None:
        if doubt < 0:
            raise ValueError(f"Expected `doubt` to be 0 or more, but got {doubt}.")
        self.penalty, self._lookahead, self._loss, self._doubt = penalty, lookahead, loss, doubt
        self._slopes_BN = torch.zeros(0, 0)

    def moving(self, hyper: Hypernetwork) -> list[nn.Parameter]:
        """What learns beside the embedding: all that emits. A base stays as it came, lest old tasks move with it."""
        return emitting(hyper)

    def before_task(self, hyper: Hypernetwork, task: int) -> None:
        """A task begins."""
        self.penalty.before_task(hyper, task)

    def backward(self, hyper: Hypernetwork, update: Update) -> None:
        """Gives everything that learns its gradient."""
        which = self.penalty.draw(update.source)
        old_BE = self.penalty.embeddings(which)
        together = not self._lookahead and self.penalty.factored is None
        emitted_BN = hyper.emitted(torch.cat([old_BE, update.embedding_1E]) if together else update.embedding_1E)
        slopes_BN = self._room(emitted_BN)
        self._task_slopes(hyper, update, emitted_BN[-1:], slopes_BN[-1:])
        if together and len(old_BE):
            self.penalty.slopes(emitted_BN[:-1], which, out=slopes_BN[:-1])
        emitted_BN.backward(slopes_BN)
        if self._lookahead and len(old_BE):
            params = self.moving(hyper)
            with moved(params, next_step(update.optimizer, params)):
                self.penalty.backward(hyper, which)
        elif not together and len(old_BE):
            self.penalty.backward(hyper, which)

    def _task_slopes(self, hyper: Hypernetwork, update: Update, emitted_1N: Tensor, out_1N: Tensor) -> None:
        """Writes the gradient of the task's loss by what is emitted for it."""
        own_1N = emitted_1N.detach().requires_grad_()
        self._task_loss(hyper, own_1N, update).backward(inputs=self._inputs(hyper, own_1N))
        assert own_1N.grad is not None
        out_1N.copy_(own_1N.grad)

    def _task_loss(self, hyper: Hypernetwork, own_1N: Tensor, update: Update) -> Tensor:
        weights = {name: tensor[0] for name, tensor in hyper.weights_of(own_1N).items()}

        def network(images: Tensor) -> Tensor:
            return hyper.run_one(weights, images, update.task)

        return with_doubt(network, update.images, update.labels, loss=self._loss, doubt=self._doubt)

    def _inputs(self, hyper: Hypernetwork, own_1N: Tensor) -> Sequence[Tensor]:
        return [own_1N]

    def _room(self, emitted_BN: Tensor) -> Tensor:
        """Room for a gradient, the same at every step."""
        if self._slopes_BN.shape != emitted_BN.shape or self._slopes_BN.dtype != emitted_BN.dtype:
            self._slopes_BN = torch.empty_like(emitted_BN, requires_grad=False)
        return self._slopes_BN

    def after_task(self, hyper: Hypernetwork, task: int) -> None:
        """The newest task has been learned."""

    def scores(self, hyper: Hypernetwork, images: Tensor, task: int) -> Tensor:
        """What the network of a task says."""
        return hyper(images, task)

    def all_scores(self, hyper: Hypernetwork, images: Tensor, num_tasks: int) -> Float[Tensor, "T M O"]:
        """What the networks of the first tasks say of the same images, in one call."""
        return hyper.on_all(images, torch.arange(num_tasks))

    def kept(self, hyper: Hypernetwork, num_tasks: int) -> Params:
        """All that the networks of so many tasks follow from, beside what follows from the seed."""
        own = {name: tensor.detach() for name, tensor in hyper.named_parameters() if not name.startswith("targets.")}
        return own | {"embeddings": hyper.embeddings[:num_tasks].detach()}


def with_doubt(
    network: Callable[[Tensor], Tensor],
    images: Tensor,
    labels: Tensor,
    *,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
    doubt: float = 0.0,
) -> Tensor:
    """A network's loss, and that of being sure of images of no task.

    Such images are made of the task's own, so that nothing of other tasks is kept: what is sure of its own task alone can be told
    from the networks of others by its entropy.

    Args:
        network: The network.
        images: A batch, (M, C, side, side) where there is `doubt`.
        labels: Their labels.
        loss: What is minimized of them.
        doubt: What the cross-entropy of `turned` images to all labels being equally likely counts for.

    Source: Hendrycks et al., "Deep Anomaly Detection with Outlier Exposure" (2019), section 3, with outliers that are made.
    """
    if not doubt:
        return loss(network(images), labels)
    scores, far = network(torch.cat([images, turned(images)])).split(len(images))
    return loss(scores, labels) - doubt * far.log_softmax(1).mean()


def turned(images: Float[Tensor, "M C side side"]) -> Float[Tensor, "M C side side"]:
    """A third of images turned by a quarter, a third by half, a third by three quarters."""
    thirds = images.tensor_split(3)
    return torch.cat([third.rot90(turns, (2, 3)) for turns, third in enumerate(thirds, start=1)])


def emitting(hyper: Hypernetwork) -> list[nn.Parameter]:
    """All parameters that emit: neither embeddings of tasks nor what a target has of its own."""
    return [
        tensor for name, tensor in hyper.named_parameters() if name != "embeddings" and not name.startswith("targets.")
    ]


class HypernetLearner:
    """A hypernetwork, learning tasks.

    Args:
        hyper: The hypernetwork at birth, with an embedding for every task that will come. It is changed.
        objective: What keeps old tasks: `KeepOutputs`, or one that is built on it.
        rule: How a task is learned.
    """

    def __init__(self, hyper: Hypernetwork, objective: KeepOutputs, rule: AdamRule) -> None:
        if hyper.num_conditions is None:
            raise ValueError("Expected a hypernetwork of learned embeddings, but got one with an encoder.")
        self.hyper, self.objective, self._rule = hyper, objective, rule
        self.num_tasks = 0

    def learn(self, images: Images, labels: Labels, source: torch.Generator) -> None:
        """Learns one more task.

        Args:
            images: Its images.
            labels: Their labels.
            source: Source of their order, and of which old tasks are looked at.

        Raises:
            ValueError: If there is no embedding left.
        """
        hyper, task, rule = self.hyper, self.num_tasks, self._rule
        if task == hyper.num_conditions:
            raise ValueError(f"Expected at most {task} tasks, an embedding each, but got one more.")
        self.objective.before_task(hyper, task)
        embedding_1E = nn.Parameter(hyper.embeddings[task : task + 1].detach().clone())
        moving = self.objective.moving(hyper)
        fused = embedding_1E.is_floating_point()
        optimizers = [torch.optim.Adam(own, lr=rule.lr, fused=fused) for own in (moving, [embedding_1E])]
        for number, places in enumerate(rule.places(len(labels), source)):
            for optimizer in optimizers:
                optimizer.zero_grad()
                optimizer.param_groups[0]["lr"] = rule.lr * (1 - number / rule.num_steps if rule.falls else 1)
            progress = number / rule.num_steps
            some = Update(task, embedding_1E, images[places], labels[places], progress, source, optimizers[0])
            self.objective.backward(hyper, some)
            for optimizer in optimizers:
                optimizer.step()
        with torch.no_grad():
            hyper.embeddings[task] = embedding_1E[0]
        self.objective.after_task(hyper, task)
        self.num_tasks += 1

    @torch.no_grad()
    def scores(self, images: Images, task: int) -> Float[Tensor, "N outputs"]:
        """What the network of a task says."""
        return self.objective.scores(self.hyper, images, task)

    @torch.no_grad()
    def all_scores(self, images: Images) -> Float[Tensor, "T N outputs"]:
        """What the networks of all tasks so far say of the same images."""
        return self.objective.all_scores(self.hyper, images, self.num_tasks)

    def kept(self) -> Params:
        """Everything that the networks of all tasks so far need: its bytes are what they cost."""
        return self.objective.kept(self.hyper, self.num_tasks)

    def tensors(self) -> Params:
        """Everything that going on needs."""
        return {name: tensor.detach() for name, tensor in self.hyper.state_dict().items()}

    def restore(self, tensors: Params, num_tasks: int) -> None:
        """Goes on where `tensors` was asked for, after so many tasks."""
        self.hyper.load_state_dict(tensors)
        self.num_tasks = num_tasks
