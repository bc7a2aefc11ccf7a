"""Linear networks solved for the optimum of their loss, instead of by a pass of small steps alone."""
