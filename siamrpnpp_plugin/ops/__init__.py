"""The maths: pure functions on tensors. No registry, no I/O, no state; imports nothing of ours."""
