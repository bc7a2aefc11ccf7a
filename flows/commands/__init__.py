"""The commands of the command line: each reads its arguments, calls a flow or a task, and returns what is printed."""
