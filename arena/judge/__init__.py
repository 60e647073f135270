"""A judge model scores pairs of answers against the rubric: apart from votes, and held against them."""
