"""`make bench`: what the product costs beside a bare baseline that does the same work, in one run on one machine.

One module per question, each with `run(inputs) -> list[Row]`; its docstring's first line heads its table.
"""
