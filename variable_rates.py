"""Optimizers whose learning rate differs from variable to variable, as `lr_mult` in Caffe's networks."""

from __future__ import annotations

from typing import Any

import keras


class _Rated:
    """Multiplies the learning rate by a factor for each variable.

    Args:
        rates: {name of a layer or a variable: factor}, such as {"bias": 2.0, "conv1": 0.1}. The factors of a
            variable (its own name, and that of each layer around it) are multiplied.
        **options: arguments of the optimizer of Keras.
    """

    def __init__(self, *, rates: dict[str, float], **options: Any):
        super().__init__(**options)
        self.rates = dict(rates)

    def build(self, variables):
        super().build(variables)
        self._factors = [self._factor(variable.path) for variable in variables]

    def _factor(self, path):
        factor = 1.0
        for name in path.split("/"):
            factor *= self.rates.get(name, 1.0)
        return factor

    def update_step(self, gradient, variable, learning_rate):
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self):
        return {**super().get_config(), "rates": self.rates}


@keras.saving.register_keras_serializable(package="multibox")
class RatedSGD(_Rated, keras.optimizers.SGD):
    __doc__ = f"`keras.optimizers.SGD` with rates. {_Rated.__doc__}"


@keras.saving.register_keras_serializable(package="multibox")
class RatedAdam(_Rated, keras.optimizers.Adam):
    __doc__ = f"`keras.optimizers.Adam` with rates. {_Rated.__doc__}"
