"""Models of a run whose process answers what a test tells it."""


class Answers:
    """Models whose process does what it is told."""

    compute = None

    def __init__(self, answer):
        self.answer, self.calls = answer, 0

    def call(self, _work, *_arguments):
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
