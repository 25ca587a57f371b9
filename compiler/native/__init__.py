"""Native code on models of others: in a process of its own, so that a crash there is an error here.

onnxruntime and ONNX's inliner are written in C++ and trust their input more than they should. What
they are asked here runs in a worker with a limit on memory and time.
"""

from __future__ import annotations

from .client import NativeCrashError, NativeError, Output, inlined, tried

__all__ = ["NativeCrashError", "NativeError", "Output", "inlined", "tried"]
