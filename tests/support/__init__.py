"""Makers of inputs that several test files share."""
