"""From ONNX to a program."""
