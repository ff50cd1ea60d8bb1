"""The commands, one module a subject; each hangs its own on the program in `app`."""
