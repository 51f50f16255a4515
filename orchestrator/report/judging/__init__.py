"""What may be concluded from many class splits: intervals, tests, ranks, and what they cannot say."""
