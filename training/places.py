"""Where a model is while it trains: on one device, or copied to several that share each batch.

The devices may be those of several processes, see `processes`.

A user builds a model before anybody speaks of devices. Keras wants its variables made for them: inside
`strategy.scope()` on TensorFlow, after `set_distribution` on JAX. A copy of the model made there would be
another object than the one that callbacks, checkpoints and the user know. So the variables of the same model
change places: they are on the devices while steps run, and at home, on one device, whenever anybody else
looks at the model. On PyTorch, where each process has one device, they stay, and the steps change. Keras has
no public way for that. What is used of its insides is in `Mirrored`, `Sharded` and `summed.Summed`, and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from .even_batches import Filled, even_batches
from .state import build_metrics


class Devices:
    """One device, with which nothing changes."""

    def __enter__(self) -> Devices:
        return self

    def __exit__(self, *error):
        pass

    @contextmanager
    def home(self) -> Iterator[None]:
        """In the block, the model is an ordinary one on one device."""
        yield

    def batches(self, data: Any, filled: Filled) -> Any:
        """The data as `fit` needs them on these devices, see `even_batches`."""
        return data


class Several(Devices):
    """A context in which a model is on several devices.

    Args:
        model: a compiled model.
        names: names of at least two devices, see `chosen_devices`.
    """

    def __init__(self, model: keras.Model, names: list[str]):
        self.model = model
        self._number = len(names)
        build_metrics(model, model.output_shape[1:])  # Keras would make them on the devices
        self._functions = {}  # compiled steps, of the place where the model is not

    def __enter__(self):
        self._move()
        return self

    def __exit__(self, kind, *error):
        try:
            self._return()
        except Exception:  # what a step has left behind that was interrupted
            if kind is None:
                raise

    @contextmanager
    def home(self):
        self._return()
        try:
            yield
        finally:
            self._move()

    def batches(self, data, filled):
        return even_batches(data, self._number, filled)

    def _move(self):
        """Puts the model on the devices."""
        raise NotImplementedError

    def _return(self):
        """Puts it back."""
        raise NotImplementedError

    def _variables(self):
        model = self.model
        found = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
        return list({id(variable): variable for variable in found}.values())

    def _exchange_functions(self):
        for name in ("train_function", "test_function", "predict_function"):
            other = self._functions.get(name)
            self._functions[name] = getattr(self.model, name)
            setattr(self.model, name, other)


class Mirrored(Several):
    """TensorFlow: each variable has a twin that `MirroredStrategy` made, with a copy on each device."""

    def __init__(self, model, names):
        import tensorflow as tf

        super().__init__(model, names)
        self._at_home = model._distribute_strategy, tf.distribute.get_strategy()
        self._strategy = _strategy(tuple(names))
        self._twins = {}  # {id: (variable, TensorFlow's at home, TensorFlow's on the devices)}
        self._xla = model.jit_compile

    def _move(self):
        with self._strategy.scope():
            for variable in self._variables():
                _, own, twin = self._twins.get(id(variable), (None, variable.value, None))
                if twin is None:
                    variable._initialize(own.numpy())
                    self._twins[id(variable)] = variable, own, variable.value
                else:
                    twin.assign(own.numpy())
                    variable._initialize(twin)
        self.model.jit_compile = False  # as Keras does: XLA cannot compile a step of several replicas
        self._settle(self._strategy, self._strategy)

    def _return(self):
        for variable in self._variables():
            value = self._value(variable)
            if id(variable) in self._twins:
                own = self._twins[id(variable)][1]
                own.assign(value)
                variable._initialize(own)
            else:  # of a metric that the first step has made
                twin = variable.value
                variable._initialize(value)
                self._twins[id(variable)] = variable, variable.value, twin
        self.model.jit_compile = self._xla
        self._settle(*self._at_home)

    def _value(self, variable):
        """The value of a variable; of statistics, which each replica has of its own images, the mean."""
        if variable.trainable or variable.synchronization == "on_read":
            return keras.ops.convert_to_numpy(variable)
        values = [value.numpy() for value in self._strategy.experimental_local_results(variable.value)]
        if not keras.backend.is_float_dtype(variable.dtype):
            return values[0]
        return np.mean(values, axis=0, dtype=np.float64).astype(values[0].dtype)

    def _settle(self, of_model, of_optimizer):
        """Tells the model and the optimizer where the variables are."""
        self.model._distribute_strategy = of_model
        optimizer = self.model.optimizer
        while optimizer is not None:
            optimizer._distribution_strategy = of_optimizer
            for number, variable in enumerate(optimizer._trainable_variables):
                optimizer._trainable_variables_indices[optimizer._var_key(variable)] = number
            optimizer = getattr(optimizer, "inner_optimizer", None)
        self._exchange_functions()


_strategies = {}  # {names: strategy}, all that this process has made


def _strategy(names):
    """The strategy of these devices. Strategies number their messages alike, so one process can have one.

    Virtual devices on the CPU, as in tests, share a memory and need no messages.
    """
    import tensorflow as tf

    on_cpu = names[0].startswith("cpu")
    if names not in _strategies:
        if _strategies and not on_cpu:
            raise ValueError(
                f"train: devices: this process has trained on {', '.join(next(iter(_strategies)))}; "
                f"TensorFlow needs a new process for {', '.join(names)}"
            )
        operations = tf.distribute.ReductionToOneDevice() if on_cpu else None
        strategy = tf.distribute.MirroredStrategy([f"/{name.upper()}" for name in names], operations)
        _strategies[names] = strategy
    return _strategies[names]


class Sharded(Several):
    """JAX: a copy of each variable on each device, and each batch divided among them.

    With several processes, the devices are those of all of them. A model at home is one in each process. It
    leaves and comes back without a word to the others, which need not do the same.
    """

    def __init__(self, model, names):
        super().__init__(model, names)
        # Each process gets its part of the batches already.
        self._distribution = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
        self._at_home = keras.distribution.distribution()

    def _move(self):
        values = [np.asarray(variable.value) for variable in self._variables()]
        keras.distribution.set_distribution(self._distribution)
        for variable, value in zip(self._variables(), values, strict=True):
            variable._initialize(self._everywhere(variable, value))
        self._exchange_functions()

    def _everywhere(self, variable, value):
        import jax

        layout = self._distribution.get_variable_layout(variable).backend_layout
        return jax.make_array_from_process_local_data(layout, value)

    def _return(self):
        self.model.jax_state_sync()  # `fit` holds the values of variables elsewhere
        keras.distribution.set_distribution(self._at_home)
        for variable in self._variables():
            value = np.asarray(variable.value)
            variable._layout = None
            variable._initialize(keras.ops.convert_to_tensor(value))
        self._exchange_functions()
