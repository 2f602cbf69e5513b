"""Many networks of one shape in one call: for devices that a single network leaves nearly idle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from pipeline.training.compiled.on_jax.dense import Epochs, Network
from pipeline.training.compiled.on_jax.passes import Sums

# A network, the order of its training images (num_images,), how many epochs it has done, its steps' rates.
Work = tuple[Network, NDArray[np.int64], int, NDArray[np.float32]]


class Packs:
    """Finds every network a seat among networks of its shape.

    Args:
        width: seats in a pack. All are computed in each call, taken or not: so a network's bits depend
            neither on who its neighbours are nor on how many they are.
    """

    def __init__(self, epochs: Epochs, width: int) -> None:
        self._epochs, self._width = epochs, width
        self._packs: dict[tuple[Any, ...], list[Pack]] = {}

    def seat(self, network: Network) -> Pack:
        """The pack that now holds the network."""
        packs = self._packs.setdefault(network.kind, [])
        if not any(pack.has_room for pack in packs):
            packs.append(Pack(self._epochs, self._width))
        pack = next(pack for pack in packs if pack.has_room)
        pack.sit(network)
        return pack


class Pack:
    """Networks of one shape, their weights and moments along a first axis of seats."""

    def __init__(self, epochs: Epochs, width: int) -> None:
        self._epochs = epochs
        self._seats: list[Network | None] = [None] * width
        self._trained: Any = None

    @property
    def has_room(self) -> bool:
        """Whether a seat is free."""
        return None in self._seats

    def sit(self, network: Network) -> None:
        """Take the network's weights in."""
        seat, width = self._seats.index(None), len(self._seats)
        self._seats[seat] = network
        if self._trained is None:
            self._trained = jax.tree.map(lambda one: jnp.zeros((width, *one.shape)), network.trained)
        self._trained = _put(self._trained, network.trained, seat)
        # They are kept here from now on.
        network.trained = None

    def leave(self, network: Network) -> None:
        """Free the network's seat; the last to leave takes the memory along."""
        self._seats[self._seats.index(network)] = None
        if not any(self._seats):
            self._trained = None

    def hand_back(self, network: Network) -> None:
        """Give the network a copy of its weights of now."""
        seat = self._seats.index(network)
        network.trained = jax.tree.map(lambda whole: whole[seat], self._trained)

    def epochs(self, works: Sequence[Work]) -> list[Sums]:
        """Train each of these networks for one epoch; those of the others stay as they are."""
        seats = [self._seats.index(network) for network, *_ in works]
        # An empty seat does what the first network does, and its result is thrown away.
        of = [seats.index(seat) if seat in seats else 0 for seat in range(len(self._seats))]
        orders = np.stack([order for _, order, _, _ in works]).astype(np.int32)[of]
        steps = np.array([network.steps(len(order), done) for network, order, done, _ in works], np.int32)
        numbers = [network.numbers(rates) for network, _, _, rates in works]
        stacked = {name: np.stack([one[name] for one in numbers])[of] for name in numbers[0]}
        is_active = np.isin(np.arange(len(self._seats)), seats)
        epoch = self._epochs.together(works[0][0].kind)
        self._trained, sums = epoch(
            self._epochs.resident, self._trained, is_active, orders, steps[of], stacked
        )
        found = [np.asarray(one) for one in sums]
        return [(found[0][seat], found[1][seat], found[2][seat], found[3][seat]) for seat in seats]


@jax.jit
def _put(trained: Any, one: Any, seat: Any) -> Any:
    return jax.tree.map(lambda whole, part: whole.at[seat].set(part), trained, one)
