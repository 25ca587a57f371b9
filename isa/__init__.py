"""The contract between compiler and machine: targets, instructions, programs."""
