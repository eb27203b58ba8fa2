"""The place of a model that trains in several processes of PyTorch, see `places`."""

from __future__ import annotations

import keras
import torch

from ..losses.replicas import batches_of_processes, number_of_replicas, sum_over_replicas
from .places import Several


class Summed(Several):
    """PyTorch: each process has a whole model on its device, and a part of each batch.

    A step adds up the gradients of all processes, so that all models stay equal. It does so at once, before
    the optimizer clips, accumulates and averages. `DistributedDataParallel` would send gradients while others
    are still computed, but it has a `forward` of its own, which Keras' steps do not call, and gives the mean.
    """

    def __init__(self, model, names):
        super().__init__(model, names)
        self._compiles = model.jit_compile

    def _move(self):
        model, optimizer = self.model, self.model.optimizer
        model.jit_compile = False  # torch.compile would not wait for some of the messages
        for step in ("train_step", "test_step"):
            setattr(model, step, self._shared(getattr(model, step)))
        model.compute_loss = self._total(model.compute_loss)
        model._aggregate_additional_loss = self._part(model._aggregate_additional_loss)
        optimizer.apply = self._with_sums(optimizer.apply)
        self._exchange_functions()

    def _return(self):
        for name in ("train_step", "test_step", "compute_loss", "_aggregate_additional_loss"):
            delattr(self.model, name)
        del self.model.optimizer.apply
        self.model.jit_compile = self._compiles
        self._exchange_functions()

    def _shared(self, step):
        """A step of all processes, each with its part of the batch."""

        def shared(data):
            sums = [one.value for one in self.model.metrics_variables if one.aggregation == "sum"]
            before = [one.clone() for one in sums]
            with batches_of_processes():
                step(data)
                with torch.no_grad():
                    added = _added_up([one - start for one, start in zip(sums, before, strict=True)])
                    for one, start, new in zip(sums, before, added, strict=True):
                        one.copy_(start + new)
            return self.model.get_metrics_result()

        return shared

    def _total(self, compute_loss):
        """The loss of all processes, with the gradient of this one's."""

        def total(*args, **kwargs):
            own = compute_loss(*args, **kwargs)
            whole = own.clone()  # whose gradient does not need its value
            whole.data.copy_(sum_over_replicas(own.detach()))
            return whole

        return total

    def _part(self, aggregate):
        """A process's part of a loss that all have in full, such as weight decay."""
        return lambda loss: aggregate(loss) / number_of_replicas()

    def _with_sums(self, apply):
        def apply_sums(gradients, variables):
            apply(self._sums(gradients), variables)

        return apply_sums

    def _sums(self, gradients):
        """Gradients added up over the processes. Statistics of normalization become their mean."""
        given, statistics = [one for one in gradients if one is not None], self._statistics()
        sums = _added_up([*given, *(one / number_of_replicas() for one in statistics)])
        for statistic, mean in zip(statistics, sums[len(given) :], strict=True):
            statistic.copy_(mean)
        sums = iter(sums)
        return [None if one is None else next(sums) for one in gradients]

    def _statistics(self):
        """Values that the layers have changed in this step, each by the images of its process."""
        return [
            variable.value
            for layer in self.model._flatten_layers(include_self=False)
            if layer.trainable
            for variable in layer._non_trainable_variables
            if keras.backend.is_float_dtype(variable.dtype)
        ]


def _added_up(tensors):
    """Each tensor added up over the processes, in one message."""
    joined = sum_over_replicas(torch.cat([one.reshape(-1) for one in tensors]))
    parts = joined.split([one.numel() for one in tensors])
    return [part.view_as(one).to(one.dtype) for part, one in zip(parts, tensors, strict=True)]
