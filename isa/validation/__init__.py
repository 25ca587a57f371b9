"""The rules behind `imcc.isa.validate`, one file a subject."""
