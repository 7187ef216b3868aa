"""The memory of batches: used again once nobody holds it, never before."""

from __future__ import annotations

import pytest
import torch

from mimdata.mim.memory import KEPT, Memory


def _place(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def test_memory_that_nobody_holds_is_used_again() -> None:
    memory = Memory(pin=False)
    first = memory.floats((4, 3, 5))
    place = _place(first)
    del first
    assert _place(memory.floats((2, 5, 6))) == place


@pytest.mark.parametrize("hold", [lambda t: t, lambda t: t[1:2], lambda t: t.numpy(), lambda t: t.view(-1)])
def test_memory_that_is_held_in_any_way_is_left_alone(hold: object) -> None:
    memory = Memory(pin=False)
    made = memory.floats((4, 3, 5)).fill_(1.0)
    held = hold(made)  # type: ignore[operator]
    del made
    for _ in range(3):
        memory.floats((4, 3, 5)).fill_(2.0)
    assert (torch.as_tensor(held) == 1).all()


def test_what_autograd_has_saved_is_left_alone() -> None:
    memory = Memory(pin=False)
    weight = torch.ones(5, requires_grad=True)
    made = (memory.floats((3, 5)).fill_(1.0) * weight).sum()
    memory.floats((3, 5)).fill_(7.0)
    made.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3.0] * 5


def test_more_batches_than_are_kept_are_all_apart() -> None:
    memory = Memory(pin=False)
    held = [memory.floats((2, 2)).fill_(float(i)) for i in range(KEPT + 5)]
    assert [float(t[0, 0]) for t in held] == list(range(KEPT + 5))


def test_no_numbers_at_all() -> None:
    assert Memory(pin=False).floats((0, 4, 2)).shape == (0, 4, 2)
