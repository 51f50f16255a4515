"""What may be concluded from many class splits: intervals, tests, ranks, and what they cannot say."""

from orchestrator.report.judging.judgement import Judgement, judge

__all__ = ["Judgement", "judge"]
